import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Core } from '../../agent/core.ts'
import { NO_WORLD } from '../../agent/domain/activity.ts'
import type { AuditEvent } from '../../agent/domain/event.ts'
import { runCore } from '../support/edges.ts'
import { event, execve, line, path, syscall } from '../support/log.ts'

const NOTHING_LOST = {
  lateRecords: 0,
  incompleteEvents: 0,
  missingSerials: 0,
  tornLines: 0,
  unreadableLines: 0,
  shedProcesses: 0,
  shedFiles: 0,
}
const TIME_MS = 1_795_210_797_987
const serialsOf = (events: readonly AuditEvent[]): number[] => events.map(({ id }) => id.serial)

const UNLINK = [
  ['SYSCALL', syscall('unlink', { items: 2 })],
  ['CWD', 'cwd="/srv"'],
  ['PATH', path(0, '/srv/', 7, 'PARENT')],
  ['PATH', path(1, 'x', 8, 'DELETE')],
] as const

describe('an event is one node, one time and one serial', () => {
  test.each([
    [
      'times',
      line('SYSCALL', 35, syscall('unlink'), { timeMs: 1000 }),
      line('SYSCALL', 35, syscall('bind'), { timeMs: 2000 }),
    ],
    [
      'nodes',
      line('SYSCALL', 35, syscall('unlink'), { node: 'a' }),
      line('SYSCALL', 35, syscall('bind'), { node: 'b' }),
    ],
    [
      'a node and none',
      line('SYSCALL', 35, syscall('unlink'), { node: 'a' }),
      line('SYSCALL', 35, syscall('bind')),
    ],
    ['serials', line('SYSCALL', 35, syscall('unlink')), line('SYSCALL', 36, syscall('bind'))],
  ])('two %s are two events', (_, one, other) => {
    const { events } = runCore(one + other)
    expect(events.map((each) => each.syscall?.syscall)).toEqual([87, 49])
  })

  test.each([
    ['before and after a boot', {}, { timeMs: TIME_MS + 864e5 }],
    ['of two nodes', { node: 'a' }, { node: 'b' }],
  ])('the same serial %s is two events, one after the other or in between', (_, one, other) => {
    const [first, second] = [event(35, UNLINK, one), event(35, UNLINK, other)]
    const lines = [first, second].map((text) => text.split(/(?<=\n)/))
    const mixed = lines[0]?.map((each, index) => each + (lines[1]?.[index] ?? '')).join('') ?? ''
    for (const log of [first + second, mixed]) {
      const { events, core } = runCore(log)
      expect(events).toMatchObject([
        { id: { ...one, serial: 35 }, complete: true, cwd: '/srv', paths: [{ item: 0 }, { item: 1 }] },
        { id: { ...other, serial: 35 }, complete: true, cwd: '/srv', paths: [{ item: 0 }, { item: 1 }] },
      ])
      expect(core.losses).toEqual(NOTHING_LOST)
    }
  })

  test('records of another event in between change nothing', () => {
    const other = event(2, [['SYSCALL', syscall('bind')]]).split(/(?<=\n)/)
    const own = event(1, UNLINK).split(/(?<=\n)/)
    const mixed = own.flatMap((each, index) => [each, other[index] ?? '']).join('')
    const { events, core } = runCore(mixed)
    expect(serialsOf(events).sort()).toEqual([1, 2])
    expect(events.find(({ id }) => id.serial === 1)).toMatchObject({
      cwd: '/srv',
      complete: true,
      paths: [{ item: 0 }, { item: 1 }],
    })
    expect(core.losses).toEqual(NOTHING_LOST)
  })
})

