import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { readBody } from '../../agent/parse/body.ts'
import type { ShownEvent } from '../../agent/show/event.ts'
import { show } from '../support/shown.ts'

const LOGS = join(import.meta.dirname, '../../../shared/corpus/logs')
const isThere = existsSync(LOGS)
if (!isThere)
  process.stderr.write("corpus.test.ts: left out: other projects' test data is not beside the checkout\n")

const GO = join(LOGS, 'elastic_go-libaudit')
const LAUREL = join(LOGS, 'threathunters-io_laurel/src/testdata')
const PARSER_RS = join(LOGS, 'hillu_linux-audit-parser-rs/src/testdata')
const USERSPACE = join(LOGS, 'linux-audit_audit-userspace')

const filesOf = (folder: string, ending: string): string[] =>
  isThere
    ? readdirSync(folder)
        .filter((name) => name.endsWith(ending))
        .sort()
    : []
const linesOf = (path: string): string[] =>
  readFileSync(path, 'latin1')
    .split('\n')
    .filter((line) => line !== '')
const goldenOf = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

const UNSET = 4294967295
const idOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : text === 'unset' ? UNSET : Number(text)
/** `EFAULT` is an exit of -14; what is no name is the number itself. */
const exitOf = (text: string): number => {
  const errno = (constants.errno as Readonly<Record<string, number>>)[text]
  return errno === undefined ? Number(text) : -errno
}
const timeOf = (stamp: string): number => Date.parse(stamp)

/** One record, as go-libaudit's auparse reads it. */
interface GoRecord {
  readonly '@timestamp': string
  readonly record_type: string
  readonly sequence: number
  readonly data: Readonly<Record<string, string>>
  readonly keys?: readonly string[]
}

/** What the fields of a record are to us, by go-libaudit's names for them. */
function asGoNames(line: string): Readonly<Record<string, string | undefined>> {
  const { own, claims } = readBody(line.replace(/^.*?msg=audit\([^)]*\):?\s*/, ''))
  const all = new Map([...(claims?.fields ?? []), ...own.fields])
  const result = all.get('success') ?? all.get('res') ?? ''
  const [, seresult, seperms] = /^avc: (\w+) \{ (.*) \} for$/.exec(own.words) ?? []
  const orUnset = (key: string): string | undefined =>
    all.get(key) === String(UNSET) ? 'unset' : all.get(key)
  return {
    ...Object.fromEntries(all),
    result: ['yes', 'success', '1'].includes(result) ? 'success' : 'fail',
    auid: orUnset('auid'),
    ses: orUnset('ses'),
    'old-auid': orUnset('old-auid'),
    seresult,
    seperms,
  }
}

/** go-libaudit takes labels apart. */
const isLabel = (key: string): boolean => /^(subj|obj|scontext|tcontext)_/.test(key)

/** Fields that are tested otherwise, or not the same thing, by line. */
const GO_RECORD_EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  // `old auid=4294967295 new auid=0`: to go-libaudit these are fields of old kernels only, to us those of today's.
  'test2.log:7': ['old_auid', 'new_auid'],
  // Names for the numbers: `arch` and `syscall` are shown by name in the event itself.
  'test3.log:17': ['arch', 'syscall', 'sig'],
}

