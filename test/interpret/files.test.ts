import { describe, expect, test } from 'vitest'
import { NO_WORLD, type World } from '../../agent/domain/activity.ts'
import { runCore } from '../support/edges.ts'
import type { CALL } from '../support/log.ts'
import { event, path, syscall } from '../support/log.ts'

type Call = keyof typeof CALL
const AT_FDCWD = 'ffffff9c'

/** One call with its PATH bodies, in the order of the log. */
interface Step {
  readonly call: Call
  readonly fields?: Readonly<Record<string, string | number>>
  readonly cwd?: string
  readonly paths: readonly string[]
  readonly more?: readonly (readonly [string, string])[]
}

const log = (steps: readonly Step[]): string =>
  steps
    .map(({ call, fields = {}, cwd = '/srv/app', paths, more = [] }, index) =>
      event(index + 1, [
        ['SYSCALL', syscall(call, { items: paths.length, ...fields })],
        ...more,
        ['CWD', `cwd="${cwd}"`],
        ...paths.map((body) => ['PATH', body] as const),
      ]),
    )
    .join('')

/** `ACTION PATH` of every file edge, in the order of the log. */
const changesOf = (world: World, ...steps: readonly Step[]): string[] =>
  runCore(log(steps), world)
    .edges.filter(({ to }) => to.startsWith('file:'))
    .map(({ kind, to }) => `${kind} ${to.slice(`file:${kind}:`.length)}`)
const changes = (...steps: readonly Step[]): string[] => changesOf(NO_WORLD, ...steps)

/** The recorded example of the true problem: /tmp by descriptor, the current directory in its place. */
const TMP = path(0, '/tmp/', 260072, 'PARENT')
const NOT_TMP = path(0, '/srv/app', 260072, 'PARENT')
const learnsTmp: Step = {
  call: 'openat',
  fields: { a0: AT_FDCWD, a2: '241' },
  paths: [TMP, path(1, '/tmp/first', 9, 'CREATE')],
}
const CREATED = 'create /tmp/first'

