import { createHash } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ExecutableBy } from '../../agent/domain/activity.ts'
import { type PathPattern, PathPatterns, printedPattern } from '../../agent/graph/patterns.ts'
import { protectionOf } from '../../agent/protection.ts'
import { States, StateTable } from '../support/state.ts'

const PROCESS = 'proc::www-data:/usr/bin/php8.2</srv/shop/index.php'

interface Taught {
  readonly patterns: PathPatterns
  /** Those that no wider one has replaced. */
  readonly learned: readonly PathPattern[]
}

const random = { numRuns: 500 }

/** What a process teaches that creates these files one after the other, as the engine does it. */
function teach(paths: readonly string[], patterns = new PathPatterns(), process = PROCESS): Taught {
  let learned: PathPattern[] = []
  const names = new Set<string>()
  for (const path of paths) {
    const name = patterns.nameOf(process, 'create', path)
    if (names.has(name)) continue
    names.add(name)
    const pattern = patterns.learn(process, 'create', path)
    if (pattern === undefined) continue
    learned = [...learned.filter((other) => !pattern.replaces.includes(other.path)), pattern]
  }
  return { patterns, learned }
}

const covers = (patterns: PathPatterns, path: string, process = PROCESS): boolean =>
  patterns.nameOf(process, 'create', path) !== `file:create:${path}`

const printedEdge = (path: string, process = PROCESS, action = 'create'): string =>
  `${process}->file:${action}:${path}`