function checkGoRecord(line: string, golden: GoRecord, exceptions: readonly string[]): void {
  const { events } = show(`${line}\n`)
  expect(events).toHaveLength(1)
  const [event] = events as [ShownEvent]
  expect(event.records).toEqual([golden.record_type.toUpperCase()])
  expect(event.id).toEqual({ node: '', timeMs: timeOf(golden['@timestamp']), serial: golden.sequence })
  if (golden.keys !== undefined) expect(event.keys).toEqual(golden.keys)
  const { data } = golden
  const checked = Object.entries(data).filter(([key]) => !isLabel(key) && !exceptions.includes(key))
  switch (event.records[0]) {
    case 'SYSCALL':
      expect(event).toMatchObject({
        syscall: data['syscall'],
        arch: data['arch'],
        success: data['result'] === 'success',
        exit: exitOf(data['exit'] ?? ''),
        pid: Number(data['pid']),
        ppid: Number(data['ppid']),
        auid: idOf(data['auid']),
        uid: Number(data['uid']),
        euid: Number(data['euid']),
        comm: data['comm'],
        exe: data['exe'],
      })
      break
    case 'EXECVE':
      expect(event.argv).toEqual(
        Array.from({ length: Number(data['argc']) }, (_, index) => data[`a${index}`]),
      )
      expect(event.argvTruncated).toBe(false)
      break
    case 'CWD':
      expect(event.cwd).toBe(data['cwd'])
      break
    case 'PATH':
      expect(event.paths.map(({ path }) => path)).toEqual([data['name']])
      break
    case 'SOCKADDR':
      break
    default: {
      const ours = asGoNames(line)
      expect(Object.fromEntries(checked.map(([key]) => [key, ours[key]]))).toEqual(
        Object.fromEntries(checked),
      )
    }
  }
}

describe.skipIf(!isThere)("records as go-libaudit's golden files have them", () => {
  const folder = join(GO, 'auparse/testdata')
  const cases = filesOf(folder, '.log').flatMap((name) => {
    const golden = goldenOf(join(folder, `${name}.golden`)) as (GoRecord | null)[]
    return linesOf(join(folder, name)).map(
      (line, index) => [`${name}:${index + 1}`, line, golden[index] ?? null] as const,
    )
  })
  for (const [name, line, golden] of cases) {
    test(name, () => {
      if (golden === null) expect(show(`${line}\n`).summary).toMatchObject({ records: 0, unreadable: 1 })
      else checkGoRecord(line, golden, GO_RECORD_EXCEPTIONS[name] ?? [])
    })
  }
})

/** One event, as go-libaudit's aucoalesce makes it of its records. */
interface GoEvent {
  readonly test_name: string
  readonly event: {
    readonly '@timestamp': string
    readonly record_type: string
    readonly sequence: number
    readonly result: string
    readonly tags?: readonly string[]
    readonly user: { readonly ids?: Readonly<Record<string, string>> }
    readonly process: {
      readonly pid?: string
      readonly ppid?: string
      readonly name?: string
      readonly exe?: string
      readonly cwd?: string
      readonly args?: readonly string[]
    }
    readonly data: Readonly<Record<string, string>>
    readonly paths?: readonly { readonly name?: string }[]
  }
}

/** A directory is the same with and without its last slash; a path without a name is not known. */
const pathOf = (name: string | undefined): string => name?.replace(/(?<=.)\/$/, '') ?? '?'

const number = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text)