describe('what a call does', () => {
  test.each<[what: string, step: Step, expected: readonly string[]]>([
    [
      'open of a new file',
      {
        call: 'open',
        fields: { a1: '241' },
        paths: [path(0, '/srv/', 7, 'PARENT'), path(1, '/srv/x', 8, 'CREATE')],
      },
      ['create /srv/x'],
    ],
    [
      'open to write',
      { call: 'open', fields: { a1: '1' }, paths: [path(0, '/srv/x', 8, 'NORMAL')] },
      ['write /srv/x'],
    ],
    [
      'open to read and write',
      { call: 'openat', fields: { a0: AT_FDCWD, a2: '80002' }, paths: [path(0, '/srv/x', 8, 'NORMAL')] },
      ['write /srv/x'],
    ],
    [
      'open to truncate',
      { call: 'open', fields: { a1: '200' }, paths: [path(0, '/srv/x', 8, 'NORMAL')] },
      ['write /srv/x'],
    ],
    [
      'open to read',
      { call: 'openat', fields: { a0: AT_FDCWD, a2: '80000' }, paths: [path(0, '/srv/x', 8, 'NORMAL')] },
      [],
    ],
    [
      'open to read what would have been created',
      { call: 'open', fields: { a1: '40' }, paths: [path(0, '/srv/x', 8, 'NORMAL')] },
      [],
    ],
    ['creat of an old file', { call: 'creat', paths: [path(0, '/srv/x', 8, 'NORMAL')] }, ['write /srv/x']],
    [
      'openat2',
      {
        call: 'openat2',
        fields: { a0: AT_FDCWD, a2: '7ffd' },
        more: [['OPENAT2', 'oflag=01 mode=0 resolve=0x0']],
        paths: [path(0, '/srv/x', 8, 'NORMAL')],
      },
      ['write /srv/x'],
    ],
    [
      'openat2 to read',
      {
        call: 'openat2',
        fields: { a0: AT_FDCWD, a2: '7ffd' },
        more: [['OPENAT2', 'oflag=00 mode=0 resolve=0x0']],
        paths: [path(0, '/srv/x', 8, 'NORMAL')],
      },
      [],
    ],
    [
      'unlink',
      { call: 'unlink', paths: [path(0, '/srv/', 7, 'PARENT'), path(1, '/srv/x', 8, 'DELETE')] },
      ['delete /srv/x'],
    ],
    [
      'mkdir by any number',
      {
        call: 'unlink',
        fields: { syscall: 83 },
        paths: [path(0, '/srv/', 7, 'PARENT'), path(1, '/srv/d', 8, 'CREATE')],
      },
      ['create /srv/d'],
    ],
    [
      'a call nobody knows',
      {
        call: 'unlink',
        fields: { syscall: 9999 },
        paths: [path(0, '/srv/', 7, 'PARENT'), path(1, '/srv/d', 8, 'CREATE')],
      },
      ['create /srv/d'],
    ],
    [
      'symlink',
      {
        call: 'unlink',
        fields: { syscall: 88 },
        paths: [
          path(0, '/srv/', 7, 'PARENT'),
          path(1, '/srv/l', 8, 'CREATE'),
          path(2, '/etc/passwd', 0, 'UNKNOWN'),
        ],
      },
      ['create /srv/l'],
    ],
    [
      'link',
      {
        call: 'link',
        paths: [
          path(0, '/srv/', 7, 'PARENT'),
          path(1, '/etc/shadow', 8, 'NORMAL'),
          path(2, '/srv/l', 8, 'CREATE'),
        ],
      },
      ['create /srv/l'],
    ],
    [
      'chmod',
      { call: 'fchmodat', fields: { a0: AT_FDCWD }, paths: [path(0, '/srv/x', 8, 'NORMAL')] },
      ['attribute /srv/x'],
    ],
    [
      'a failed unlink',
      {
        call: 'unlink',
        fields: { success: 'no', exit: -1 },
        paths: [path(0, '/srv/', 7, 'PARENT'), path(1, '/srv/x', 8, 'DELETE')],
      },
      [],
    ],
    [
      'a failed open',
      {
        call: 'open',
        fields: { success: 'no', exit: -17, a1: 'c1' },
        paths: [path(0, '/srv/', 7, 'PARENT')],
      },
      [],
    ],
    [
      'a call that never returned',
      {
        call: 'unlink',
        fields: { success: '', exit: '' },
        paths: [path(0, '/srv/', 7, 'PARENT'), path(1, '/srv/x', 8, 'DELETE')],
      },
      [],
    ],
    ['connect to a socket', { call: 'connect', paths: [path(0, '/run/x.sock', 8, 'NORMAL')] }, []],
    [
      'bind of a socket',
      { call: 'bind', paths: [path(0, '/run/', 7, 'PARENT'), path(1, '/run/x.sock', 8, 'CREATE')] },
      ['create /run/x.sock'],
    ],
  ])('%s', (_, step, expected) => {
    expect(changes(step)).toEqual(expected)
  })

  test('numbers are those of the architecture: 87 is swapon on i386, 10 is unlink', () => {
    const paths = [path(0, '/srv/x', 8, 'NORMAL')]
    expect(changes({ call: 'open', fields: { arch: '40000003', syscall: 5, a1: '1' }, paths })).toEqual([
      'write /srv/x',
    ])
    expect(
      changes({ call: 'open', fields: { arch: 'c00000b7', syscall: 56, a0: AT_FDCWD, a2: '1' }, paths }),
    ).toEqual(['write /srv/x'])
    expect(changes({ call: 'open', fields: { arch: 'c00000b7', a1: '1' }, paths })).toEqual([])
  })
})

describe('a name', () => {
  const one = (name: string, cwd: string): string[] =>
    changes({ call: 'open', fields: { a1: '1' }, cwd, paths: [path(0, name, 8, 'NORMAL')] })

  test.each([
    ['/srv//a/./b/../c/', '/', 'write /srv/a/c'],
    ['x', '/srv/app', 'write /srv/app/x'],
    ['./x', '/', 'write /x'],
    ['../../../x', '/srv/app', 'write /x'],
    ['a\nb', '/srv', String.raw`write /srv/a\x0ab`],
  ])('%s in %s', (name, cwd, expected) => {
    expect(one(name, cwd)).toEqual([expected])
  })

  test('relative to a directory that is not known', () => {
    expect(
      changes({ call: 'open', fields: { a1: '1' }, cwd: '', paths: [path(0, 'x', 8, 'NORMAL')] }),
    ).toEqual(['write ?/x'])
  })
})

