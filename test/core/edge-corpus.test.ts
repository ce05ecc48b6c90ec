import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { edgeTexts, runCore } from '../support/edges.ts'

const FOLDER = join(import.meta.dirname, '../../../shared/corpus/edge')
const isThere = existsSync(FOLDER)
if (!isThere)
  process.stderr.write(
    'edge-corpus.test.ts: left out: the collection of tricky lines is not beside the checkout\n',
  )

/** What is right for a file; one event is in each. What is not said does not matter there. */
interface Right {
  readonly event: object
  /** Left out where what was lost may well have been the script. */
  readonly edges?: readonly string[]
  /** Records that were read; 4 of the ordinary event with its EOE. */
  readonly records?: number
  /** SYSCALL announces PATH records that the file does not have. */
  readonly isIncomplete?: boolean
  readonly unreadable?: number
}

const EXEC = ['exec proc::1000:?->proc::1000:/bin/sh']
const connect = (host: string): string[] => [`connect proc::1000:/bin/sh->host:${host}`]
/** Bytes that are no UTF-8, kept as Python's surrogateescape keeps them. */
const NO_UTF8 = '\udcff \udcfe'

const RIGHT: Readonly<Record<string, Right>> = {
  '06_enriched_key': {
    event: { syscall: { keys: [], user: 'user', exe: '/bin/sh' }, argv: ['sh'] },
    edges: ['exec proc::user:?->proc::user:/bin/sh'],
    isIncomplete: true,
  },
  '07_node': {
    event: { id: { node: 'web-01.example.com', timeMs: 1795210797987, serial: 7 }, argv: ['sh'] },
    edges: EXEC,
    isIncomplete: true,
  },
  '09_literal_hexlook': {
    event: { argv: ['sh', '6D79', 'my '], argvTruncated: false },
    // There is no CWD, so where the script lies is not known.
    edges: ['exec proc::1000:?->proc::1000:/bin/sh<?/6D79'],
    isIncomplete: true,
  },
  '12_unix_short': { event: { complete: true }, edges: connect('unix:/tmp/sock') },
  '14_unix_abstract': { event: {}, edges: connect('unix:@@/tmp/dbus-AbC') },
  '15_unix_unnamed': { event: { saddr: '0100' }, edges: [] },
  '16_unix_garbage': { event: {}, edges: connect('unix:/var/run/nscd/socket') },
  '18_inet6_24byte': { event: {}, edges: connect('[2001:db8::1]:443') },
  '19_v4mapped': { event: {}, edges: connect('10.0.0.1:8080') },
  '20_afunspec': { event: {}, edges: [] },
  '21_vsock': {
    event: { saddr: '28000000000400000200000000000000' },
    edges: connect('vsock:2:1024'),
  },
  '22_inet_8byte_garbage': { event: {}, edges: connect('127.0.0.1:6379') },
  '27_multikey': {
    event: { syscall: { keys: ['exec', 'vpn'] } },
    edges: EXEC,
    records: 3,
    isIncomplete: true,
  },
  '28_exit_group': { event: { syscall: { success: undefined, syscall: 231 } }, edges: [], records: 3 },
  '29_per_field': {
    event: { syscall: { arch: 0x40000003, syscall: 11, success: true, pid: 4242 }, argv: ['sh'] },
    edges: ['exec proc::0:?->proc::0:/bin/sh'],
  },
  '30_unknown_type': { event: { syscall: undefined, complete: true }, edges: [], records: 1 },
  '31_deleted_exe': {
    event: { syscall: { exe: '/tmp/x (deleted)' } },
    edges: [
      'exec proc::1000:?->proc::1000:/tmp/x (deleted)',
      'memory-exec proc::1000:?->proc::1000:/tmp/x (deleted)',
    ],
    isIncomplete: true,
  },
  '32_comm_odd_hex': { event: { syscall: { comm: 'my prog' } }, edges: EXEC, isIncomplete: true },
  '33_comm_nonutf8': {
    event: { syscall: { comm: NO_UTF8 }, argv: [NO_UTF8] },
    edges: EXEC,
    isIncomplete: true,
  },
  '36_argc_mismatch': { event: { argv: ['sh', '-c'], argvTruncated: true }, edges: EXEC, isIncomplete: true },
  '37_no_argc_lost_first': {
    event: { argv: ['', 'BBB', 'end'], argvTruncated: true },
    isIncomplete: true,
  },
  '38_avc': { event: { syscall: { syscall: 59 } }, edges: EXEC, isIncomplete: true },
  '39_apparmor_space': { event: { syscall: undefined }, edges: [], records: 1 },
  '40_partial_line': { event: { argv: [] }, edges: EXEC, records: 1, isIncomplete: true, unreadable: 1 },
  '42_seccomp': { event: { syscall: undefined }, edges: [], records: 1 },
  '43_crlf': {
    event: { syscall: { keys: [] }, argv: ['sh'], argvTruncated: false },
    edges: EXEC,
    isIncomplete: true,
  },
  '44_bprm_fcaps': {
    event: { syscall: { syscall: 59 }, argv: ['sudo'] },
    edges: EXEC,
    records: 5,
    isIncomplete: true,
  },
}

describe.skipIf(!isThere)('tricky lines', () => {
  test('of every file it is known what is right', () => {
    expect(readdirSync(FOLDER).sort()).toEqual(Object.keys(RIGHT).map((name) => `${name}.log`))
  })

  test.each(Object.entries(RIGHT))(
    '%s',
    (name, { event, edges, records = 4, isIncomplete = false, unreadable = 0 }) => {
      const { events, edges: seen, core } = runCore(readFileSync(join(FOLDER, `${name}.log`)))
      expect(events).toHaveLength(1)
      expect(events[0]).toMatchObject(event)
      if (edges !== undefined) expect(edgeTexts(seen)).toEqual([...edges].sort())
      expect(core.records).toBe(records)
      expect(core.losses).toEqual({
        lateRecords: 0,
        missingSerials: 0,
        shedProcesses: 0,
        shedFiles: 0,
        tornLines: 0,
        incompleteEvents: isIncomplete ? 1 : 0,
        unreadableLines: unreadable,
      })
    },
  )

  test('a line whose end is still to come waits for it', () => {
    const part = readFileSync(join(FOLDER, '40_partial_line.log'))
    const { events, core } = runCore([part, Buffer.from('tial"\n')])
    expect(events).toMatchObject([{ argv: ['sh', 'partial'], argvTruncated: false }])
    expect(core.losses.unreadableLines).toBe(0)
  })
})