function checkGoEvent(name: string, log: string, { event: golden }: GoEvent): void {
  const { events, summary } = show(log)
  expect(summary).toMatchObject({ events: 1, unreadable: 0, late: 0 })
  const [event] = events as [ShownEvent]
  expect(event.id).toMatchObject({ timeMs: timeOf(golden['@timestamp']), serial: golden.sequence })
  expect(event.records).toContain(golden.record_type.toUpperCase())
  expect(event.keys).toEqual(KEYS_GO_GETS_WRONG.get(name) ?? golden.tags ?? [])
  const { user, process, data, paths } = golden
  // go-libaudit takes from the sender's own words what the kernel did not say.
  const { claims = {} } = event
  expect({ ...event, exe: event.exe ?? claims['exe'], cwd: event.cwd ?? claims['cwd'] }).toMatchObject({
    pid: number(process.pid),
    ppid: number(process.ppid),
    exe: process.exe,
    cwd: process.cwd,
    auid: idOf(user.ids?.['auid']),
    uid: idOf(user.ids?.['uid']),
    euid: idOf(user.ids?.['euid']),
    argv: process.args,
    syscall: data['syscall'],
    arch: data['arch'],
    exit: data['exit'] === undefined ? undefined : exitOf(data['exit']),
  })
  if (process.name !== undefined) expect(event.comm ?? claims['comm']).toBe(process.name)
  if (paths !== undefined)
    expect(event.paths.map(({ path }) => path)).toEqual(paths.map(({ name }) => pathOf(name)))
  if (data['socket_family'] !== undefined) {
    expect(event.peer).toEqual({
      family: data['socket_family'] === 'ipv4' ? 'inet' : data['socket_family'],
      address: data['socket_addr'],
      port: number(data['socket_port']),
    })
  }
  const said =
    claims['res'] ?? event.details?.map(({ fields }) => fields['res']).find((res) => res !== undefined)
  const succeeded = event.success ?? (said === undefined ? undefined : said === 'success' || said === '1')
  expect(succeeded === undefined ? 'unknown' : succeeded ? 'success' : 'fail').toBe(golden.result)
  // Of two records of one type go-libaudit keeps the first.
  const bodies = (event.details ?? []).map((detail) => detail.fields).reverse()
  const fields = Object.assign({}, ...bodies, claims) as object
  const rest = Object.entries(data).filter(([key]) => !GO_EVENT_FIELDS.has(key))
  expect(fields).toMatchObject(Object.fromEntries(rest))
}

/**
 * By test: what stands in the log. `-k key=net` makes a key that is `key=net`, and the architecture behind the lost GS is
 * a translation of auditd's and no key.
 */
const KEYS_GO_GETS_WRONG: ReadonlyMap<string, readonly string[]> = new Map([
  ['ubuntu-16.10-linux-4.8.0: CONFIG_CHANGE remove rule', ['key=container-create']],
  ['ubuntu-16.10-linux-4.8.0: EXECVE', ['key=user_commands']],
  ['ubuntu-16.10-linux-4.8.0: accept syscall', ['key=net']],
  ['ubuntu-16.10-linux-4.8.0: connect syscall', ['key=net']],
  ['ubuntu-16.10-linux-4.8.0: listen syscall', ['key=net']],
  ['ubuntu-16.10-linux-4.8.0: changed-system-time', ['key=time-change']],
  ['ubuntu-21.10-linux-5.13: AUDIT_TIME_ADJNTPVAL chronyd freq', []],
  ['ubuntu-21.10-linux-5.13: AUDIT_TIME_ADJNTPVAL chronyd status', []],
  ['ubuntu-21.10-linux-5.13: AUDIT_TIME_ADJNTPVAL freq/tick', []],
])

/** Compared above by our own names, or fields of SYSCALL and EXECVE that are not shown. */
const GO_EVENT_FIELDS: ReadonlySet<string> = new Set([
  ...['syscall', 'arch', 'exit', 'argc', 'a0', 'a1', 'a2', 'a3', 'items', 'tty'],
  ...['socket_addr', 'socket_family', 'socket_port'],
])

describe.skipIf(!isThere)("events as go-libaudit's golden files have them", () => {
  const folder = join(GO, 'aucoalesce/testdata')
  const cases = filesOf(folder, '.yaml').flatMap((name) => {
    const logs = (parse(readFileSync(join(folder, name), 'utf8')) as { tests: Record<string, string> }).tests
    return (goldenOf(join(folder, name.replace('.yaml', '.json.golden'))) as GoEvent[]).map(
      (golden) =>
        [`${name.replace('.yaml', '')}: ${golden.test_name}`, logs[golden.test_name], golden] as const,
    )
  })
  test.each(cases)('%s', (name, log = '', golden) => checkGoEvent(name, `${log.trimEnd()}\n`, golden))
})

/** One event, as laurel prints it: by type of record. Types of which several may be there are lists. */
type LaurelFields = Readonly<Record<string, string | number | null | readonly string[]>>
type LaurelEvent = Readonly<Record<string, LaurelFields | readonly LaurelFields[]>> & {
  readonly ID: string
  readonly NODE?: string
}