/** Numbers that look like chance and are the same in every run: mulberry32. */
function chance(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const LOWER = 'abcdefghijklmnopqrstuvwxyz'
const DIGITS = '0123456789'
const randomText = (below: (most: number) => number, alphabet: string, length: number): string =>
  Array.from({ length }, () => alphabet[below(alphabet.length)]).join('')

describe('siblings teach', () => {
  test.each([
    {
      what: 'a number',
      paths: ['/var/spool/q/1.msg', '/var/spool/q/22.msg', '/var/spool/q/4711.msg'],
      covered: ['/var/spool/q/999999.msg'],
      not: ['/var/spool/q/x.msg', '/var/spool/q/.msg', '/var/spool/q/1.msg.bak', '/var/spool/q/1xmsg'],
    },
    {
      what: 'a uuid',
      paths: [
        '/srv/u/6ba7b810-9dad-11d1-80b4-00c04fd430c8/a.json',
        '/srv/u/f47ac10b-58cc-4372-a567-0e02b2c3d479/a.json',
        '/srv/u/3d813cbb-47fb-32ba-91df-831e1593ac29/a.json',
      ],
      covered: ['/srv/u/00000000-0000-0000-0000-000000000000/a.json'],
      not: [
        '/srv/u/00000000-0000-0000-0000-000000000000/b.json',
        '/srv/u/0000000g-0000-0000-0000-000000000000/a.json',
        '/srv/u/00000000-0000-0000-0000-000000000000x/a.json',
      ],
    },
    {
      what: 'a hash',
      paths: [
        '/srv/up/d41d8cd98f00b204e9800998ecf8427e.gz',
        '/srv/up/900150983cd24fb0d6963f7d28e17f72.gz',
        '/srv/up/f96b697d7cb7938d525a2f31aaf161d0.gz',
      ],
      covered: ['/srv/up/00000000000000000000000000000000.gz'],
      not: ['/srv/up/0.gz', '/srv/up/backdoor.gz', '/srv/up/0000000000000000000000000000000g.gz'],
    },
    {
      what: 'a date',
      paths: ['/var/log/a-2026-11-20.log', '/var/log/a-2026-11-21.log', '/var/log/a-2026-12-01.log'],
      covered: ['/var/log/a-2027-01-31.log'],
      not: ['/var/log/a-27-01-31.log', '/var/log/a-2027-01-31.sh', '/var/log/b-2027-01-31.log'],
    },
    {
      what: 'the random part of mkstemp(3)',
      paths: ['/tmp/sess.aB3xYz', '/tmp/sess.Q9dk2L', '/tmp/sess.x7RtPw'],
      covered: ['/tmp/sess.000000', '/tmp/sess.zzzZZZ'],
      not: [
        '/tmp/sess.aB3xY',
        '/tmp/sess.aB3xYz0',
        '/tmp/sess-aB3xYz',
        '/tmp/sess.aB3/Yz',
        '/tmp/sess.aB.xYz',
      ],
    },
    {
      what: "the random part of Python's tempfile",
      paths: ['/tmp/tmpk3j9x_2a.csv', '/tmp/tmp0q8zb1mn.csv', '/tmp/tmp_9ah4t7e.csv'],
      covered: ['/tmp/tmpabcdefgh.csv'],
      not: ['/tmp/tmpABCDEFGH.csv', '/tmp/tmpabcdefgh.sh', '/tmp/xmpabcdefgh.csv', '/tmp/tmpabcdefghi.csv'],
    },
    {
      what: 'a new object of git, of whose random parts some show at first sight and some do not',
      paths: [
        '/r/objects/tmp_objdir-incoming-zmJchE/81/tmp_obj_ynYm0q',
        '/r/objects/tmp_objdir-incoming-0fI7rq/bc/tmp_obj_PRFKrK',
        '/r/objects/tmp_objdir-incoming-ZQgBab/07/tmp_obj_JUbRa4',
      ],
      covered: ['/r/objects/tmp_objdir-incoming-Dj31gM/ff/tmp_obj_YRRM9a'],
      not: [
        '/r/objects/tmp_objdir-incoming-Dj31gM/ff/tmp_obj_YRRM9a.sh',
        '/r/objects/tmp_objdir-incoming-Dj31gM/fg/tmp_obj_YRRM9a',
        '/r/objects/Dj31gM/ff/tmp_obj_YRRM9a',
      ],
    },
    {
      what: 'a directory named by two digits of a hash',
      paths: ['/var/cache/x/63', '/var/cache/x/a1', '/var/cache/x/bb'],
      covered: ['/var/cache/x/00', '/var/cache/x/ff'],
      not: ['/var/cache/x/0', '/var/cache/x/000', '/var/cache/x/fg', '/var/cache/x/63/a'],
    },
    {
      what: "what tempnam(3) puts behind a prefix, in a cache's directories",
      paths: ['/c/d3/pageU79v8a', '/c/1f/pageGScUU7', '/c/d3/pageYQceJX'],
      covered: ['/c/00/page2BRf4X'],
      not: ['/c/00/cageAb1Cd2', '/c/00/pageAb1Cd', '/c/zz/page2BRf4X'],
    },
    {
      what: 'a release by its time and commit, as git shortens it',
      paths: ['/srv/releases/20261121150812-dd6bc3c', '/srv/releases/20261121150843-5cb4bc3'],
      covered: ['/srv/releases/20261122000000-0000000'],
      not: ['/srv/releases/20261122000000-000000g', '/srv/releases/current'],
    },
    {
      what: 'the pid in /proc',
      paths: ['/proc/17/oom_score_adj', '/proc/230/oom_score_adj', '/proc/4711/oom_score_adj'],
      covered: ['/proc/1/oom_score_adj'],
      not: ['/proc/1/mem', '/proc/self/oom_score_adj', '/proc/1/task/1/oom_score_adj'],
    },
    {
      what: 'an object of git',
      paths: [
        '/r/.git/objects/3f/c09b1e7a2d4f5c6b7a8990a1b2c3d4e5f60718',
        '/r/.git/objects/ab/1f2e3d4c5b6a79880716253443526170f1e2d3',
        '/r/.git/objects/07/77aa88bb99cc00dd11ee22ff33445566778899',
      ],
      covered: ['/r/.git/objects/ff/0000000000000000000000000000000000000a'],
      not: [
        '/r/.git/objects/xy/0000000000000000000000000000000000000a',
        '/r/.git/objects/ff/evil',
        '/r/.git/hooks/pre-push',
      ],
    },
    {
      what: 'a socket, which has no directory',
      paths: ['socket:[1701]', 'socket:[1702]', 'socket:[99]'],
      covered: ['socket:[5]'],
      not: ['socket:5', 'socket:[5]x', 'pipe:[5]'],
    },
  ])('$what', ({ paths, covered, not }) => {
    const { patterns, learned } = teach(paths)
    expect(learned).toHaveLength(1)
    expect(learned[0]?.process).toBe(PROCESS)
    expect(learned[0]?.examples.every((example) => paths.includes(example))).toBe(true)
    for (const path of [...paths, ...covered]) expect(covers(patterns, path), path).toBe(true)
    const names = new Set([...paths, ...covered].map((path) => patterns.nameOf(PROCESS, 'create', path)))
    expect(names.size).toBe(1)
    for (const path of not) expect(names, path).not.toContain(patterns.nameOf(PROCESS, 'create', path))
  })

  test('languages are no digits of a hash', () => {
    expect(teach(['/l/ca', '/l/de', '/l/fa', '/l/be']).learned).toEqual([])
  })

  test('two of them when they differ in a number or a short hash, three when they may be words', () => {
    for (const [paths, enough] of [
      [['/q/1.msg', '/q/2.msg', '/q/3.msg'], 2],
      [['/q/3f2a9c1d', '/q/0b1c2d3e', '/q/77aa88bb'], 2],
      [['/q/ddAb12xY.o', '/q/ddQ9dk2L.o', '/q/ddx7RtPw.o'], 3],
    ] as const) {
      expect(teach(paths.slice(0, enough - 1)).learned).toEqual([])
      expect(teach([...paths.slice(0, enough - 1), ...paths.slice(0, enough - 1)]).learned).toEqual([])
      expect(teach(paths.slice(0, enough)).learned).toMatchObject([{ examples: paths.slice(0, enough) }])
    }
  })

  test('and three in different directories do not', () => {
    expect(teach(['/alpha/1', '/beta/2', '/gamma/3']).learned).toEqual([])
  })

  test('the same pattern in whatever order they come', () => {
    const families = [
      ['/q/1.msg', '/q/22.msg', '/q/333.msg'],
      ['/tmp/tmpk3j9x_2a.csv', '/tmp/tmp0q8zb1mn.csv', '/tmp/tmp_9ah4t7e.csv'],
      ['/tmp/sess.aB3xYz', '/tmp/sess.Q9dk2L', '/tmp/sess.x7RtPw'],
      ['/log/2025-01-02/7.gz', '/log/2025-02-02/8.gz', '/log/2026-01-02/9.gz'],
    ]
    for (const [one = '', two = '', three = ''] of families) {
      const orders = [
        [one, two, three],
        [one, three, two],
        [two, one, three],
        [two, three, one],
        [three, one, two],
        [three, two, one],
      ]
      const found = orders.map((order) => teach(order).learned.map(({ path }) => path))
      expect(found).toEqual(orders.map(() => found[0]))
      expect(found[0]).toHaveLength(1)
    }
  })
})

describe('words teach nothing', () => {
  test.each([
    { what: 'of one length', names: ['monday', 'friday', 'sunday', 'planet', 'garden', 'window'] },
    { what: 'of different lengths', names: ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'omega'] },
    { what: 'with the same ending', names: ['reader.so', 'loader.so', 'binder.so', 'folder.so'] },
    { what: 'of hexadecimal digits', names: ['deadbeef', 'cafebabe', 'beefcafe', 'facadeed', 'defaceda'] },
    { what: 'and a number', names: ['alpha1', 'gamma2', 'delta3', 'theta4', 'kappa5'] },
    { what: 'and two digits', names: ['debian12', 'ubuntu22', 'fedora40', 'centos07', 'python39'] },
    { what: 'after a number', names: ['1alpha', '2gamma', '3delta', '4theta'] },
    {
      what: 'in camel case',
      names: ['UserData.class', 'ItemList.class', 'NodeTree.class', 'FileSize.class'],
    },
    { what: 'with a small first', names: ['userName', 'fileSize', 'postCode', 'pageRank', 'itemList'] },
    { what: 'joined with _', names: ['user_name', 'file_size', 'post_code', 'page_rank', 'item_list'] },
    { what: 'of a language', names: ['de_DE.mo', 'fr_FR.mo', 'pt_BR.mo', 'en_GB.mo', 'zh_CN.mo'] },
    { what: 'of libraries', names: ['libaudit1', 'libmagic1', 'libudev1x', 'libcairo2', 'libsepol2'] },
    { what: 'in capitals', names: ['README', 'NOTICE', 'AUTHOR', 'THANKS', 'COPYING'] },
    { what: 'with short codes', names: ['part_a1b', 'part_x9y', 'part_q3z', 'part_7m7'] },
    {
      what: 'long ones with a number in between',
      names: ['international2standard', 'organisation4economics', 'representation1chamber'],
    },
    { what: 'for types', names: ['u32x4_eq', 'i16x8_le', 'f64x2_ne', 'i32x4_lt'] },
    {
      what: 'with one odd name among them',
      names: ['settings', 'password', 'k3j9xq2a', 'messages', 'calendar', 'contacts'],
    },
  ])('$what', ({ names }) => {
    const { patterns, learned } = teach(names.map((name) => `/srv/words/${name}`))
    expect(learned).toEqual([])
    expect(covers(patterns, '/srv/words/backdoor')).toBe(false)
  })
})

