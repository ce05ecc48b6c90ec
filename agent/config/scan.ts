import { z } from 'zod'
import { isGlob } from '../support/glob.ts'

const Words = z.array(z.string().min(1)).default([])
const Globs = z.array(z.string().min(1).refine(isGlob, 'expected a glob such as /opt/*/bin/**')).default([])
const Weight = z.number().min(0).max(100)

/** Section `scan`. */
export const ScanConfig = z
  .strictObject({
    interval: z.number().min(0).max(86_400).default(60).describe('seconds between two scans; 0 for none'),
    min_score: z.number().min(0).default(3).describe('score from which a process is suspicious'),
    model_weight: z.number().min(0).default(2).describe('what surprise (0 to 1) is multiplied with'),
    cpu_high: z.number().min(0).default(90).describe('percent of one processor that are much'),
    allowlist_bonus: z.number().min(0).default(3).describe('what the allowlist takes off a score'),
    expect_readonly_root: z
      .boolean()
      .default(false)
      .describe('whether the root file system must be mounted read-only'),
    weights: z
      .strictObject({
        deleted_exe: Weight.default(4).describe(
          'the file of its program was removed or replaced while it runs',
        ),
        memfd_exe: Weight.default(5).describe('its program is only in memory'),
        tmp_exe: Weight.default(4).describe('its program lies where anybody may put programs'),
        disguised: Weight.default(4).describe('it calls itself like a thread of the kernel'),
        shell_socket: Weight.default(5).describe('a shell that talks to a socket'),
        wx_mem: Weight.default(2).describe('memory that is written and executed'),
        ptraced: Weight.default(3).describe('another process traces it'),
        unusual_parent: Weight.default(3).describe('a service or interpreter that started a shell'),
        watched_port: Weight.default(3).describe('it uses one of ports.watched'),
        high_cpu: Weight.default(1).describe('it uses more than cpu_high'),
        empty_cmdline: Weight.default(1).describe('it has no command line'),
        many_conns: Weight.default(1).describe('it has many connections to others'),
        no_tty: Weight.default(1).describe('an interactive program without a terminal'),
        short_cmdline: Weight.default(1).describe('its command line is hardly a word'),
        obfuscated_cmdline: Weight.default(1).describe('its command line is encoded or made unreadable'),
      })
      .prefault({})
      .describe('what each heuristic adds to a score; 0 switches it off'),
  })
  .prefault({})

/** Section `allowlist`: processes that are not suspicious. */
export const AllowlistConfig = z
  .strictObject({
    names: Words.describe('names of programs; an attacker chooses them, too'),
    users: z
      .array(z.union([z.string().min(1), z.int().min(0)]))
      .default([])
      .describe('users, by name or id'),
    patterns: Globs.describe('globs over the path of the program, or of its script'),
    paths: Words.describe('paths of programs'),
    sha256: z
      .array(z.string().regex(/^[0-9a-f]{64}$/i, 'expected 64 hex digits'))
      .default([])
      .describe('SHA-256 of programs'),
  })
  .prefault({})

const Glob = z.string().min(1).refine(isGlob, 'expected a name, a path or a glob such as /opt/*/bin/**')
const Process = z.union([
  Glob,
  z.strictObject({
    exe: Glob.optional().describe('name, path or glob of its program or script'),
    user: z.string().min(1).optional().describe('name or id of its user'),
    argv: Glob.optional().describe('glob over its words, with blanks between them'),
    min: z.int().min(1).default(1).describe('how many of them there are at least'),
  }),
])

/** Section `processes`. */
export const ProcessesConfig = z
  .strictObject({
    expected: z
      .array(Process)
      .default([])
      .describe(
        'processes that a scan does not tell of: names, paths or globs, or maps of exe, user and argv',
      ),
    required: z
      .array(Process)
      .default([])
      .describe('processes that must run: names, paths or globs, or maps of exe, user, argv and min'),
  })
  .prefault({})

/** Section `containers`. */
export const ContainersConfig = z
  .strictObject({
    layers: z.boolean().default(true).describe('whether writable layers of containers are watched'),
    allowlist: Globs.describe('globs over paths in a container that may change'),
  })
  .prefault({})