/** <linux/io_uring.h>: IORING_OP_OPENAT is 18. */
const asShown = (key: string, value: unknown): string =>
  key === 'uring_op' && value === 18 ? 'openat' : String(value)

function checkLaurelEvent(event: ShownEvent, golden: LaurelEvent): void {
  const [time = '', serial] = golden.ID.split(':')
  expect(event.id).toEqual({
    node: golden.NODE ?? '',
    timeMs: Math.round(Number(time) * 1000),
    serial: Number(serial),
  })
  const records = Object.entries(golden).filter(([type]) => type !== 'ID' && type !== 'NODE')
  const types = event.records.filter((type) => type !== 'EOE')
  expect([...new Set(types)].sort()).toEqual(records.map(([type]) => type).sort())
  for (const [type, body] of records) {
    const bodies = (Array.isArray(body) ? body : [body]) as readonly LaurelFields[]
    const [first = {}] = bodies
    switch (type) {
      case 'SYSCALL': {
        const { success, exit, pid, ppid, auid, uid, euid, comm, exe, key } = first
        expect(event).toMatchObject({
          exit,
          pid,
          ppid,
          auid,
          uid,
          euid,
          comm,
          exe,
          success: success === 'yes',
        })
        expect(event.keys).toEqual(key === null ? [] : [key])
        if (first['SYSCALL'] !== undefined)
          expect(event).toMatchObject({ syscall: first['SYSCALL'], arch: first['ARCH'] })
        break
      }
      case 'EXECVE':
        expect(event).toMatchObject({ argv: first['ARGV'], argvTruncated: false })
        break
      case 'CWD':
        expect(event.cwd).toBe(first['cwd'])
        break
      case 'PATH':
        expect(event.paths.map(({ path }) => path)).toEqual(bodies.map(({ name }) => name))
        break
      case 'SOCKADDR':
      case 'OBJ_PID':
      case 'PROCTITLE':
        break
      default: {
        const fields = event.details?.find((detail) => detail.type === type)?.fields
        // What auditd translated is in capitals, and not shown; `(null)` is left out.
        const own = Object.entries(first).filter(
          ([key, value]) => key !== key.toUpperCase() && value !== null,
        )
        expect(fields).toEqual(Object.fromEntries(own.map(([key, value]) => [key, asShown(key, value)])))
      }
    }
  }
}

describe.skipIf(!isThere)('events as laurel has them', () => {
  for (const name of filesOf(LAUREL, '.json')) {
    test(name, () => {
      const { events, summary } = show(readFileSync(join(LAUREL, name.replace('.json', '.txt'))))
      const golden = linesOf(join(LAUREL, name)).map((line) => JSON.parse(line) as LaurelEvent)
      expect(summary).toMatchObject({ events: golden.length, unreadable: 0, late: 0 })
      for (const expected of golden) {
        const serial = Number(expected.ID.split(':')[1])
        checkLaurelEvent(events.find(({ id }) => id.serial === serial) as ShownEvent, expected)
      }
    })
  }
})

/** The lines of another parser in Rust; their types are in them. The one without a name is a BPF record. */
describe.skipIf(!isThere)('lines that linux-audit-parser-rs reads', () => {
  test.each(filesOf(PARSER_RS, '.txt'))('%s', (name) => {
    const { events, summary } = show(readFileSync(join(PARSER_RS, name)))
    expect(summary).toMatchObject({ records: 1, events: 1, unreadable: 0, late: 0 })
    expect(events.map(({ records }) => records)).toEqual(
      linesOf(join(PARSER_RS, name)).map((line) => [
        /type=(\S+)/.exec(line)?.[1]?.replace('UNKNOWN[1334]', 'BPF'),
      ]),
    )
  })
})

/** An event as libauparse's own test prints it: types of its records, and all their fields as written. */
interface Walked {
  readonly serial: number
  readonly types: readonly string[]
  readonly fields: ReadonlyMap<string, string>
}