describe('temporary names', () => {
  const families = [
    { what: 'mkstemp(3)', alphabet: LOWER + LOWER.toUpperCase() + DIGITS, length: 6, most: 3 },
    { what: 'mktemp(1)', alphabet: LOWER + LOWER.toUpperCase() + DIGITS, length: 10, most: 1.5 },
    { what: "Python's tempfile", alphabet: `${LOWER}${DIGITS}_`, length: 8, most: 4 },
    { what: 'a session of PHP', alphabet: LOWER + DIGITS, length: 26, most: 1.5 },
  ]
  test.each(families)('of $what are all one file after a few of them', ({ alphabet, length, most }) => {
    const below = chance(20261120)
    const programs = 300
    let different = 0
    for (let program = 0; program < programs; program++) {
      const patterns = new PathPatterns()
      const names = new Set<string>()
      for (let name = 0; name < 50; name++) {
        const path = `/tmp/app.${randomText(below, alphabet, length)}`
        names.add(patterns.nameOf(PROCESS, 'create', path))
        patterns.learn(PROCESS, 'create', path)
      }
      different += names.size
    }
    // The first may look like a word, and it takes three of those to teach.
    expect(different / programs).toBeGreaterThanOrEqual(1)
    expect(different / programs).toBeLessThan(most)
  })
})

describe('a literal that begins to vary', () => {
  test('is widened, once it has varied', () => {
    const { patterns, learned } = teach(['/srv/26/a1', '/srv/26/a2', '/srv/26/a3'])
    expect(learned).toHaveLength(1)
    expect(covers(patterns, '/srv/26/a4')).toBe(true)
    expect(covers(patterns, '/srv/27/a1')).toBe(false)
    const wider = teach(['/srv/27/a1'], patterns)
    expect(wider.learned).toMatchObject([{ replaces: [learned[0]?.path] }])
    expect(covers(patterns, '/srv/28/a77')).toBe(true)
    expect(covers(patterns, '/srv/28/b77')).toBe(false)
  })

  test('a first letter that three random names happened to share is no literal for ever', () => {
    const { patterns } = teach(['/tmp/x-a1b2c3d4', '/tmp/x-aq7zp0w3', '/tmp/x-a9k8j7m1', '/tmp/x-z0y9q8w7'])
    expect(covers(patterns, '/tmp/x-m4m4k5k5')).toBe(true)
  })
})

describe('a pattern applies to nobody but those who taught it', () => {
  const { patterns } = teach(['/q/1', '/q/2', '/q/3'])
  test.each([
    ['proc::root:/usr/bin/php8.2</srv/shop/index.php'],
    ['proc::www-data:/usr/bin/php8x2</srv/shop/index.php'],
    ['proc::www-data:/usr/bin/php8.2'],
    ['proc:0123456789ab:www-data:/usr/bin/php8.2</srv/shop/index.php'],
    [''],
  ])('not to %s', (process) => {
    expect(covers(patterns, '/q/4')).toBe(true)
    expect(covers(patterns, '/q/4', process)).toBe(false)
  })

  test.each(['delete', 'rename', 'write', 'attribute'] as const)('not to %s', (action) => {
    expect(patterns.nameOf(PROCESS, action, '/q/4')).toBe(`file:${action}:/q/4`)
  })

  test('siblings of another process are no siblings', () => {
    const shared = new PathPatterns()
    teach(['/q/1'], shared, 'proc::a:/a')
    teach(['/q/2'], shared, 'proc::b:/b')
    expect(teach(['/q/3'], shared, 'proc::c:/c').learned).toEqual([])
  })
})

describe('the printed form', () => {
  test('is a regular expression over the printed edge, and over no other', () => {
    const process = 'proc::root:/opt/a+b(1)/x.y[z]^$|{2}*?\\d'
    const { learned } = teach(['/q/.+1', '/q/.+2', '/q/.+3'], new PathPatterns(), process)
    const [pattern] = learned
    expect(pattern).toBeDefined()
    if (pattern === undefined) return
    const text = printedPattern(pattern)
    expect(text).toMatch(/^\^proc.*->file:create:.*\$$/)
    const regex = new RegExp(text)
    expect(regex.test(printedEdge('/q/.+4', process))).toBe(true)
    expect(regex.test(printedEdge('/q/xx4', process))).toBe(false)
    expect(regex.test(printedEdge('/q/.+4', process, 'delete'))).toBe(false)
    expect(regex.test(`x${printedEdge('/q/.+4', process)}`)).toBe(false)
    expect(regex.test(`${printedEdge('/q/.+4', process)}\n`)).toBe(false)
    expect(regex.test(printedEdge('/q/.+4', process.replace('a+b', 'aab')))).toBe(false)
    expect(regex.test(printedEdge('/q/.+4', process.replace('x.y', 'xxy')))).toBe(false)
  })
})

describe('patterns that are kept', () => {
  test('apply again after a restart, and are not learned twice', () => {
    const { learned } = teach(['/tmp/sess.aB3xYz', '/tmp/sess.Q9dk2L', '/tmp/sess.x7RtPw'])
    const again = new PathPatterns(learned)
    expect(covers(again, '/tmp/sess.000000')).toBe(true)
    expect(teach(['/tmp/sess.aB3xYz', '/tmp/sess.Q9dk2L', '/tmp/sess.x7RtPw'], again).learned).toEqual([])
  })

  test('and files of the baseline are remembered as siblings', () => {
    const patterns = new PathPatterns()
    patterns.remember(PROCESS, 'create', '/q/1')
    patterns.remember(PROCESS, 'create', '/q/2')
    expect(teach(['/q/3'], patterns).learned).toHaveLength(1)
  })

  test('a file that is covered teaches nothing', () => {
    const { patterns } = teach(['/q/1', '/q/2', '/q/3'])
    expect(patterns.learn(PROCESS, 'create', '/q/4')).toBeUndefined()
  })
})