describe('a name relative to a descriptor', () => {
  const unlinkat: Step = {
    call: 'unlinkat',
    fields: { a0: 3 },
    paths: [NOT_TMP, path(1, 'tmp1.csv', 2146311, 'DELETE')],
  }

  test('is never joined with the current directory', () => {
    expect(changes(unlinkat)).toEqual(['delete ?/tmp1.csv'])
  })

  test('lies in the directory whose inode has been seen', () => {
    expect(changes(learnsTmp, unlinkat)).toEqual([CREATED, 'delete /tmp/tmp1.csv'])
  })

  test('though another device has the same inode', () => {
    const other = {
      ...learnsTmp,
      paths: [path(0, '/mnt/', 260072, 'PARENT', '00:2d'), path(1, '/mnt/first', 9, 'CREATE', '00:2d')],
    }
    expect(changes(other, unlinkat)).toEqual(['create /mnt/first', 'delete ?/tmp1.csv'])
  })

  test('and the current directory that stands in its place teaches nothing', () => {
    const inCwd: Step = {
      call: 'unlink',
      paths: [path(0, '/srv/app', 5, 'PARENT'), path(1, 'x', 6, 'DELETE')],
    }
    expect(changes(unlinkat, unlinkat, inCwd, unlinkat)).toEqual([
      'delete ?/tmp1.csv',
      'delete ?/tmp1.csv',
      'delete /srv/app/x',
      'delete ?/tmp1.csv',
    ])
  })

  test('AT_FDCWD of 32 and of 64 bits is the current directory', () => {
    for (const a0 of [AT_FDCWD, `ffffffff${AT_FDCWD}`])
      expect(changes({ ...unlinkat, fields: { a0 } })).toEqual(['delete /srv/app/tmp1.csv'])
  })

  test('an absolute name needs no descriptor', () => {
    expect(changes({ ...unlinkat, paths: [TMP, path(1, '/tmp/x', 8, 'DELETE')] })).toEqual(['delete /tmp/x'])
  })

  test('with directories of its own lies in the PARENT, not in the descriptor', () => {
    const deep: Step = {
      call: 'mkdirat',
      fields: { a0: 3 },
      paths: [path(0, 'a/b/', 77, 'PARENT'), path(1, 'a/b/c/', 78, 'CREATE')],
    }
    const learns: Step = {
      call: 'mkdirat',
      fields: { a0: AT_FDCWD },
      paths: [path(0, '/data/a/', 76, 'PARENT'), path(1, '/data/a/b', 77, 'CREATE')],
    }
    expect(changes(deep)).toEqual(['create ?/a/b/c'])
    expect(changes(learns, deep)).toEqual(['create /data/a/b', 'create /data/a/b/c'])
  })

  test('is known by its own inode when no PARENT is logged', () => {
    const write: Step = { call: 'openat', fields: { a0: 3, a2: '1' }, paths: [path(0, 'first', 9, 'NORMAL')] }
    expect(changes(write)).toEqual(['write ?/first'])
    expect(changes(learnsTmp, write)).toEqual([CREATED, 'write /tmp/first'])
  })

  test('is asked of /proc at last', () => {
    const asked: string[] = []
    const world: World = {
      ...NO_WORLD,
      descriptorPath: (pid, fd, inode) => {
        asked.push(`${pid} ${fd} ${inode}`)
        return '/var/spool'
      },
    }
    expect(changesOf(world, unlinkat)).toEqual(['delete /var/spool/tmp1.csv'])
    expect(asked).toEqual(['100 3 260072'])
    expect(changesOf(world, learnsTmp, unlinkat)).toEqual([CREATED, 'delete /tmp/tmp1.csv'])
    expect(asked).toHaveLength(1)
  })

  test.each<[call: Call, fields: Record<string, string | number>, names: readonly string[]]>([
    ['linkat', { a0: AT_FDCWD, a2: 3 }, ['/etc/shadow', 'l']],
    ['unlinkat', { a0: 3 }, ['', 'l']],
    ['mkdirat', { a0: 3 }, ['', 'l']],
    ['openat', { a0: 3, a2: '41' }, ['', 'l']],
    ['openat2', { a0: 3 }, ['', 'l']],
  ])('%s: the right argument is the descriptor', (call, fields, [old, name]) => {
    const type = call === 'unlinkat' ? 'DELETE' : 'CREATE'
    const middle = old === '' ? [] : [path(1, old, 8, 'NORMAL')]
    const paths = [NOT_TMP, ...middle, path(1 + middle.length, name, 8, type)]
    expect(changes(learnsTmp, { call, fields, paths })).toEqual([CREATED, `${type.toLowerCase()} /tmp/l`])
  })
})

