/**
 * What is remembered of processes and files is written change by change. Law: whatever is done, and wherever that is cut
 * by a stop and another start, all is as if nothing had stopped.
 */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FoundProcess, NO_WORLD, type ProcessImage } from '../../agent/domain/activity.ts'
import type { AuditEvent } from '../../agent/domain/event.ts'
import type { PathRecord, SyscallRecord } from '../../agent/domain/record.ts'
import { chainOf } from '../../agent/graph/names.ts'
import { InodePaths } from '../../agent/interpret/inode-paths.ts'
import { PidClock } from '../../agent/interpret/pid-clock.ts'
import { ProcessTable } from '../../agent/interpret/processes.ts'
import { type Changed, Recent } from '../../agent/interpret/recent.ts'
import { runCore } from '../support/edges.ts'
import { event, execve, path, syscall, untrusted } from '../support/log.ts'
import { StateTable } from '../support/state.ts'

/** Through the table, as JSON. */
const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

test('Recent', () => {
  const key = fc.nat(12)
  const step = fc.oneof(
    fc.record({ does: fc.constant('set' as const), key, value: fc.nat() }),
    fc.record({ does: fc.constant('get' as const), key }),
    fc.record({ does: fc.constant('delete' as const), key }),
    fc.record({ does: fc.constant('change' as const), key }),
    fc.record({ does: fc.constantFrom('forget', 'drain', 'restart') }),
  )
  interface Box {
    value: number
  }
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.constantFrom(2, 6, 100), (steps, most) => {
      const whole = new Recent<number, Box>(most)
      let cut = new Recent<number, Box>(most, true)
      const table = new Map<number, Changed<number, Box>>()
      const drain = (): void => {
        for (const each of cut.changes())
          if (each.value === undefined) table.delete(each.key)
          else table.set(each.key, stored(each))
      }
      for (const each of steps) {
        if (each.does === 'set') for (const one of [whole, cut]) one.set(each.key, { value: each.value })
        else if (each.does === 'get') expect(cut.get(each.key)).toEqual(whole.get(each.key))
        else if (each.does === 'delete') for (const one of [whole, cut]) one.delete(each.key)
        else if (each.does === 'change') {
          for (const one of [whole, cut]) {
            const box = one.get(each.key)
            if (box !== undefined) box.value++
            one.touch(each.key)
          }
        } else if (each.does === 'forget') expect(cut.forgetOlder()).toBe(whole.forgetOlder())
        else {
          drain()
          if (each.does === 'drain') continue
          const { generation } = cut
          cut = new Recent(most, true)
          cut.resume(generation)
          for (const entry of table.values()) cut.place(stored(entry))
        }
        expect([...cut.keys()].sort()).toEqual([...whole.keys()].sort())
        expect(cut.generation).toBe(whole.generation)
      }
      drain()
      const values = [...whole.values()]
      const entries = [...whole.keys()].map((known, index) => [known, values[index]] as const)
      expect(new Map([...table].map(([known, { value }]) => [known, value]))).toEqual(new Map(entries))
    }),
    { numRuns: 1000 },
  )
})

test('PidClock', () => {
  // Near each other, far away, and near again.
  const pid = fc.oneof(fc.integer({ min: 300, max: 1500 }), fc.integer({ min: 300, max: 32_767 }))
  fc.assert(
    fc.property(fc.array(fc.tuple(pid, fc.boolean()), { maxLength: 60 }), pid, (ticks, asked) => {
      const whole = new PidClock()
      let cut = new PidClock()
      for (const [each, isCut] of ticks) {
        whole.tick(each)
        cut.tick(each)
        if (isCut) {
          const { memory } = cut
          cut = new PidClock()
          cut.resume(stored(memory))
        }
        expect(cut.now).toBe(whole.now)
        for (let born = 0; born <= whole.now; born++)
          expect(cut.hasPassed(asked, born)).toBe(whole.hasPassed(asked, born))
      }
    }),
    { numRuns: 1000 },
  )
})