describe('law: files that wait for siblings', () => {
  test('wait as before, wherever the agent was started again', () => {
    const steps = fc.array(
      fc.record({
        path: fc.oneof(
          fc.nat({ max: 30 }).map((number) => `/q/${number}.msg`),
          fc
            .nat({ max: 30 })
            .map((number) => `/log/2026-01-${String(number % 28).padStart(2, '0')}/${number}`),
          fc.stringMatching(/^\/tmp\/x[a-z0-9]{6}$/),
        ),
        process: fc.constantFrom(PROCESS, 'proc::root:/bin/é'),
        then: fc.constantFrom('go on', 'go on', 'drain', 'restart'),
      }),
      { maxLength: 40 },
    )
    let learnedSome = 0
    fc.assert(
      fc.property(steps, (files) => {
        const whole = new PathPatterns()
        const learned: PathPattern[] = []
        const table = new StateTable('sample')
        let cut = new PathPatterns([], true)
        for (const { path, process, then } of files) {
          const pattern = whole.learn(process, 'create', path)
          expect(cut.learn(process, 'create', path)).toEqual(pattern)
          if (pattern !== undefined) learned.push(pattern)
          if (then === 'go on') continue
          cut.drain(table)
          if (then === 'drain') continue
          cut = new PathPatterns(learned, true)
          cut.restore(table.entries())
        }
        learnedSome += learned.length
      }),
      random,
    )
    expect(learnedSome).toBeGreaterThan(100)
  })
})

/** Words, and everything that means something in a regular expression. */
const WORD = fc.constantFrom(
  ...['/', '.', '-', '+', '(', ')', '[', ']', '\\', '*', '^', '$', '|', '{2}', '?', '\\d', ' '],
  ...['tmp', 'sess', 'reader', 'binder', 'Ab', 'é', '😀'],
)
const NUMBER = fc.nat({ max: 9999 }).map(String)
const DATE = fc.constantFrom('2026-11-20', '1999-01-31', '2030-02-28')
const HASH = fc.constantFrom('d41d8cd98f00b204', '900150983cd24fb0', 'f96b697d7cb7938d')
const RANDOM = fc.stringMatching(/^[a-z0-9_]{8}$/)
const four = (part: fc.Arbitrary<string>): fc.Arbitrary<readonly string[]> => fc.tuple(part, part, part, part)
/** The same place in four names: mostly alike, or of one kind; now and then anything. */
const SLOT = fc.oneof(
  { weight: 6, arbitrary: WORD.map((word) => [word, word, word, word]) },
  { weight: 3, arbitrary: four(NUMBER) },
  ...[DATE, HASH, RANDOM, fc.uuid()].map((part) => ({ weight: 1, arbitrary: four(part) })),
  { weight: 1, arbitrary: four(fc.oneof(WORD, NUMBER, DATE, HASH, RANDOM)) },
)
/** Four names that are alike here and there. */
const FAMILY = fc
  .array(SLOT, { minLength: 1, maxLength: 6 })
  .map((slots) => [0, 1, 2, 3].map((index) => `/d/${slots.map((slot) => slot[index] ?? '').join('')}`))

const CLASSES = String.raw`\[(?:0-9a-f|0-9A-F|0-9a-fA-F|[A-Za-z0-9_-]+)\]\{\d+\}`
const NO_WORD = String.raw`\(\?!(?:\[A-Za-z\])?\[(?:a-z_|A-Z_)\]\{\d+\}\)`
const GRAMMAR = new RegExp(
  String.raw`^(?:[^\\^$.*+?()[\]{}|]|\\[\\^$.*+?()[\]{}|]|\\d\+|\\d\{\d+\}|${NO_WORD}|${CLASSES})*$`,
  'u',
)
const onlyPunctuation = (path: string): string => path.replace(/[A-Za-z0-9_]/g, '')

describe('law: whatever is learned', () => {
  test('covers those who taught it, and consists of escaped literals and classes without a slash', () => {
    let learnedSome = 0
    fc.assert(
      fc.property(FAMILY, (family) => {
        const { learned } = teach(family)
        learnedSome += learned.length
        for (const pattern of learned) {
          expect(pattern.path).toMatch(GRAMMAR)
          // Unbounded repeats side by side are what makes a regular expression slow.
          expect(pattern.path).not.toContain(String.raw`\d+\d+`)
          const regex = new RegExp(printedPattern(pattern))
          for (const example of pattern.examples) expect(regex.test(printedEdge(example))).toBe(true)
        }
      }),
      random,
    )
    expect(learnedSome).toBeGreaterThan(100)
  })

  test('matches no name with other punctuation, and so none in another directory', () => {
    const mutation = fc.tuple(
      fc.nat(),
      fc.nat({ max: 2 }),
      fc.constantFrom('/', '.', '-', 'x', '0', '\\', '\n', '../'),
    )
    fc.assert(
      fc.property(FAMILY, fc.array(mutation, { minLength: 1, maxLength: 4 }), (family, mutations) => {
        const { patterns, learned } = teach(family)
        for (const { path, examples } of learned) {
          for (const example of examples) {
            let name = example
            for (const [place, cut, put] of mutations) {
              const at = place % (name.length + 1)
              name = name.slice(0, at) + put + name.slice(at + cut)
            }
            if (patterns.nameOf(PROCESS, 'create', name) !== `file:create:${path}`) continue
            expect(examples.map(onlyPunctuation)).toContain(onlyPunctuation(name))
          }
        }
      }),
      random,
    )
  })

  test('covers what its printed form matches, and nothing else', () => {
    fc.assert(
      fc.property(FAMILY, FAMILY, (family, others) => {
        const { patterns, learned } = teach(family)
        const regexes = learned.map((pattern) => new RegExp(printedPattern(pattern)))
        const names = learned.map(({ path }) => `file:create:${path}`)
        for (const path of [...family, ...others, ...others.map((other) => `/d${other}`)]) {
          const isCovered = names.includes(patterns.nameOf(PROCESS, 'create', path))
          expect(isCovered, path).toBe(regexes.some((regex) => regex.test(printedEdge(path))))
        }
      }),
      random,
    )
  })
})