describe('a descriptor alone', () => {
  const fchown: Step = { call: 'fchown', fields: { a0: 5 }, paths: [path(0, undefined, 9, 'NORMAL')] }

  test('has the path under which its inode was seen', () => {
    expect(changes(learnsTmp, fchown)).toEqual([CREATED, 'attribute /tmp/first'])
  })

  test('or nothing, when it was never seen', () => {
    expect(changes(fchown)).toEqual(['attribute ?'])
  })

  test('or the path that /proc shows', () => {
    const world = {
      ...NO_WORLD,
      descriptorPath: (pid: number, fd: number) => (pid === 100 && fd === 5 ? '/srv/open' : undefined),
    }
    expect(changesOf(world, fchown)).toEqual(['attribute /srv/open'])
    expect(changesOf(world, learnsTmp, fchown)).toEqual([CREATED, 'attribute /tmp/first'])
  })

  test('of a file opened by its handle is the one that the call returned, never a1', () => {
    const asked: string[] = []
    const world: World = {
      ...NO_WORLD,
      descriptorPath: (pid, fd, inode) => {
        asked.push(`${pid} ${fd} ${inode}`)
        return fd === 7 ? '/srv/opened' : '/wrong'
      },
    }
    const step: Step = {
      call: 'open_by_handle_at',
      fields: { a0: 5, a1: 6, a2: '1', exit: 7 },
      paths: [path(0, undefined, 12, 'NORMAL')],
    }
    expect(changesOf(world, step)).toEqual(['write /srv/opened'])
    expect(asked).toEqual(['100 7 12'])
    expect(changes(step)).toEqual(['write ?'])
    expect(changes(learnsTmp, { ...step, paths: [path(0, undefined, 9, 'NORMAL')] })).toEqual([
      CREATED,
      'write /tmp/first',
    ])
  })

  test('of the number -100 is the current directory only where a directory is meant', () => {
    const world = { ...NO_WORLD, descriptorPath: () => '/wrong' }
    const empty: Step = { call: 'fchmodat', fields: { a0: AT_FDCWD }, paths: [path(0, '', 5, 'NORMAL')] }
    expect(changesOf(world, empty)).toEqual(['attribute /srv/app'])
    expect(changesOf(world, { ...empty, fields: { a0: 3 } })).toEqual(['attribute /wrong'])
  })

  test('a name that is gone is gone: the inode may be another file now', () => {
    const gone: Step = { call: 'unlink', paths: [TMP, path(1, '/tmp/first', 9, 'DELETE')] }
    expect(changes(learnsTmp, gone, fchown)).toEqual([CREATED, 'delete /tmp/first', 'attribute ?'])
  })

  test('but another name of the file lives on', () => {
    const linked: Step = {
      call: 'link',
      paths: [TMP, path(1, '/tmp/first', 9, 'NORMAL'), path(2, '/tmp/second', 9, 'CREATE')],
    }
    const gone: Step = { call: 'unlink', paths: [TMP, path(1, '/tmp/first', 9, 'DELETE')] }
    expect(changes(learnsTmp, linked, gone, fchown).at(-1)).toBe('attribute /tmp/second')
  })

  test('a renamed file has its new name', () => {
    const moved: Step = {
      call: 'rename',
      paths: [
        TMP,
        path(1, '/srv/', 7, 'PARENT'),
        path(2, '/tmp/first', 9, 'DELETE'),
        path(3, '/srv/second', 9, 'CREATE'),
      ],
    }
    expect(changes(learnsTmp, moved, fchown).at(-1)).toBe('attribute /srv/second')
  })
})