describe('an event is finished', () => {
  const push = (text: string): { core: Core; events: AuditEvent[] } => {
    const events: AuditEvent[] = []
    const core = new Core(NO_WORLD, { onEvent: (each) => events.push(each), onEdge: () => undefined })
    core.push(Buffer.from(text))
    return { core, events }
  }

  test('by its end mark, at once', () => {
    expect(push(event(1, UNLINK)).events).toHaveLength(1)
    expect(push(event(1, UNLINK.slice(0, 3))).events).toHaveLength(0)
  })

  test('by EOE in the stream of a plugin, which has both marks, and neither comes late', () => {
    const { events, core } = push(event(1, UNLINK) + line('EOE', 1) + event(2, UNLINK) + line('EOE', 2))
    expect(serialsOf(events)).toEqual([1, 2])
    core.end()
    expect(core.losses).toEqual(NOTHING_LOST)
  })

  test('by EOE alone', () => {
    const { events } = push(UNLINK.map(([type, body]) => line(type, 1, body)).join('') + line('EOE', 1))
    expect(events).toMatchObject([{ complete: true, cwd: '/srv' }])
  })

  test.each([
    ['a PATH after the end mark', [0, 1, 2, 'end', 3]],
    ['the end mark first', ['end', 0, 1, 2, 3]],
    ['SYSCALL last', [1, 2, 3, 'end', 0]],
    ['all the wrong way round', ['end', 3, 2, 1, 0]],
  ] as const)('when all that was announced is there: %s', (_, order) => {
    const lines = order.map((index) =>
      index === 'end' ? line('PROCTITLE', 1) : line(...withSerial(UNLINK[index])),
    )
    const { events, core } = push(lines.join(''))
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({
      complete: true,
      cwd: '/srv',
      paths: [{ item: 0 }, { item: 1, name: 'x' }],
    })
    core.end()
    expect(core.losses).toEqual(NOTHING_LOST)
  })

  test.each(['CONFIG_CHANGE', 'LOGIN', 'ANOM_PROMISCUOUS', 'AVC', 'BPRM_FCAPS'])(
    'with %s in it, as one event',
    (type) => {
      for (const place of [0, 1]) {
        const records: (readonly [string, string])[] = [...UNLINK]
        records.splice(place, 0, [type, 'op=x res=1'])
        const { events, core } = push(event(1, records) + event(2, UNLINK))
        expect(serialsOf(events)).toEqual([1, 2])
        expect(events[0]).toMatchObject({ complete: true, syscall: { syscall: 87 } })
        expect(core.losses).toEqual(NOTHING_LOST)
      }
    },
  )

  test.each(['USER_AUTH', 'DAEMON_START', 'CRED_ACQ'])('by %s, which is alone', (type) => {
    expect(push(line(type, 1, 'pid=1 uid=0')).events).toMatchObject([{ complete: true, syscall: undefined }])
  })

  test('and nobody ends it by writing a record of that kind into it', () => {
    const [first, ...others] = event(1, UNLINK).split(/(?<=\n)/)
    const { events } = push(`${first ?? ''}${line('USER_LOGIN', 1, 'pid=9')}${others.join('')}`)
    expect(events).toMatchObject([{ complete: true, cwd: '/srv', paths: [{ item: 0 }, { item: 1 }] }])
  })

  test('a record that stands alone without an end mark waits for nothing and is complete', () => {
    const { events, core } = push(line('SECCOMP', 1, 'pid=1') + line('SERVICE_START', 2, 'pid=1'))
    core.end()
    expect(events).toMatchObject([{ complete: true }, { complete: true }])
    expect(core.losses).toEqual(NOTHING_LOST)
  })

  test('work of io_uring, which has no SYSCALL, is complete', () => {
    const uring = line('URINGOP', 1, 'uring_op=18 success=yes exit=0 items=1 ppid=1 pid=2 uid=0')
    const rest = line('CWD', 1, 'cwd="/"') + line('PATH', 1, path(0, '/x', 8, 'NORMAL'))
    const { events, core } = push(uring + rest + line('EOE', 1))
    core.end()
    expect(events).toMatchObject([{ complete: true }])
    expect(core.losses).toEqual(NOTHING_LOST)
  })

  test('work of io_uring without an end mark, when 64 newer records have come', () => {
    const uring = line('URINGOP', 1, 'uring_op=36 success=yes exit=0 items=1 ppid=1 pid=2 uid=0')
    const path0 = line('PATH', 1, path(0, '/x', 8, 'DELETE'))
    const others = (from: number, count: number): string =>
      Array.from({ length: count }, (_, index) => event(from + index, [['SYSCALL', syscall('setuid')]])).join(
        '',
      )
    // What comes later is not understood earlier.
    expect(push(uring + path0 + others(2, 20)).events).toEqual([])
    const { events } = push(uring + path0 + others(2, 100))
    expect(events[0]).toMatchObject({ id: { serial: 1 }, complete: true })
    expect(events.map(({ id }) => id.serial)).toEqual(events.map((_, index) => index + 1))
  })

  test.each([
    ['CWD', UNLINK[1], UNLINK, { cwd: '/srv' }],
    ['SOCKADDR', ['SOCKADDR', 'saddr=0100'], [['SYSCALL', syscall('connect')]], { saddr: '0100' }],
    ['EXECVE', ['EXECVE', 'argc=1 a0="x"'], [['SYSCALL', syscall('execve')]], { argv: ['x'] }],
    ['OBJ_PID', ['OBJ_PID', 'opid=7 ocomm="y"'], [['SYSCALL', syscall('ptrace')]], { targets: [{ pid: 7 }] }],
    ['OPENAT2', ['OPENAT2', 'oflag=0101'], [['SYSCALL', syscall('openat2')]], { openat2Flags: 0o101 }],
  ] as const)('with %s in it that comes behind the end mark', (_, late, records, right) => {
    const others = records.filter((record) => record !== late)
    const { events, core } = push(
      event(1, others) + event(2, [['SYSCALL', syscall('setuid')]]) + line(late[0], 1, late[1]),
    )
    core.end()
    expect(events.find(({ id }) => id.serial === 1)).toMatchObject({ complete: true, ...right })
    expect(events).toHaveLength(2)
    expect(core.losses).toEqual(NOTHING_LOST)
  })

  test('with arguments that come behind the end mark', () => {
    const first = event(1, [
      ['SYSCALL', syscall('execve')],
      ['EXECVE', 'argc=2 a0="x"'],
    ])
    const { events, core } = push(first + line('EXECVE', 1, 'a1="y"'))
    core.end()
    expect(events).toMatchObject([{ argv: ['x', 'y'], argvTruncated: false }])
  })

  test('without an address that a call did not bring, when 64 newer records have come', () => {
    const accept = event(1, [['SYSCALL', syscall('accept')]])
    const rest = Array.from({ length: 100 }, (_, index) => event(2 + index, [['SYSCALL', syscall('setuid')]]))
    const { events, core } = push(accept + rest.join(''))
    expect(events.find(({ id }) => id.serial === 1)).toMatchObject({ complete: true, saddr: undefined })
    expect(core.losses).toEqual(NOTHING_LOST)
  })

  test.each([
    ['a PATH', UNLINK.slice(0, 3)],
    ['SYSCALL', UNLINK.slice(1)],
    ['all but the end mark', []],
  ])('incomplete when %s never came', (_, records) => {
    const { core, events } = push(event(1, records) + event(2, UNLINK))
    expect(serialsOf(events)).toEqual([2])
    core.end()
    expect(events.find(({ id }) => id.serial === 1)).toMatchObject({ complete: false })
    expect(core.losses).toEqual({ ...NOTHING_LOST, incompleteEvents: 1 })
  })

  test('a record that comes later is counted and makes no second event', () => {
    const { core, events } = push(event(1, UNLINK) + line('SOCKADDR', 1, 'saddr=0100') + event(2, UNLINK))
    core.end()
    expect(serialsOf(events)).toEqual([1, 2])
    expect(core.losses).toEqual({ ...NOTHING_LOST, lateRecords: 1 })
  })

  test('after 4,096 newer records when its end mark never comes, though the stamp be hours old or of tomorrow', () => {
    for (const timeMs of [TIME_MS - 36e5, TIME_MS + 864e5]) {
      const stuck = line('SYSCALL', 1, syscall('accept'), { timeMs })
      const { core, events } = push(stuck)
      const feed = (first: number, count: number): void => {
        for (let serial = first; serial < first + count; serial++)
          core.push(Buffer.from(line('USER_CMD', serial)))
      }
      feed(2, 4000)
      expect(serialsOf(events)).not.toContain(1)
      core.push(Buffer.from(line('SOCKADDR', 1, 'saddr=0100', { timeMs })))
      feed(5000, 200)
      expect(events.find(({ id }) => id.serial === 1)).toMatchObject({ saddr: '0100', id: { timeMs } })
    }
  })

  test('after 16 MiB of newer records, when these are long', () => {
    const { events, core } = push(line('SYSCALL', 1, syscall('unlink', { items: 2 })))
    const lineBytes = 8192
    const feed = (first: number, count: number): void => {
      for (let serial = first; serial < first + count; serial++) {
        const text = line('USER_CMD', serial, `msg='${'x'.repeat(8000)}'`)
        core.push(Buffer.from(`${text.slice(0, -2).padEnd(lineBytes - 1, 'x')}\n`))
      }
    }
    feed(2, 2000)
    expect(serialsOf(events)).not.toContain(1)
    feed(2002, 100)
    expect(serialsOf(events)).toContain(1)
    expect(core.losses).toEqual({ ...NOTHING_LOST, incompleteEvents: 1 })
  })

  test('with the same record, wherever reading began', () => {
    const numbered = (from: number, count: number): string =>
      Array.from({ length: count }, (_, index) => line('USER_CMD', from + index)).join('')
    const accept = event(1000, [['SYSCALL', syscall('accept')]])
    for (let before = 0; before <= 2 * 64; before++) {
      const { events, core } = push(numbered(1, before) + accept + numbered(2000, 63))
      expect(serialsOf(events)).not.toContain(1000)
      core.push(Buffer.from(numbered(2063, 1)))
      expect(serialsOf(events)).toContain(1000)
    }
  })
})