describe('at first sight', () => {
  const nameOf = (path: string): string => new PathPatterns().nameOf(PROCESS, 'create', path)

  test.each([
    ['/srv/up/d41d8cd98f00b204e9800998ecf8427e.bin', String.raw`/srv/up/[0-9a-f]{32}\.bin`],
    ['/log/a-2026-11-21T10:11:12.345Z.gz', String.raw`/log/a-\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+Z\.gz`],
    ['/log/2026.11.21', String.raw`/log/\d{4}\.\d{2}\.\d{2}`],
    ['/run/x-4711.pid', String.raw`/run/x-\d+\.pid`],
    ['/tmp/tmpk3x_9a2b.csv.gz', String.raw`/tmp/tmp[a-z0-9_]{8}\.csv\.gz`],
    ['/x/0a1b2c3d4e5f6g7h8i9j', String.raw`/x/(?![a-z_]{20})[a-z0-9]{20}`],
    ['/x/.d41d8cd98f00b204', String.raw`/x/\.[0-9a-f]{16}`],
    ['/srv/certs/CuxeqKHr', '/srv/certs/Cu[A-Za-z0-9_]{6}'],
    ['/srv/log/sedduGb8k', '/srv/log/sed[A-Za-z0-9_]{6}'],
    ['/tmp/sortUxKqPa', '/tmp/sort[A-Za-z0-9_]{6}'],
    ['/tmp/tmp.aKfjeHbcde/x', String.raw`/tmp/tmp\.[A-Za-z0-9_]{10}/x`],
    ['/r/objects/tmp_obj_FZhnvh', '/r/objects/tmp_obj_[A-Za-z0-9_]{6}'],
    ['/r/objects/pack/tmp_pack_aaaaa1', '/r/objects/pack/tmp_pack_[A-Za-z0-9_]{6}'],
    [
      '/r/objects/tmp_objdir-incoming-EEAuvI/tmp_obj_JUbRal',
      '/r/objects/tmp_objdir-incoming-[A-Za-z0-9_]{6}/tmp_obj_[A-Za-z0-9_]{6}',
    ],
    ['/b/.shop.rb.JRnyVb', String.raw`/b/\.shop\.rb\.[A-Za-z0-9_]{6}`],
    ['/s/sess_fidhxctbwfjbzvngvbb3lzcwkj', '/s/sess_[a-z0-9]{26}'],
    ['/s/sess_fidhxctb-fjbzv,gvbb3lzcwkj', '/s/sess_[a-z0-9,-]{26}'],
    ['/srv/releases/20261121153838-0123456/x', String.raw`/srv/releases/\d{14}-[0-9a-f]{7}/x`],
  ])('%s', (path, expected) => {
    expect(nameOf(path)).toBe(`file:create:${expected}`)
    expect(path).toMatch(new RegExp(`^${expected}$`))
  })

  test.each([
    '/srv/certs/Cumulus',
    '/srv/certs/Custom',
    '/srv/CuBranch',
    '/srv/sedScript',
    '/tmp/sortByName',
    '/srv/tmp_obj_backup',
    '/srv/sess_abcdefghijklmnopqrstuvwxyz',
    '/home/a/.config.backup',
    '/home/a/.x.Backup',
    '/home/a/.vimrcs',
  ])('%s is a name that somebody chose', (path) => {
    expect(nameOf(path)).toBe(`file:create:${path}`)
  })

  test('a job that ran once is known when it runs again', () => {
    const { patterns, learned } = teach(['/b/db-20261121T101112Z-4711.sql'])
    expect(learned).toMatchObject([{ examples: ['/b/db-20261121T101112Z-4711.sql'], replaces: [] }])
    const again = patterns.nameOf(PROCESS, 'create', '/b/db-20261122T101113Z-815.sql')
    expect(again).toBe(`file:create:${learned[0]?.path ?? ''}`)
    expect(patterns.nameOf(PROCESS, 'create', '/b/db-20261122T101113Z-815.php')).not.toBe(again)
    expect(patterns.nameOf(PROCESS, 'create', '/b/.db-20261122T101113Z-815.sql')).not.toBe(again)
  })

  test('a file that is named like a pattern is not taken for one', () => {
    expect(nameOf(String.raw`/run/x-\d+\.pid`)).toBe(String.raw`file:create:/run/x-\x5cd+\.pid`)
    expect(nameOf('/x/[0-9a-f]{32}')).toBe(String.raw`file:create:/x/[0-9a-f]\x7b32}`)
  })
})

describe('never covered', () => {
  const siblings = ['/srv/up/1.sh', '/srv/up/2.sh', '/srv/up/3333.sh']

  test('is a program that is named like them, and it teaches nothing', () => {
    const { patterns } = teach(siblings)
    expect(covers(patterns, '/srv/up/4444.sh')).toBe(true)
    expect(patterns.nameOf(PROCESS, 'create', '/srv/up/4444.sh', 'others')).toBe(
      'file:create:/srv/up/4444.sh',
    )
    // As what it is now, it is remembered.
    expect(covers(patterns, '/srv/up/4444.sh')).toBe(false)
    const others = new PathPatterns()
    for (const path of siblings) expect(others.learn(PROCESS, 'create', path, 'others')).toBeUndefined()
    expect(others.learn(PROCESS, 'create', '/srv/up/5.sh')).toBeUndefined()
  })

  test('is what was executed once, and it is nobody\u2019s sibling', () => {
    const { patterns } = teach(siblings)
    expect(patterns.noteExecuted('/srv/up/9.sh')).toBe(true)
    expect(patterns.noteExecuted('/srv/up/9.sh')).toBe(false)
    expect(covers(patterns, '/srv/up/9.sh')).toBe(false)
    expect(covers(patterns, '/srv/up/8.sh')).toBe(true)
    const others = new PathPatterns()
    others.learn(PROCESS, 'create', '/srv/up/1.sh')
    others.noteExecuted('/srv/up/1.sh')
    expect(others.learn(PROCESS, 'create', '/srv/up/2.sh')).toBeUndefined()
  })

  test('is what was denied, under whatever pattern', () => {
    const { patterns, learned } = teach(siblings)
    const denied = learned.map((pattern) => ({ ...pattern, state: 'denied' as const }))
    patterns.reset(denied)
    for (const path of [...siblings, '/srv/up/4.sh']) {
      expect(covers(patterns, path)).toBe(false)
      expect(patterns.learn(PROCESS, 'create', path)).toBeUndefined()
    }
    // Nobody has said so of another process.
    expect(patterns.nameOf('proc::root:/x', 'create', '/srv/up/3333.sh')).toContain('\\d+')
    expect(teach(['/srv/other/1', '/srv/other/2'], patterns).learned).toHaveLength(1)
  })

  test('is the place of another: a pinned pattern stays beside a wider one', () => {
    const { learned } = teach(['/srv/26/a1', '/srv/26/a2'])
    const patterns = new PathPatterns(learned.map((pattern) => ({ ...pattern, state: 'pinned' as const })))
    expect(teach(['/srv/27/a1', '/srv/28/a2'], patterns).learned).toMatchObject([{ replaces: [] }])
    expect(patterns.nameOf(PROCESS, 'create', '/srv/26/a9')).toBe(`file:create:${learned[0]?.path ?? ''}`)
  })

  test('law: is the name of anything that is sensitive, a program or executed', () => {
    const place = fc.constantFrom(
      ...['/etc/passwd.', '/etc/cron.d/job-', '/home/a/.ssh/k', '/usr/bin/x', '/etc/sudoers.d/', '/boot/v'],
      ...['/srv/www/a-', '/opt/x/', '/tmp/'],
    )
    const changing = fc.oneof(fc.nat().map(String), fc.uuid(), fc.stringMatching(/^[0-9a-f]{16,32}$/))
    const ending = fc.constantFrom('', '.php', '.jsp', '.cgi', '.txt')
    const file = fc.record({
      path: fc.tuple(place, changing, ending).map((parts) => parts.join('')),
      by: fc.constantFrom<ExecutableBy>('nobody', 'owner', 'others'),
      isExecuted: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(file, { maxLength: 30 }), (files) => {
        const patterns = new PathPatterns([], false, protectionOf)
        const own = new Set<string>()
        for (const { path, by, isExecuted } of files) {
          if (isExecuted) patterns.noteExecuted(path)
          if (isExecuted || by === 'others' || protectionOf(path) !== 'nothing') own.add(path)
          patterns.learn(PROCESS, 'create', path, by)
          const name = patterns.nameOf(PROCESS, 'create', path, by)
          if (own.has(path)) expect(name).toBe(`file:create:${path}`)
        }
        for (const path of own) expect(covers(patterns, path)).toBe(false)
      }),
    )
  })
})