describe('InodePaths', () => {
  const record = (inode: number): PathRecord => ({
    ...{ type: 'PATH', item: 0, name: undefined, dev: 'fe:00', mode: 0o100644, nameType: 'NORMAL' },
    inode,
  })

  /** One that is stopped and started again, and one that is not. */
  class Pair {
    readonly whole = new InodePaths()
    cut = new InodePaths(true)
    readonly inodes = new StateTable('inode')
    readonly moves = new StateTable('move')

    do(work: (paths: InodePaths) => void): void {
      work(this.whole)
      work(this.cut)
    }

    drain(): void {
      const tables = { inode: this.inodes, move: this.moves }
      this.cut.drain({
        put: (kind, key, value) => tables[kind as 'inode' | 'move'].put(kind, key, value),
        remove: (kind, key) => tables[kind as 'inode' | 'move'].remove(kind, key),
      })
    }

    restart(): void {
      this.drain()
      const { memory } = this.cut
      this.cut = new InodePaths(true)
      this.cut.resume(stored(memory))
      for (const { key, value } of this.inodes.entries()) this.cut.place(key, value)
      for (const { value } of this.moves.entries()) this.cut.placeMove(value)
    }

    /** Whether both know the same of these. */
    compare(inodes: Iterable<number>): void {
      for (const inode of inodes)
        expect([inode, this.cut.get(record(inode))]).toEqual([inode, this.whole.get(record(inode))])
      expect(this.cut.memory).toEqual(this.whole.memory)
    }
  }

  test('whatever is seen, moved and forgotten', () => {
    const inode = fc.integer({ min: 1, max: 4 })
    const name = fc.constantFrom('/a', '/b', '/a/b', '/b/a', '/c')
    const step = fc.oneof(
      fc.record({ does: fc.constant('set' as const), inode, path: name.map((dir) => `${dir}/x`) }),
      fc.record({ does: fc.constant('drop' as const), inode, path: name.map((dir) => `${dir}/x`) }),
      fc.record({ does: fc.constant('move' as const), from: name, to: fc.option(name, { nil: undefined }) }),
      fc.record({ does: fc.constantFrom('get' as const, 'forget' as const), inode }),
      fc.record({ does: fc.constantFrom('drain' as const, 'restart' as const) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pair = new Pair()
        for (const each of steps) {
          switch (each.does) {
            case 'set':
              pair.do((paths) => paths.set(record(each.inode), each.path))
              break
            case 'drop':
              pair.do((paths) => paths.drop(record(each.inode), each.path))
              break
            case 'move':
              pair.do((paths) => paths.moveDirectory(each.from, each.to))
              break
            case 'forget':
              pair.do((paths) => paths.forget(record(each.inode)))
              break
            case 'get':
              pair.compare([each.inode])
              break
            case 'drain':
              pair.drain()
              break
            case 'restart':
              pair.restart()
          }
        }
        pair.restart()
        pair.compare([1, 2, 3, 4])
      }),
      { numRuns: 1000 },
    )
  })

  test('with more moves than are kept, and more files', () => {
    const pair = new Pair()
    const seen: number[] = []
    for (let number = 1; number <= 10_000; number++) {
      pair.do((paths) => paths.set(record(number), `/d${number % 7}/f${number}`))
      seen.push(number)
      pair.do((paths) => paths.moveDirectory(`/d${number % 7}`, `/d${(number * 3) % 7}`))
      if (number % 1111 === 0) pair.drain()
      if (number % 1700 === 0) {
        pair.restart()
        // Of the moves no more are stored than are kept.
        expect(pair.moves.entries().length).toBeLessThanOrEqual(4096)
      }
    }
    pair.restart()
    const known = seen.filter((inode) => pair.whole.get(record(inode)) !== undefined)
    expect(known.length).toBeGreaterThan(1000)
    expect(known.length).toBeLessThan(seen.length)
    pair.compare(seen)
    for (let number = 1; number <= 100_000; number++) {
      pair.do((paths) => paths.set(record(number), '/many'))
      if (number % 30_000 === 0) pair.restart()
    }
    pair.compare(Array.from({ length: 1000 }, (_, index) => 1 + 100 * index))
    pair.drain()
    expect(pair.inodes.entries().length).toBeLessThanOrEqual(65_536)
  })

  test('with long paths, which are shed and counted', () => {
    const pair = new Pair()
    const long = (number: number): string => `/${String(number).padStart(1000, 'x')}`
    for (let number = 1; number <= 30_000; number++) {
      pair.do((paths) => paths.set(record(number), long(number)))
      if (number % 7000 === 0) pair.restart()
    }
    const numbers = Array.from({ length: 30_000 }, (_, index) => index + 1)
    pair.compare(numbers)
    const known = numbers.filter((number) => pair.cut.get(record(number)) !== undefined)
    // Whoever chooses names chooses no more than so much memory, and what was forgotten for it is said.
    expect(known.length * 1000).toBeLessThan(17_000_000)
    expect(known.length + pair.cut.shed).toBe(30_000)
    expect(known.every((number) => pair.cut.get(record(number)) === long(number))).toBe(true)
  })
})