const withSerial = ([type, body]: readonly [string, string]): [string, number, string] => [type, 1, body]

describe('missing serials', () => {
  const missing = (text: string): number => runCore(text).core.losses.missingSerials

  /** Neighbours come out of order by a few places at most; which are dropped is told apart from how they are shuffled. */
  const stream = fc.record({
    first: fc.oneof(fc.nat(0xffffffff), fc.integer({ min: 0xffffffff - 30, max: 0xffffffff })),
    kept: fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }),
    jitter: fc.array(fc.nat(12), { minLength: 60, maxLength: 60 }),
  })

  test('are those between the first and the last that never came, over the wrap as well', () => {
    fc.assert(
      fc.property(stream, ({ first, kept, jitter }) => {
        const serials = kept.flatMap((isKept, index) => (isKept || index === 0 ? [index] : []))
        const last = serials.at(-1) ?? 0
        // The first stays first: what came before the beginning of a log nobody can know.
        const shuffled = serials
          .map((serial) => ({ serial, key: serial === 0 ? -1 : serial + (jitter[serial] ?? 0) }))
          .sort((one, other) => one.key - other.key)
        const text = shuffled.map(({ serial }) => line('SERVICE_START', (first + serial) % 2 ** 32)).join('')
        expect(missing(text)).toBe(last + 1 - serials.length)
      }),
      { numRuns: 500 },
    )
  })

  test('are counted for each node, and not for auditd, which counts for itself', () => {
    const text = [1, 2, 3, 5]
      .map(
        (serial) =>
          line('SERVICE_START', serial, '', { node: 'a' }) +
          line('SERVICE_START', serial + 900, '', { node: 'b' }) +
          line('DAEMON_ROTATE', 4000 + 7 * serial),
      )
      .join('')
    expect(missing(text)).toBe(2)
  })

  test('a boot begins again at 1: nothing is missing, and what goes missing afterwards is seen', () => {
    const boot = (first: number, last: number): string =>
      Array.from({ length: last - first + 1 }, (_, index) => line('SERVICE_START', first + index)).join('')
    expect(missing(boot(1, 20_000) + boot(1, 20_000))).toBe(0)
    expect(missing(boot(1, 20_000) + boot(1, 100) + boot(111, 200))).toBe(10)
    expect(missing(boot(1, 100) + boot(111, 20_000) + boot(1, 200))).toBe(10)
  })
})

