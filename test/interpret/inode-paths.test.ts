import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PathRecord } from '../../agent/domain/record.ts'
import { InodePaths } from '../../agent/interpret/inode-paths.ts'

const record = (inode: number, dev = 'fe:00'): PathRecord => ({
  type: 'PATH',
  item: 0,
  name: undefined,
  inode,
  dev,
  mode: 0o100644,
  nameType: 'NORMAL',
})

test('a path is what the last name and the moves since make of it, however often it is asked for', () => {
  const name = fc.constantFrom('/a', '/b', '/a/b', '/b/a', '/c')
  const step = fc.oneof(
    fc.record({ does: fc.constant('set' as const), inode: fc.nat(3), path: name.map((dir) => `${dir}/x`) }),
    fc.record({ does: fc.constant('move' as const), from: name, to: fc.option(name, { nil: undefined }) }),
    fc.record({ does: fc.constant('forget' as const), inode: fc.nat(3) }),
    fc.record({ does: fc.constant('get' as const), inode: fc.nat(3) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const paths = new InodePaths()
      // The obvious way: every move changes every path below it.
      const obvious = new Map<number, string>()
      for (const each of steps) {
        switch (each.does) {
          case 'set':
            paths.set(record(each.inode + 1), each.path)
            obvious.set(each.inode, each.path)
            break
          case 'forget':
            paths.forget(record(each.inode + 1))
            obvious.delete(each.inode)
            break
          case 'move':
            paths.moveDirectory(each.from, each.to)
            for (const [inode, path] of obvious) {
              if (!path.startsWith(`${each.from}/`)) continue
              if (each.to === undefined) obvious.delete(inode)
              else obvious.set(inode, each.to + path.slice(each.from.length))
            }
            break
          case 'get':
            expect(paths.get(record(each.inode + 1))).toBe(obvious.get(each.inode))
        }
      }
      for (const inode of [0, 1, 2, 3]) expect(paths.get(record(inode + 1))).toBe(obvious.get(inode))
    }),
    { numRuns: 2000 },
  )
})

test('the same number on another device is another file, and 0 is none', () => {
  const paths = new InodePaths()
  paths.set(record(9), '/one')
  paths.set(record(9, '00:2d'), '/two')
  paths.set(record(0), '/none')
  expect(paths.get(record(9))).toBe('/one')
  expect(paths.get(record(9, '00:2d'))).toBe('/two')
  expect(paths.get(record(0))).toBeUndefined()
  paths.forget(record(9))
  expect(paths.get(record(9))).toBeUndefined()
  expect(paths.get(record(9, '00:2d'))).toBe('/two')
})

test('what is seen again and again is kept, and what is asked for only is not', () => {
  const paths = new InodePaths()
  paths.set(record(1), '/kept')
  paths.set(record(2), '/forgotten')
  for (let inode = 10; inode < 200_000; inode++) {
    paths.set(record(inode), '/many')
    paths.set(record(1), '/kept')
    paths.get(record(2))
  }
  expect(paths.get(record(1))).toBe('/kept')
  expect(paths.get(record(2))).toBeUndefined()
})
