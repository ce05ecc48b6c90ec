import type { Observation } from '../domain/alert.ts'
import type { Heuristic, ScannedProcess } from '../domain/scan.ts'
import { printable } from '../graph/names.ts'

/** Signs that come and go with what a process works at the moment. */
const MOMENTARY: ReadonlySet<Heuristic> = new Set(['high_cpu', 'many_conns', 'ptraced'])
/** Points from which one sign alone is grave. */
const GRAVE = 4
/** Programs of one folder that are an alert each. */
const MOST_PROGRAMS = 5
/** Where programs come from packages, and few may put others. */
const SYSTEM = /^\/(?:usr|bin|sbin|lib\w*|opt|snap|nix)\//
const MEMORY = '/memfd:'
const MOST_PIDS = 20
const LONGEST_ARGV = 20

/**
 * Processes that a scan found suspicious, those of one program that are suspicious for the same reasons as one. So are many
 * programs of one user from one folder: who may put one there may put a thousand there.
 */
export function suspiciousProcesses(processes: readonly ScannedProcess[]): Observation[] {
  const suspicious = processes.filter(({ isSuspicious }) => isSuspicious)
  return [...Map.groupBy(suspicious, (process) => keyOf(process, folderOf(process)))].flatMap(
    ([folderKey, [first, ...others]]) => {
      if (first === undefined) return []
      const programs = Map.groupBy([first, ...others], (process) => keyOf(process, programOf(process)))
      const folder = folderOf(first)
      return programs.size > MOST_PROGRAMS && !SYSTEM.test(folder)
        ? [observationOf(folderKey, [first, ...others], { path: folder, programs: programs.size })]
        : Array.from(programs, ([key, group]) => observationOf(key, group))
    },
  )
}

const programOf = ({ exe, script }: ScannedProcess): string => `${printable(exe)} ${printable(script ?? '')}`

/** Of what it runs, with its slash. Programs that are only in memory lie together. */
function folderOf({ exe, script }: ScannedProcess): string {
  if (script === null && exe.startsWith(MEMORY)) return MEMORY
  const path = script?.startsWith('/') === true ? script : exe
  return printable(path.slice(0, path.lastIndexOf('/') + 1))
}

/** The same for the same program, or folder, of the same user, however often it is started. */
const keyOf = ({ container, marks, user }: ScannedProcess, what: string): string =>
  [
    container,
    user,
    what,
    ...marks
      .map(({ heuristic }) => heuristic)
      .filter((heuristic) => !MOMENTARY.has(heuristic))
      .sort(),
  ].join(' ')

/** @param folder that the group are different programs of */
function observationOf(
  key: string,
  group: readonly ScannedProcess[],
  folder?: { readonly path: string; readonly programs: number },
): Observation {
  const [worst] = [...group].sort((one, other) => other.score - one.score)
  if (worst === undefined) throw new Error('a group has a process')
  const { allowlistedBy, argv, container, marks, ppid, script, sha256, score, surpriseReasons, user } = worst
  const exe = printable(worst.exe)
  const what = script === null ? exe : `${printable(script)} (${exe})`
  const where = container === '' ? '' : ` in container ${container}`
  const often = group.length === 1 ? '' : `, ${group.length} times`
  const which =
    folder === undefined
      ? `suspicious process ${what}`
      : `${folder.programs} suspicious programs in ${folder.path}, such as ${what},`
  const isGrave = marks.some(({ points }) => points >= GRAVE)
  const pids = group.map(({ pid }) => pid)
  return {
    source: 'process',
    key,
    severity: isGrave && allowlistedBy === null ? 'high' : 'medium',
    title: `${which} of ${printable(user)}${where}${often}: ${marks[0]?.reason ?? 'it is unlike what was learned'}`,
    reasons: [
      ...marks.map(({ heuristic, points, reason }) => `${reason} (${heuristic}, ${points})`),
      ...surpriseReasons.map(printable),
      ...(allowlistedBy === null
        ? []
        : [`it is allowlisted (${printable(allowlistedBy)}), and still too grave`]),
    ],
    next: [
      `look at it while it runs: ls -l /proc/${pids[0] ?? 0}/exe, fullmon scan`,
      'who started it: fullmon incidents --all, ausearch --pid',
      'if it belongs here: fullmon allow, else keep a copy of /proc/PID/exe and end it',
    ],
    subject: {
      ...(folder === undefined ? {} : { folder: folder.path, programs: folder.programs }),
      ...{
        pids: pids.slice(0, MOST_PIDS),
        ppid,
        user: printable(user),
        uid: worst.uid,
        exe,
        container,
        score,
      },
      ...(script === null ? {} : { script: printable(script) }),
      ...(sha256 === null ? {} : { sha256 }),
      argv: argv.slice(0, LONGEST_ARGV).map(printable),
      heuristics: marks.map(({ heuristic }) => heuristic),
    },
  }
}