describe('memory', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heap = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }

  const grow = (core: Core, lines: (serial: number) => string, from: number, to: number): void => {
    for (let serial = from; serial < to; serial += 100) {
      let text = ''
      for (let each = serial; each < serial + 100; each++) text += lines(each)
      core.push(Buffer.from(text))
    }
  }

  test.each([
    [
      'never end',
      (serial: number) => line('SYSCALL', serial, syscall('execve', { items: 2, success: 'no' })),
    ],
    [
      'never end and never began',
      (serial: number) => line('PATH', serial, path(1, `/tmp/${serial}`, serial, 'CREATE')),
    ],
    [
      'end after the next has begun',
      (serial: number) => line('SYSCALL', serial + 1, syscall('bind')) + line('PROCTITLE', serial),
    ],
    [
      'pour arguments into one',
      (serial: number) => line('EXECVE', 7, `a${serial % 60_000}="${'x'.repeat(500)}"`),
    ],
    ['pour targets into one', () => line('OBJ_PID', 7, 'opid=1 oauid=-1 ouid=33 oses=-1 ocomm="nginx"')],
    [
      'come from ever new nodes',
      (serial: number) => line('SYSCALL', serial, syscall('bind'), { node: `n${serial}` }),
    ],
  ])('stays flat under 100,000 events that %s', (_, lines) => {
    const core = new Core(NO_WORLD, { onEvent: () => undefined, onEdge: () => undefined })
    grow(core, lines, 1, 40_001)
    const before = heap()
    grow(core, lines, 40_001, 100_001)
    expect((heap() - before) / 1e6).toBeLessThan(3)
    // Also what a checkpoint would have to store.
    expect(core.resumePoint.finished.length).toBeLessThanOrEqual(2 * 4096)
    core.end()
  })
})