describe('where only directories change', () => {
  const snapshot = (time: string, name: string): string => `/var/backups/shop/2026-11-21_${time}/${name}`

  test.each<
    [what: string, by: ExecutableBy, paths: readonly string[], covered: string, not: readonly string[]]
  >([
    [
      'programs in snapshots',
      'others',
      [snapshot('154614', 'cgi-bin/shop.rb')],
      snapshot('154718', 'cgi-bin/shop.rb'),
      [snapshot('154718', 'cgi-bin/img.rb'), snapshot('154718', 'shop.rb')],
    ],
    [
      'pages of a release',
      'nobody',
      ['/srv/releases/20261121150812-dd6bc3c/cart.php'],
      '/srv/releases/20261122000000-588076f/cart.php',
      ['/srv/releases/20261122000000-588076f/c99.php', '/srv/releases/20261122000000-588076f/x/cart.php'],
    ],
    [
      'programs with a number in their name',
      'others',
      [snapshot('154614', 'lib2to3'), snapshot('154615', 'lib2to3')],
      snapshot('154718', 'lib2to3'),
      [snapshot('154718', 'lib3to4'), snapshot('154718', 'lib2to33')],
    ],
    [
      'programs in directories by mktemp(1)',
      'others',
      ['/srv/t/b.aB3xYz/run.sh', '/srv/t/b.Q9dk2L/run.sh', '/srv/t/b.x7RtPw/run.sh'],
      '/srv/t/b.Zz9Yy8/run.sh',
      ['/srv/t/b.Zz9Yy8/payload', '/srv/t/b.Zz9Yy8/run.sh.x'],
    ],
  ])('%s have one name, and keep their own', (_, by, paths, covered, not) => {
    const patterns = new PathPatterns([], false, protectionOf)
    const learned = paths.map((path) => patterns.learn(PROCESS, 'create', path, by))
    expect(learned.flatMap((pattern) => pattern?.examples ?? [])).toContain(paths[0])
    const name = patterns.nameOf(PROCESS, 'create', covered, by)
    expect(name).not.toBe(`file:create:${covered}`)
    for (const path of paths) expect(patterns.nameOf(PROCESS, 'create', path, by)).toBe(name)
    for (const path of not) expect(patterns.nameOf(PROCESS, 'create', path, by)).not.toBe(name)
    expect(covered).toMatch(new RegExp(`^${name.slice('file:create:'.length)}$`))
  })

  test('the memory of a program that is debugged is one file, whatever its pid', () => {
    const patterns = new PathPatterns([], false, protectionOf)
    const name = patterns.nameOf(PROCESS, 'write', '/proc/3220/task/3220/mem')
    expect(patterns.nameOf(PROCESS, 'write', '/proc/819/task/820/mem')).toBe(name)
    expect(patterns.nameOf(PROCESS, 'write', '/proc/self/mem')).toBe('file:write:/proc/self/mem')
    expect(patterns.nameOf(PROCESS, 'write', '/proc/3220/root/mem')).not.toBe(name)
  })

  test('a page or a program never has a name that changes', () => {
    for (const [path, by] of [
      ['/srv/up/2026/11/d41d8cd98f00b204e9800998ecf8427e.php', 'nobody'],
      ['/srv/up/2026/11/d41d8cd98f00b204e9800998ecf8427e', 'others'],
    ] as const) {
      const name = new PathPatterns([], false, protectionOf).nameOf(PROCESS, 'create', path, by)
      expect(name).toContain('d41d8cd98f00b204e9800998ecf8427e')
    }
  })

  test.each(['/etc/cron.daily/x-20261121-4711/a', '/usr/lib/x/20261121/a', '/dev/shm/20261121/a'])(
    '%s is a place of the system, where programs keep their own names',
    (path) => {
      const patterns = new PathPatterns([], false, protectionOf)
      expect(patterns.nameOf(PROCESS, 'create', path, 'others')).toBe(`file:create:${path}`)
    },
  )

  test('what was executed keeps its own name there, too', () => {
    const patterns = new PathPatterns([], false, protectionOf)
    patterns.noteExecuted(snapshot('154614', 'run'))
    const path = snapshot('154614', 'run')
    expect(patterns.nameOf(PROCESS, 'create', path, 'others')).toBe(`file:create:${path}`)
  })
})