describe('a rename', () => {
  const OLD = path(0, '/old/', 1, 'PARENT')
  const NEW = path(1, '/new/', 2, 'PARENT')

  test('to a free name', () => {
    const paths = [OLD, NEW, path(2, '/old/a', 9, 'DELETE'), path(3, '/new/b', 9, 'CREATE')]
    expect(changes({ call: 'rename', paths })).toEqual(['rename /old/a', 'rename /new/b'])
  })

  test('over a file: the victim and the moved one are told apart by their inodes', () => {
    const victim = path(3, '/new/b', 10, 'DELETE')
    const paths = [OLD, NEW, path(2, '/old/a', 9, 'DELETE'), victim, path(4, '/new/b', 9, 'CREATE')]
    const names = changes({ call: 'rename', paths })
    expect(new Set(names)).toEqual(new Set(['rename /old/a', 'rename /new/b']))
    const fchown: Step = { call: 'fchown', fields: { a0: 5 }, paths: [path(0, undefined, 10, 'NORMAL')] }
    expect(changes({ call: 'rename', paths }, fchown).at(-1)).toBe('attribute ?')
  })

  const knowsBoth: Step[] = [
    { call: 'unlink', paths: [OLD, path(1, '/old/x', 20, 'DELETE')] },
    { call: 'unlink', paths: [path(0, '/new/', 2, 'PARENT'), path(1, '/new/x', 21, 'DELETE')] },
  ]
  const parents = (first: number, second: number): string[] => [
    path(0, '/srv/app', first, 'PARENT'),
    path(1, '/srv/app', second, 'PARENT'),
  ]
  const names = [path(2, 'a', 9, 'DELETE'), path(3, 'b', 9, 'CREATE')]

  test('between two descriptors, in a directory each', () => {
    const created: Step = { call: 'open', fields: { a1: '41' }, paths: [OLD, path(1, '/old/a', 9, 'CREATE')] }
    for (const [first, second] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const step: Step = {
        call: 'renameat',
        fields: { a0: 3, a2: 4 },
        paths: [...parents(first, second), ...names],
      }
      // The file was seen in /old, so that is the old directory, in whatever order the kernel writes the two.
      expect(changes(...knowsBoth, created, step).slice(3)).toEqual(['rename /old/a', 'rename /new/b'])
    }
  })

  test('between two descriptors of one directory', () => {
    const step: Step = { call: 'renameat2', fields: { a0: 3, a2: 3 }, paths: [...parents(1, 1), ...names] }
    expect(changes(...knowsBoth, step).slice(2)).toEqual(['rename /old/a', 'rename /old/b'])
  })

  test('that tells nothing about its directories is not guessed', () => {
    const step: Step = { call: 'renameat', fields: { a0: 3, a2: 4 }, paths: [...parents(1, 2), ...names] }
    expect(changes(step)).toEqual(['rename ?/a', 'rename ?/b'])
    for (const path of changes(...knowsBoth, step).slice(2))
      expect(path).toMatch(/^rename (\?|\/old|\/new)\/[ab]$/)
  })

  test('that tells nothing itself goes by one that did: a kernel writes the two always in the same order', () => {
    const created: Step = {
      call: 'open',
      fields: { a1: '41' },
      paths: [OLD, path(1, '/old/a', 9, 'CREATE')],
    }
    const other = [path(2, 'c', 11, 'DELETE'), path(3, 'd', 11, 'CREATE')]
    for (const [first, second] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const step = (renamed: readonly string[]): Step => ({
        call: 'renameat',
        fields: { a0: 3, a2: 4 },
        paths: [...parents(first, second), ...renamed],
      })
      expect(changes(...knowsBoth, created, step(names), step(other)).slice(5)).toEqual([
        'rename /old/c',
        'rename /new/d',
      ])
    }
  })

  test('from the current directory to a descriptor', () => {
    const paths = [path(0, '/srv/app', 5, 'PARENT'), path(1, '/srv/app', 2, 'PARENT'), ...names]
    const step: Step = { call: 'renameat', fields: { a0: AT_FDCWD, a2: 4 }, paths }
    expect(changes(...knowsBoth, step).slice(2)[0]).toBe('rename /srv/app/a')
    expect(changes(...knowsBoth, step).slice(2)[1]).not.toBe('rename /srv/app/b')
  })

  test('half of whose records were lost claims no directory that it does not know', () => {
    const step: Step = {
      call: 'renameat',
      fields: { a0: AT_FDCWD, a2: 4 },
      paths: [...parents(5, 2), path(3, 'b', 9, 'CREATE')],
    }
    expect(changes(...knowsBoth, step).slice(2)).not.toContain('rename /srv/app/b')
    const other: Step = {
      call: 'renameat',
      fields: { a0: 3, a2: 4 },
      paths: [...parents(1, 2), path(3, 'b', 9, 'CREATE')],
    }
    expect(changes(...knowsBoth, other).slice(2)).not.toContain('rename /old/b')
  })
})

test('what is remembered is bounded, and the oldest goes first', () => {
  const steps = Array.from({ length: 70_000 }, (_, index): Step => ({
    call: 'open',
    fields: { a1: '1' },
    paths: [path(0, `/many/${index}`, index + 1, 'NORMAL')],
  }))
  const at = (inode: number): Step => ({
    call: 'fchmod',
    fields: { a0: 3 },
    paths: [path(0, undefined, inode, 'NORMAL')],
  })
  const { edges } = runCore(log([...steps, at(1), at(70_000)]))
  expect(edges.slice(-2).map(({ to }) => to)).toEqual(['file:attribute:?', 'file:attribute:/many/69999'])
})