describe('resume', () => {
  test('serials of events that are skipped are not missing', () => {
    const first = line('SYSCALL', 1, syscall('setuid'))
    const log = first + event(2, UNLINK) + event(3, UNLINK) + line('PROCTITLE', 1) + event(4, UNLINK)
    const cut = log.indexOf(line('PROCTITLE', 1))
    const one = new Core(NO_WORLD, { onEvent: () => undefined, onEdge: () => undefined })
    one.push(Buffer.from(log.slice(0, cut)))
    const point = one.resumePoint
    expect(point.offset).toBe(0)
    expect(point.finished.map(({ serial }) => serial)).toEqual([2, 3])
    const events: AuditEvent[] = []
    const two = new Core(NO_WORLD, { onEvent: (each) => events.push(each), onEdge: () => undefined })
    two.resume(point)
    two.push(Buffer.from(log.slice(point.offset)))
    two.end()
    expect(serialsOf(events)).toEqual([1, 4])
    expect(two.losses).toEqual(NOTHING_LOST)
  })
})

test('EXECVE in several records, another event between them', () => {
  const long = ['SYSCALL', syscall('execve', { items: 0 })] as const
  const other = line('SYSCALL', 2, syscall('bind'))
  const text =
    line(...withSerial(long)) +
    line('EXECVE', 1, 'argc=3 a0="x" a1_len=8 a1[0]="AAAA"') +
    other +
    line('EXECVE', 1, 'a1[1]="BBBB" a2="end"') +
    line('PROCTITLE', 1)
  const { events } = runCore(text)
  expect(events.find(({ id }) => id.serial === 1)).toMatchObject({
    argv: ['x', 'AAAABBBB', 'end'],
    argvTruncated: false,
  })
  expect(runCore(event(1, [long, ['EXECVE', execve(['a', '', 'b c'])]])).events[0]?.argv).toEqual([
    'a',
    '',
    'b c',
  ])
})

// Of 2998 and 2999 nothing is seen at first.
test.each([
  ['of the same boot that comes late is not missing', 2999, 0, 1],
  ['far behind with a newer stamp is of another boot', 1, 60_000, 2],
  ['far behind with an older stamp comes late', 1, -60_000, 0],
])('a serial %s', (_, serial, laterMs, missing) => {
  const setuid = [['SYSCALL', syscall('setuid')]] as const
  const then = { timeMs: TIME_MS + laterMs }
  const log =
    event(2997, setuid) + event(3000, setuid) + event(serial, setuid, then) + event(serial + 1, setuid, then)
  expect(runCore(log).core.losses.missingSerials).toBe(missing)
})

test('an event waits for what its call should bring, whatever the one before it had', () => {
  const late = line('CWD', 2, 'cwd="/b"')
  const second = event(
    2,
    UNLINK.filter(([type]) => type !== 'CWD'),
  )
  const { events } = runCore(event(1, UNLINK) + second + late)
  expect(events).toMatchObject([{ cwd: '/srv' }, { cwd: '/b', complete: true }])
})

test('what waited once does not end the events that come later', () => {
  // The accept brings no address and is waited for; then come many events, the last of which lacks a PATH at first.
  const accept = event(1, [['SYSCALL', syscall('accept')]])
  const others = Array.from({ length: 40 }, (_, index) => event(2 + index, UNLINK))
  const begun = line('SYSCALL', 50, syscall('unlink', { items: 2 })) + line('PROCTITLE', 50)
  const ended = UNLINK.slice(1).map(([type, body]) => line(type, 50, body))
  for (let before = 0; before < others.length; before++) {
    const log =
      accept + others.slice(0, before).join('') + begun + others.slice(before).join('') + ended.join('')
    const { events, core } = runCore(log)
    expect(events.find(({ id }) => id.serial === 50)).toMatchObject({ complete: true, cwd: '/srv' })
    expect(core.losses.lateRecords).toBe(0)
  }
})

test('of two open events that share a number the older one is given up, and counted', () => {
  const [one, other] = [{ timeMs: TIME_MS }, { timeMs: TIME_MS + 2 ** 20 }]
  const log =
    line('SYSCALL', 1, syscall('unlink', { items: 2 }), one) +
    line('SYSCALL', 1, syscall('unlink', { items: 2 }), other) +
    line('SYSCALL', 2, syscall('setuid'))
  const { events, core } = runCore(log)
  expect(events.filter(({ id }) => id.serial === 1)).toHaveLength(2)
  expect(core.losses.incompleteEvents).toBe(2)
})