describe('the executable bit', () => {
  const message = (digits: string): string => `/var/spool/mail/letters/${digits}`
  const messages = ['022801DAB16', '03C701DAB17', '7A1201DAB18'].map(message)

  test('that marks the messages of postfix is part of their signature', () => {
    const patterns = new PathPatterns()
    for (const path of messages) patterns.learn(PROCESS, 'create', path, 'owner')
    const [name = ''] = messages.map((path) => patterns.nameOf(PROCESS, 'create', path, 'owner'))
    expect(name).toBe('file:create:(?<executable>)/var/spool/mail/letters/[0-9A-F]{11}')
    expect(patterns.nameOf(PROCESS, 'create', message('00000000A00'), 'owner')).toBe(name)
    // Neither a message that is not complete, nor a program.
    expect(covers(patterns, message('00000000A00'))).toBe(false)
    expect(patterns.nameOf(PROCESS, 'create', message('00000000A01'), 'others')).not.toBe(name)
  })

  test('of a file that its owner alone may execute is no other file\u2019s', () => {
    const upload = (seed: number): string => `/srv/app/uploads/${hashOf(seed)}`
    const { patterns } = teach([upload(1), upload(2), upload(3)])
    const name = patterns.nameOf(PROCESS, 'create', upload(4))
    expect(patterns.nameOf(PROCESS, 'create', upload(1))).toBe(name)
    expect(patterns.nameOf(PROCESS, 'create', upload(5), 'owner')).not.toBe(name)
  })

  test('and what was executed are known after a restart', () => {
    const states = new States()
    const before = new PathPatterns([], true)
    before.noteExecuted('/srv/up/9.sh')
    before.nameOf(PROCESS, 'create', '/srv/up/8.sh', 'others')
    before.drain(states.writer.of(''))
    const { learned } = teach(['/srv/up/1.sh', '/srv/up/2.sh', '/srv/up/3333.sh'])
    const after = new PathPatterns(learned, true)
    after.restoreKept(states.reader.of('')('executed'))
    expect(covers(after, '/srv/up/7.sh')).toBe(true)
    for (const path of ['/srv/up/9.sh', '/srv/up/8.sh']) expect(covers(after, path)).toBe(false)
    // As long as the log goes on: in two halves.
    for (let index = 0; index < 3000; index++) after.noteExecuted(`/${'x'.repeat(1000)}/${index}`)
    after.drain(states.writer.of(''))
    expect(states.rows('executed').length).toBeLessThan(2100)
  })
})

describe('names of more than 1,024 characters', () => {
  test('are left as they are', () => {
    const path = `/${'d'.repeat(1024)}/d41d8cd98f00b204e9800998ecf8427e`
    expect(new PathPatterns().nameOf(PROCESS, 'create', path)).toBe(`file:create:${path}`)
    expect(new PathPatterns().noteExecuted(path)).toBe(false)
  })
})

describe('jobs of at(1)', () => {
  const at = 'proc::root:/usr/bin/at'
  test.each([
    ['/var/spool/cron/atjobs/a0000f01c88ff2', '/var/spool/cron/atjobs/a[0-9a-f]{13}'],
    ['/var/spool/cron/atjobs/=0000f01c88ff2', '/var/spool/cron/atjobs/=[0-9a-f]{13}'],
    ['/var/spool/cron/atspool/b0000101288812', '/var/spool/cron/atspool/b[0-9a-f]{13}'],
  ])('%s have one name when at or atd writes them, for anybody else their own', (path, expression) => {
    const patterns = new PathPatterns([], false, protectionOf)
    for (const process of [at, 'proc::daemon:/usr/sbin/atd'])
      expect(patterns.nameOf(process, 'create', path)).toBe(`file:create:${expression}`)
    for (const process of [PROCESS, 'proc::root:/usr/bin/cat', 'proc::root:/tmp/at'])
      expect(patterns.nameOf(process, 'create', path)).toBe(`file:create:${path}`)
    expect(patterns.nameOf(at, 'create', '/var/spool/cron/crontabs/root')).toContain('crontabs/root')
  })
})

test("the files of Squid's cache have one name from the first on, with letters or without", () => {
  const patterns = new PathPatterns()
  for (const file of ['00/00/00000000', '00/01/0000001F', '0A/F3/000AF300'])
    expect(patterns.nameOf('proc::proxy:/usr/sbin/squid', 'create', `/var/spool/squid/${file}`)).toBe(
      'file:create:/var/spool/squid/[0-9A-F]{2}/[0-9A-F]{2}/[0-9A-F]{8}',
    )
})

describe('sockets of this host', () => {
  test('are covered as files are', () => {
    const patterns = new PathPatterns()
    expect(patterns.nameOf(PROCESS, 'listen', 'unix:/tmp/ssh-Ab3dE5gH1jKl/agent.4711')).toBe(
      String.raw`host:unix:/tmp/ssh-[A-Za-z0-9_]{12}/agent\.\d+`,
    )
    expect(patterns.nameOf(PROCESS, 'connect', 'unix:@/tmp/dbus-Ab3dE5gH1j')).toBe(
      'host:unix:@/tmp/dbus-[A-Za-z0-9_]{10}',
    )
    expect(patterns.nameOf(PROCESS, 'connect', 'unix:/run/docker.sock')).toBe('host:unix:/run/docker.sock')
  })
})

describe('fifty thousand session files', () => {
  const below = chance(7)
  const words = ['alpha', 'beta', 'gamma', 'delta', 'omega']
  const made = (index: number): string => {
    const kind = index % 3
    if (kind === 0) return `sess_${randomText(below, `${DIGITS}abcdefghijklmnopqrstuv`, 26)}`
    return kind === 1 ? hashOf(index) : `${below(100_000)}-${words[below(words.length)] ?? ''}.tmp`
  }

  test('give a few patterns, and no other names', () => {
    const paths = Array.from({ length: 50_000 }, (_, index) => `/var/lib/php/sessions/${made(index)}`)
    const { patterns, learned } = teach(paths)
    expect(learned.length).toBeLessThanOrEqual(10)
    const names = new Set(paths.slice(1000).map((path) => patterns.nameOf(PROCESS, 'create', path)))
    expect(names.size).toBeLessThanOrEqual(learned.length)
  })
})

