import { describe, expect, test } from 'vitest'
import { NO_WORLD, type World } from '../../agent/domain/activity.ts'
import { Core } from '../../agent/core.ts'
import type { SeenEdge } from '../../agent/graph/edges.ts'
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

test.each([
  ['that others may execute is a program', '0100755', 'others'],
  ['that only its owner may execute may be none: postfix marks its messages so', '0100700', 'owner'],
  ['that gives the rights of its owner is one in any case', '0104700', 'others'],
  ['that nobody may execute is none', '0100644', 'nobody'],
])('a file %s', (_, mode, executableBy) => {
  const made = path(1, '/srv/x', 8, 'CREATE').replace(/mode=\d+/, `mode=${mode}`)
  const step: Step = { call: 'open', fields: { a1: '241' }, paths: [path(0, '/srv/', 7, 'PARENT'), made] }
  const seen: SeenEdge[] = []
  const core = new Core(NO_WORLD, { onEvent: () => undefined, onEdge: (edge) => void seen.push(edge) })
  core.push(Buffer.from(log([step])))
  core.end()
  expect(seen.map((edge) => edge.executableBy)).toEqual([executableBy])
})

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

  test('and it teaches nothing when it is not known, or is the root', () => {
    const inRoot: Step = {
      ...unlinkat,
      cwd: '/',
      paths: [path(0, '/', 260072, 'PARENT'), path(1, 'x', 8, 'DELETE')],
    }
    expect(changes(inRoot, unlinkat)).toEqual(['delete ?/x', 'delete ?/tmp1.csv'])
    const [call, , parent, child] = log([unlinkat]).split('\n')
    expect(runCore(`${[call, parent, child].join('\n')}\n`).edges.map(({ to }) => to)).toEqual([
      'file:delete:?/tmp1.csv',
    ])
  })

  test('but a directory that was named in full is learned there, too', () => {
    const named: Step = { ...unlinkat, paths: [TMP, path(1, '/tmp/x', 8, 'DELETE')] }
    expect(changes(named, unlinkat)).toEqual(['delete /tmp/x', 'delete /tmp/tmp1.csv'])
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

  test('that tells nothing goes by one of full names, too, but not by one within a directory', () => {
    const untold: Step = { call: 'renameat', fields: { a0: 3, a2: 4 }, paths: [...parents(1, 2), ...names] }
    const full: Step = {
      call: 'rename',
      paths: [
        path(0, '/new/', 2, 'PARENT'),
        path(1, '/old/', 1, 'PARENT'),
        path(2, '/old/c', 11, 'DELETE'),
        path(3, '/new/c', 11, 'CREATE'),
      ],
    }
    expect(changes(full, untold).slice(2)).toEqual(['rename /new/a', 'rename /old/b'])
    const within: Step = {
      call: 'rename',
      paths: [
        OLD,
        path(1, '/old/', 1, 'PARENT'),
        path(2, '/old/c', 11, 'DELETE'),
        path(3, '/old/d', 11, 'CREATE'),
      ],
    }
    expect(changes(...knowsBoth, within, untold).slice(4)).toEqual(['rename ?/a', 'rename ?/b'])
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

describe('a directory', () => {
  const directory = (item: number, name: string | undefined, inode: number, type: string): string =>
    path(item, name, inode, type).replace('mode=0100644', 'mode=040755')
  const made: Step = {
    call: 'open',
    fields: { a1: '41' },
    paths: [path(0, '/old/sub/', 31, 'PARENT'), path(1, '/old/sub/x', 32, 'CREATE')],
  }
  const rename = (from: string, to: string, inode = 30): Step => ({
    call: 'rename',
    paths: [
      path(0, '/', 2, 'PARENT'),
      path(1, '/', 2, 'PARENT'),
      directory(2, from, inode, 'DELETE'),
      directory(3, to, inode, 'CREATE'),
    ],
  })
  const fchmod = (inode: number): Step => ({
    call: 'fchmod',
    fields: { a0: 3 },
    paths: [path(0, undefined, inode, 'NORMAL')],
  })
  const last = (...steps: readonly Step[]): string | undefined => changes(...steps).at(-1)

  test('that is renamed takes along what lies in it, however deep', () => {
    expect(last(made, rename('/old', '/new'), fchmod(32))).toBe('attribute /new/sub/x')
    const unlinkat: Step = {
      call: 'unlinkat',
      fields: { a0: 3 },
      paths: [directory(0, '/srv/app', 31, 'PARENT'), path(1, 'x', 32, 'DELETE')],
    }
    expect(last(made, rename('/old', '/new'), unlinkat)).toBe('delete /new/sub/x')
  })

  test('that is renamed again and again, and another in its place', () => {
    const steps = [made, rename('/old', '/new'), rename('/other', '/old', 40), rename('/old', '/third', 40)]
    expect(last(...steps, fchmod(32))).toBe('attribute /new/sub/x')
    expect(last(...steps, rename('/new', '/old'), fchmod(32))).toBe('attribute /old/sub/x')
    // What was moved to a name that was moved away before.
    const intoPlace = [made, rename('/new', '/gone', 40), rename('/old', '/new')]
    expect(last(...intoPlace, fchmod(32), fchmod(32))).toBe('attribute /new/sub/x')
    const inBetween = fchmod(32)
    expect(last(made, rename('/old', '/new'), inBetween, rename('/new', '/end'), inBetween)).toBe(
      'attribute /end/sub/x',
    )
  })

  test('that is renamed does not take along what is only called alike', () => {
    const alike: Step = { call: 'open', fields: { a1: '1' }, paths: [path(0, '/older', 33, 'NORMAL')] }
    expect(last(alike, rename('/old', '/new'), fchmod(33))).toBe('attribute /older')
    const seenSince: Step = { call: 'open', fields: { a1: '1' }, paths: [path(0, '/old/x', 34, 'NORMAL')] }
    expect(last(rename('/old', '/new'), seenSince, fchmod(34))).toBe('attribute /old/x')
  })

  test('that was a file all the time moves nothing', () => {
    const file: Step = {
      ...rename('/old', '/new'),
      paths: rename('/old', '/new').paths.map((body) => body.replace('mode=040755', 'mode=0100644')),
    }
    expect(last(made, file, fchmod(32))).toBe('attribute /old/sub/x')
  })

  test('that goes where nobody knows takes along what lies in it', () => {
    const away: Step = {
      call: 'renameat',
      fields: { a0: AT_FDCWD, a2: 4 },
      paths: [
        directory(0, '/', 2, 'PARENT'),
        directory(1, '/srv/app', 50, 'PARENT'),
        directory(2, '/old', 30, 'DELETE'),
        directory(3, 'b', 30, 'CREATE'),
      ],
    }
    expect(last(made, away, fchmod(32))).toBe('attribute ?')
  })

  // `rm -rf` of a big tree deletes thousands: that must not cost what is known of other directories.
  test('of 10,000 deleted takes nothing with it', () => {
    const rmdir = (name: string): Step => ({
      call: 'unlink',
      fields: { syscall: 84 },
      paths: [path(0, '/tree/', 30, 'PARENT'), directory(1, `/tree/${name}`, 50, 'DELETE')],
    })
    const tree = Array.from({ length: 10_000 }, (_, index) => rmdir(`d${index}`))
    expect(last(made, ...tree, fchmod(32))).toBe('attribute /old/sub/x')
  })

  test('of 10,000 renamed is still known, if it was seen lately', () => {
    const rounds = Array.from({ length: 5000 }, () => [rename('/old', '/new'), rename('/new', '/old')]).flat()
    expect(last(made, ...rounds, made, rename('/old', '/new'), fchmod(32))).toBe('attribute /new/sub/x')
    const others = Array.from({ length: 5000 }, () => rename('/a', '/b', 41))
    expect(last(made, rename('/old', '/new'), ...others, fchmod(32))).not.toBe('attribute /old/sub/x')
  })

  // open(2), O_TMPFILE: the name is that of the directory; the inode, as recorded, that of the new file.
  test('in which a file without a name is made is not written', () => {
    const temporary: Step = {
      call: 'openat',
      fields: { a0: AT_FDCWD, a2: '410002' },
      paths: [path(0, '/tmp', 35, 'NORMAL')],
    }
    expect(changes(temporary)).toEqual([])
    expect(changes(temporary, fchmod(35))).toEqual(['attribute ?'])
    expect(changes({ ...temporary, fields: { a0: AT_FDCWD, a2: '10002' } })).toEqual(['write /tmp'])
  })

  test('is learned from a name seen from the current directory, too', () => {
    const step: Step = {
      call: 'mkdirat',
      fields: { a0: AT_FDCWD },
      cwd: '/data',
      paths: [path(0, 'a/', 31, 'PARENT'), path(1, 'a/b', 33, 'CREATE')],
    }
    const unlinkat: Step = {
      call: 'unlinkat',
      fields: { a0: 3 },
      paths: [path(0, '/srv/app', 31, 'PARENT'), path(1, 'x', 32, 'DELETE')],
    }
    expect(changes(step, unlinkat)).toEqual(['create /data/a/b', 'delete /data/a/x'])
    const ofDescriptor = { ...step, fields: { a0: 3 } }
    expect(changes(ofDescriptor, unlinkat)).toEqual(['create ?/a/b', 'delete ?/x'])
  })
})

// As RHEL 5 writes them.
describe('records that do not say what they are', () => {
  const untyped = (item: number, name: string, inode: number): string =>
    path(item, name, inode, 'NORMAL').replace(/ nametype=.*/, '')
  const both = [untyped(0, '/srv/', 7), untyped(1, '/srv/x', 8)]

  test.each<[call: Call, number: number, paths: readonly string[], expected: readonly string[]]>([
    ['open', 2, [untyped(0, '/srv/x', 8)], ['write /srv/x']],
    ['open', 2, both, ['write /srv/x']],
    ['fchmod', 91, [untyped(0, '/srv/x', 8)], ['attribute /srv/x']],
    ['open', 83, both, ['create /srv/x']],
    [
      'open',
      86,
      [untyped(0, '/srv/', 7), untyped(1, '/etc/x', 8), untyped(2, '/srv/l', 8)],
      ['create /srv/l'],
    ],
    ['unlink', 87, both, ['delete /srv/x']],
    [
      'rename',
      82,
      [untyped(0, '/a/', 7), untyped(1, '/b/', 9), untyped(2, '/a/x', 8), untyped(3, '/b/y', 8)],
      ['rename /a/x', 'rename /b/y'],
    ],
    // A call of which it is not known in what order it has them.
    ['open', 165, both, []],
  ])('%s %i', (call, number, paths, expected) => {
    expect(changes({ call, fields: { syscall: number, a1: '1' }, paths })).toEqual(expected)
  })
})

describe('an inode', () => {
  const fchmod: Step = { call: 'fchmod', fields: { a0: 3 }, paths: [path(0, undefined, 9, 'NORMAL')] }

  test('that is used again at once is the new file', () => {
    const gone: Step = { call: 'unlink', paths: [TMP, path(1, '/tmp/first', 9, 'DELETE')] }
    const second: Step = {
      call: 'creat',
      paths: [path(0, '/srv/', 7, 'PARENT'), path(1, '/srv/second', 9, 'CREATE')],
    }
    expect(changes(learnsTmp, gone, second, fchmod).at(-1)).toBe('attribute /srv/second')
    expect(changes(learnsTmp, second, fchmod).at(-1)).toBe('attribute /srv/second')
  })

  test('of a file that is made where nobody knows says nothing of where an older one was', () => {
    const made: Step = {
      call: 'openat',
      fields: { a0: 3, a2: '41' },
      paths: [path(0, '/srv/app', 77, 'PARENT'), path(1, 'first', 9, 'CREATE')],
    }
    expect(changes(learnsTmp, made, fchmod).slice(1)).toEqual(['create ?/first', 'attribute ?'])
  })

  test('of a file with two names does not tell which of them is deleted', () => {
    const unlinkat = (name: string): Step => ({
      call: 'unlinkat',
      fields: { a0: 3 },
      paths: [path(0, '/srv/app', 77, 'PARENT'), path(1, name, 9, 'DELETE')],
    })
    expect(changes(learnsTmp, unlinkat('second')).at(-1)).toBe('delete ?/second')
    expect(changes(learnsTmp, unlinkat('first')).at(-1)).toBe('delete /tmp/first')
    const link: Step = {
      call: 'linkat',
      fields: { a0: AT_FDCWD, a2: 3 },
      paths: [
        path(0, '/srv/app', 77, 'PARENT'),
        path(1, '/tmp/first', 9, 'NORMAL'),
        path(2, 'second', 9, 'CREATE'),
      ],
    }
    expect(changes(learnsTmp, link).at(-1)).toBe('create ?/second')
  })

  test('of a renamed file is not known by its old name, when the new one is not known', () => {
    const moved: Step = {
      call: 'renameat',
      fields: { a0: AT_FDCWD, a2: 4 },
      paths: [
        TMP,
        path(1, '/srv/app', 77, 'PARENT'),
        path(2, '/tmp/first', 9, 'DELETE'),
        path(3, 'second', 9, 'CREATE'),
      ],
    }
    expect(changes(learnsTmp, moved, fchmod).at(-1)).toBe('attribute ?')
  })
})

describe('/proc', () => {
  const DIRECTORY = path(0, '/srv/app', 77, 'PARENT')
  const world = (paths: Readonly<Record<string, string>>): World => ({
    ...NO_WORLD,
    descriptorPath: (pid, fd, inode) => paths[`${pid} ${fd} ${inode}`],
  })

  test('is believed while a descriptor is the file of the record', () => {
    const unlinkat: Step = {
      call: 'unlinkat',
      fields: { a0: 3 },
      paths: [DIRECTORY, path(1, 'x', 9, 'DELETE')],
    }
    expect(changesOf(world({ '100 3 77': '/spool' }), unlinkat)).toEqual(['delete /spool/x'])
    expect(changesOf(world({ '100 3 78': '/spool' }), unlinkat)).toEqual(['delete ?/x'])
  })

  test('knows an opened file by what the call returned', () => {
    const openat: Step = {
      call: 'openat',
      fields: { a0: 3, a2: '1', exit: 8 },
      paths: [path(0, 'x', 9, 'NORMAL')],
    }
    expect(changesOf(world({ '100 8 9': '/spool/x' }), openat)).toEqual(['write /spool/x'])
    // Whether descriptor 3 is still the directory, nothing tells.
    expect(changesOf(world({ '100 3 9': '/spool' }), openat)).toEqual(['write ?/x'])
  })

  test('does not know the directory of a name with directories of its own', () => {
    const mkdirat: Step = {
      call: 'mkdirat',
      fields: { a0: 3 },
      paths: [path(0, 'a/', 77, 'PARENT'), path(1, 'a/b', 78, 'CREATE')],
    }
    expect(changesOf(world({ '100 3 77': '/wrong' }), mkdirat)).toEqual(['create ?/a/b'])
  })

  test('has no path for what is no file', () => {
    const fchown: Step = { call: 'fchown', fields: { a0: 5 }, paths: [path(0, undefined, 9, 'NORMAL')] }
    expect(changesOf(world({ '100 5 9': 'pipe:[9]' }), fchown)).toEqual(['attribute ?'])
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