function walkedEvents(): readonly Walked[] {
  const printed = readFileSync(join(USERSPACE, 'auparse/test/auparse_test.ref'), 'latin1')
  const walk = printed.slice(printed.indexOf('Starting Test 4,'), printed.indexOf('Test 4 Done'))
  return walk
    .split(/^event \d+ has .*$/m)
    .slice(1)
    .map((text) => ({
      serial: Number(/event time: \d+\.\d+:(\d+),/.exec(text)?.[1]),
      types: [...text.matchAll(/record \d+ of type \d+\((\S+)\)/g)].map(([, type = '']) => type),
      // Of two equal keys the first.
      fields: new Map(
        [...text.matchAll(/^ {8}([^ =]+)="?(.*?)"?$/gm)]
          .map(([, key = '', value = '']) => [key, value] as const)
          .reverse(),
      ),
    }))
}

function checkWalked(event: ShownEvent, { types, fields }: Walked): void {
  expect(event.records).toEqual(types)
  expect(event).toMatchObject({
    pid: number(fields.get('pid')),
    uid: number(fields.get('uid')),
    auid: number(fields.get('auid')),
    cwd: fields.get('cwd'),
  })
  const picked = (...keys: readonly string[]): object =>
    Object.fromEntries(keys.map((key) => [key, fields.get(key)]))
  if (event.claims === undefined) expect(event).toMatchObject(picked('comm', 'exe'))
  else expect(event.claims).toMatchObject(picked('acct', 'exe', 'hostname', 'addr', 'terminal', 'res'))
  if (types.includes('AVC')) {
    const [avc] = event.details ?? []
    const permissions = fields.get('seperms')?.replaceAll(',', ' ')
    expect(avc?.words).toBe(`avc: ${fields.get('seresult')} { ${permissions} } for`)
    expect(avc?.fields).toMatchObject(picked('name', 'dev', 'ino', 'scontext', 'tcontext', 'tclass'))
  }
}

describe.skipIf(!isThere)("events of test.log as libauparse's own test walks through them", () => {
  const walked = isThere ? walkedEvents() : []
  const { events } = isThere ? show(readFileSync(join(USERSPACE, 'auparse/test/test.log'))) : { events: [] }

  test('are as many', () => {
    expect(walked.length).toBeGreaterThan(0)
    expect(events.map(({ id }) => id.serial).sort()).toEqual(walked.map(({ serial }) => serial))
  })

  test.each(walked.map((event) => [event.serial, event] as const))('%d', (serial, expected) => {
    checkWalked(events.find(({ id }) => id.serial === serial) as ShownEvent, expected)
  })
})

/** What is a record and what is an event, said once more and slowly. */
function counted(log: string): {
  readonly records: number
  readonly events: number
  readonly unreadable: number
} {
  const lines = log.split('\n').filter((line) => line.replace('\r', '') !== '')
  const ids = lines.map((line) =>
    /^(node=\S+ )?type=[A-Z0-9_[\]]+ (msg=audit\(\d+\.\d{3}:\d+\)):?/.exec(line),
  )
  const records = ids.filter((id) => id !== null)
  return {
    records: records.length,
    events: new Set(records.map(([, node, id]) => `${node ?? ''}${id}`)).size,
    unreadable: lines.length - records.length,
  }
}

describe.skipIf(!isThere)('records and events of every log', () => {
  const logs = isThere
    ? readdirSync(LOGS, { recursive: true, encoding: 'utf8' }).filter(
        (name) => /\.(log|txt)$/.test(name) && !name.includes('LICENSE'),
      )
    : []
  for (const name of logs.sort()) {
    test(name, () => {
      const log = readFileSync(join(LOGS, name), 'latin1')
      const { summary } = show(log.endsWith('\n') ? log : `${log}\n`)
      expect(summary).toMatchObject(counted(log))
    })
  }
})