describe('what matching costs', () => {
  /** How often a plain backtracking matcher looks at a character, and whether the whole text matches. */
  function stepsOf(expression: string, text: string): { steps: number; matches: boolean } {
    const pieces = [...expression.matchAll(/\\d\+|(?:\\d|\[[^\]]+\])(?:\{\d+\})?|\\.|[^\\]/gu)].map(
      ([source]) => {
        const [, unit = source, count = '1'] = /^(.+?)\{(\d+)\}$/.exec(source) ?? []
        const isAny = source === '\\d+'
        return { test: new RegExp(`^${isAny ? '\\d' : unit}$`, 'u'), isAny, count: Number(count) }
      },
    )
    let steps = 0
    const is = (piece: number, at: number): boolean => {
      steps++
      return at < text.length && pieces[piece]?.test.test(text.charAt(at)) === true
    }
    const from = (piece: number, at: number): boolean => {
      const next = pieces[piece]
      if (next === undefined) return at === text.length
      let end = at
      while ((next.isAny || end < at + next.count) && is(piece, end)) end++
      if (!next.isAny) return end === at + next.count && from(piece + 1, end)
      for (; end > at; end--) if (from(piece + 1, end)) return true
      return false
    }
    return { matches: from(0, 0), steps }
  }

  test('grows with the length of the name, whoever has chosen it', () => {
    const names = ['/q/1-22-333-x.tmp', '/q/4-55-666-x.tmp', '/q/1/2/3/a.7', '/q/2/3/4/a.8']
    const { learned } = teach([
      ...names,
      '/log/2026-11-21-1.gz',
      '/tmp/tmpk3x_9a2b/x.1',
      '/tmp/tmpk3x_9a2b/x.2',
    ])
    expect(learned.length).toBeGreaterThan(3)
    const hostile = [
      ...['1', '1-', '1/', '-', '/q/1', '1-22-333-'].map((part) => part.repeat(4096).slice(0, 4096)),
      ...names.map((name) => name.replaceAll(/\d+/g, '7'.repeat(1300)).slice(0, 4096)),
    ].flatMap((text) => [text, `/q/${text}`, `/log/${text}`, `${text}.tmp`])
    for (const { path } of learned) {
      const regex = new RegExp(`^${path}$`)
      for (const text of [...names, ...hostile]) {
        const { steps, matches } = stepsOf(path, text)
        expect(matches).toBe(regex.test(text))
        expect(steps).toBeLessThan(4 * (path.length + text.length))
      }
    }
  })
})

describe('law: the order in which siblings come', () => {
  const kinds = fc.constantFrom(
    (number: number) => `/q/${number % 7}/a${number % 50}.msg`,
    (number: number) => `/log/2026-01-${String(1 + (number % 28)).padStart(2, '0')}/${number % 9}.gz`,
    (number: number) => `/up/${hashOf(number)}.bin`,
    (number: number) => `/x/a1${hashOf(number).slice(0, 6)}/part-${number % 3}`,
    (number: number) => `/run/app-${number}.pid`,
  )
  test('does not change what they are called in the end', () => {
    const numbers = fc.uniqueArray(fc.nat({ max: 5000 }), { minLength: 1, maxLength: 8 })
    const files = numbers.chain((some) =>
      fc.tuple(kinds, fc.constant(some), fc.shuffledSubarray(some, { minLength: some.length })),
    )
    fc.assert(
      fc.property(files, ([pathOf, some, shuffled]) => {
        const paths = some.map(pathOf)
        const one = teach(paths).patterns
        const other = teach(shuffled.map(pathOf)).patterns
        for (const path of paths)
          expect(other.nameOf(PROCESS, 'create', path)).toBe(one.nameOf(PROCESS, 'create', path))
      }),
      random,
    )
  })
})

describe('who may choose names may not choose our memory', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heapBytes = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }

  test('two hundred thousand names cost no more than a fixed amount of it', () => {
    const below = chance(1)
    const before = heapBytes()
    const patterns = new PathPatterns()
    for (let index = 0; index < 200_000; index++) {
      const word = randomText(below, LOWER, 12)
      // Every other name as long as a path can be.
      const path = index % 2 === 0 ? `/srv/${word}/${index}` : `/${word.repeat(340)}/${index}`
      patterns.nameOf(PROCESS, 'create', path)
      patterns.learn(PROCESS, 'create', path)
    }
    expect(heapBytes() - before).toBeLessThan(40_000_000)
    expect(patterns.forgottenShapes).toBeGreaterThan(10_000)
    expect(patterns.nameOf(PROCESS, 'create', '/srv/x/1')).toBe('file:create:/srv/x/1')
  })

  test.each([
    ['long names that many wait for', (index: number) => `/${'d'.repeat(800)}${index % 100}x/${index}`],
    ['long names that end in a hash', (index: number) => `/${'é'.repeat(800)}/${index % 7}${hashOf(index)}`],
  ])('nor do %s', (_, pathOf) => {
    const before = heapBytes()
    const patterns = new PathPatterns()
    for (let index = 0; index < 50_000; index++) patterns.learn(`${PROCESS}${index}`, 'create', pathOf(index))
    expect(heapBytes() - before).toBeLessThan(60_000_000)
    expect(patterns.forgottenShapes).toBeGreaterThan(10_000)
  })

  test('and one directory has 64 patterns at most; what more there would have been is counted', () => {
    const names = Array.from({ length: 2 * 100 }, (_, index) => {
      const word = randomText(chance(Math.floor(index / 2)), LOWER, 12)
      return `/srv/${word}${index % 2}`
    })
    const { patterns, learned } = teach(names)
    expect(learned).toHaveLength(64)
    expect(patterns.refusedPatterns).toBe(36)
    expect(teach(['/elsewhere/1', '/elsewhere/2'], patterns).learned).toHaveLength(1)
    // After a restart as before.
    const again = new PathPatterns(learned)
    expect(teach(['/srv/x1', '/srv/x2'], again).learned).toEqual([])
    expect(again.refusedPatterns).toBe(1)
  })

  test('a hundred thousand patterns cost no more than a fixed amount of it', () => {
    const below = chance(2)
    const before = heapBytes()
    const patterns = new PathPatterns()
    let learned = 0
    for (let index = 0; index < 100_000; index++) {
      const word = randomText(below, LOWER, 12)
      for (const name of [`/${word}/1`, `/${word}/2`, `/${word}/3`]) {
        if (patterns.learn(PROCESS, 'create', name) !== undefined) learned++
      }
    }
    expect(heapBytes() - before).toBeLessThan(60_000_000)
    expect(learned).toBeGreaterThan(4000)
    expect(learned).toBeLessThan(6000)
    // The third name asks again.
    expect(patterns.refusedPatterns).toBe(2 * (100_000 - learned))
  })
})

const hashOf = (index: number): string => createHash('md5').update(String(index)).digest('hex')