describe('ProcessTable', () => {
  interface Call {
    readonly does: 'exec' | 'act' | 'uring' | 'exit'
    readonly pid: number
    readonly ppid: number
    readonly uid: number
    readonly isRoot: boolean
    readonly exe: string
    readonly script: boolean
  }
  // Few enough to meet again, and some so far away that the order of pids comes around.
  const pid = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 400, max: 406 }) },
    { weight: 2, arbitrary: fc.integer({ min: 9000, max: 9002 }) },
    { weight: 1, arbitrary: fc.integer({ min: 20_000, max: 20_001 }) },
  )
  const call: fc.Arbitrary<Call> = fc.record({
    does: fc.constantFrom('exec', 'exec', 'act', 'act', 'uring', 'exit'),
    pid,
    ppid: fc.oneof(pid, fc.constant(1)),
    uid: fc.constantFrom(0, 33),
    isRoot: fc.boolean(),
    exe: fc.constantFrom('/bin/sh', '/bin/a', '/bin/a (deleted)', '/usr/bin/python3'),
    script: fc.boolean(),
  })
  const step = fc.oneof({ weight: 5, arbitrary: call }, fc.constantFrom('drain', 'restart', 'boot'))

  /** The event of a call as the core reads it. */
  function eventOf({ pid, ppid, uid, isRoot, exe, script, does }: Call, timeMs: number): AuditEvent {
    const who = { pid, ppid, uid, euid: isRoot ? 0 : uid, exe: untrusted(exe) }
    const text = event(
      1,
      does === 'exec'
        ? [
            ['SYSCALL', syscall('execve', { ...who, items: 2 })],
            ['EXECVE', execve(script ? [exe, '/srv/x'] : [exe])],
            ['CWD', 'cwd="/srv"'],
            ['PATH', path(0, exe, 11, 'NORMAL')],
            ['PATH', path(1, '/lib64/ld-linux-x86-64.so.2', 12, 'NORMAL')],
          ]
        : [['SYSCALL', syscall('ptrace', who)]],
      { timeMs },
    )
    const [read] = runCore(text).events
    if (read === undefined) throw new Error('no event')
    return read
  }

  class Pair {
    readonly whole: ProcessTable
    cut: ProcessTable
    readonly images = new StateTable('image')
    readonly tasks = new StateTable('task')

    constructor(found: readonly FoundProcess[] = []) {
      this.whole = new ProcessTable(NO_WORLD)
      this.cut = new ProcessTable(NO_WORLD, true)
      for (const table of [this.whole, this.cut]) table.seed(found)
    }

    drain(): void {
      const tables = { image: this.images, task: this.tasks }
      this.cut.drain({
        put: (kind, key, value) => tables[kind as 'image' | 'task'].put(kind, key, value),
        remove: (kind, key) => tables[kind as 'image' | 'task'].remove(kind, key),
      })
    }

    restart(): void {
      this.drain()
      const { memory } = this.cut
      this.cut = new ProcessTable(NO_WORLD, true)
      this.cut.resume(stored(memory), this.images.entries(), this.tasks.entries())
    }

    /** What both say of a call must be the same. */
    do(work: (table: ProcessTable) => unknown): void {
      expect(work(this.cut)).toEqual(work(this.whole))
    }
  }

  const shown = (image: ProcessImage): unknown => [chainOf(image), image.depth, image.container]

  function act(table: ProcessTable, { does, pid }: Call, read: AuditEvent): unknown {
    const record = read.syscall as SyscallRecord
    switch (does) {
      case 'exec': {
        const { before, after } = table.exec(read, record)
        return [shown(before), shown(after)]
      }
      case 'act':
        return shown(table.actor(record, read.id.timeMs))
      case 'uring':
        return shown(table.uringActor(record, read.id.timeMs))
      case 'exit':
        table.exit(pid)
        return undefined
    }
  }

  const FOUND: FoundProcess[] = [
    {
      pid: 1,
      ppid: 0,
      uid: 0,
      exe: '/sbin/init',
      argv: ['init'],
      cwd: '/',
      container: '',
      ...{ startMs: 0, readMs: 1 },
    },
    {
      pid: 400,
      ppid: 1,
      uid: 33,
      exe: '/bin/sh',
      argv: ['sh'],
      cwd: '/',
      container: 'app',
      ...{ startMs: 5, readMs: 6 },
    },
  ]

  test('whatever is called, by whom, and when the host is booted', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, isSeeded) => {
        const pair = new Pair(isSeeded ? FOUND : [])
        let timeMs = 1000
        for (const each of steps) {
          timeMs += 10
          if (each === 'drain') pair.drain()
          else if (each === 'restart') pair.restart()
          else if (each === 'boot')
            pair.do((table) => {
              table.forgetAll()
              table.seed(FOUND)
            })
          else {
            const read = eventOf(each, timeMs)
            pair.do((table) => act(table, each, read))
          }
        }
        pair.restart()
        for (const asked of [1, 400, 401, 402, 403, 404, 405, 406, 9000, 9001, 9002, 20_000, 20_001])
          pair.do((table) => shown(table.target(asked, 7, 'x', timeMs)))
      }),
      { numRuns: 400 },
    )
  })

  test('nothing is known after all was forgotten, and nothing is left in the table', () => {
    const pair = new Pair(FOUND)
    pair.drain()
    expect(pair.tasks.entries()).toHaveLength(2)
    pair.do((table) => table.forgetAll())
    pair.drain()
    expect(pair.tasks.entries()).toEqual([])
    expect(chainOf(pair.cut.target(400, 33, 'sh', 1000))).toEqual(['proc::33:[sh]'])
  })

  /** Execs under these pids, the children of init. */
  function execs(pair: Pair, pids: readonly number[]): void {
    for (const pid of pids) {
      const each: Call = { does: 'exec', pid, ppid: 1, uid: 0, isRoot: true, exe: '/bin/a', script: false }
      pair.do((table) => act(table, each, eventOf(each, 1000)))
    }
  }

  test('a daemon that has started processes is still known when the order of pids has come around', () => {
    const pair = new Pair()
    execs(pair, [400])
    const child: Call = {
      ...{ does: 'exec', pid: 450, ppid: 400, uid: 0, isRoot: true, exe: '/bin/sh', script: false },
    }
    // Written as one that has no children yet.
    pair.drain()
    pair.do((table) => act(table, child, eventOf(child, 1000)))
    execs(pair, [9000, 9001, 20_000, 20_001, 500, 501, 9000, 9001])
    pair.restart()
    pair.do((table) => act(table, { ...child, pid: 9002 }, eventOf({ ...child, pid: 9002 }, 1000)))
    expect(chainOf(pair.cut.target(9002, 0, 'x', 1000))).toEqual([
      'proc::0:?',
      'proc::0:/bin/a',
      'proc::0:/bin/sh',
    ])
  })

  test('after a boot the order of pids begins anew', () => {
    const pair = new Pair()
    execs(pair, [9000, 9001, 20_000, 20_001])
    pair.do((table) => {
      table.forgetAll()
      table.seed(FOUND)
    })
    execs(pair, [500, 501, 502])
    pair.restart()
    expect(chainOf(pair.cut.target(400, 33, 'x', 1000)).at(-1)).toBe('proc:app:33:/bin/sh')
  })

  test('with long names, which are shed and counted', () => {
    const pair = new Pair()
    const COUNT = 12_000
    for (let number = 0; number < COUNT; number++) {
      const exe = `/${String(number).padStart(4000, 'x')}`
      const record = { pid: 1000 + number, ppid: 1, uid: 0, euid: 0, exe, user: 'root' } as SyscallRecord
      const read = { id: { node: '', timeMs: number, serial: number }, argv: [exe], paths: [] } as unknown
      pair.do((table) => act(table, { does: 'exec' } as Call, { ...(read as AuditEvent), syscall: record }))
      if (number % 3500 === 3499) pair.restart()
    }
    pair.restart()
    expect(pair.cut.shed).toBe(pair.whole.shed)
    const isKnown = (table: ProcessTable, number: number): boolean =>
      !table.target(1000 + number, 0, 'x', COUNT).exe.startsWith('[')
    const numbers = Array.from({ length: COUNT }, (_, number) => number)
    const known = numbers.filter((number) => isKnown(pair.cut, number))
    expect(known).toEqual(numbers.filter((number) => isKnown(pair.whole, number)))
    expect(known).toContain(COUNT - 1)
    expect(known.length * 4000).toBeLessThan(34_000_000)
    expect(known.length + pair.cut.shed).toBe(COUNT)
    expect(pair.tasks.entries()).toHaveLength(known.length)
  })
})
