import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Config, loadConfig } from '../../agent/config/config.ts'
import { folderForTest } from '../support/folder.ts'
import { complaint } from '../support/complaint.ts'

/** The flags of the predecessor keep their names and defaults. */
const DEFAULTS = {
  auditd: '/var/log/audit/audit.log',
  db: '/var/lib/fullmon/baseline.db',
  baseline: 3600,
  monitor: 60,
  rebase: false,
  'learn-degraded': false,
  'alerts-per-day': 10,
  'dormant-days': 30,
  'expire-days': 180,
  networks: {},
  wait: 0.5,
}

/** The complaint of a configuration, with `f` for the name of its file. */
function complaintOf(text: string): string {
  const file = fileWith(text)
  return complaint(() => loadConfig({ config: file })).replaceAll(file, 'f')
}

function fileWith(text: string): string {
  const file = join(folderForTest(), 'config.yaml')
  writeFileSync(file, text)
  return file
}

describe('what is not said', () => {
  test.each(['', '# nothing yet\n', '---\n', '{}'])('has its default: %j', (text) => {
    expect(loadConfig({ config: fileWith(text) })).toMatchObject(DEFAULTS)
  })

  test('is said by the file', () => {
    const file = fileWith('monitor: 30\nrebase: true\nlog: /var/log/x.log\n')
    expect(loadConfig({ config: file })).toMatchObject({
      ...DEFAULTS,
      monitor: 30,
      rebase: true,
      log: '/var/log/x.log',
    })
  })

  test('is said by the file unless the command line says it', () => {
    const file = fileWith('monitor: 30\nwait: 2\nrebase: true\n')
    expect(loadConfig({ config: file }, { monitor: 5, rebase: false })).toMatchObject({
      ...DEFAULTS,
      monitor: 5,
      rebase: false,
      wait: 2,
    })
  })

  test('on the command line does not count when it is undefined', () => {
    const words = { monitor: undefined, db: undefined } as unknown as Partial<Config>
    expect(loadConfig({ config: fileWith('monitor: 30\n') }, words)).toMatchObject({
      ...DEFAULTS,
      monitor: 30,
    })
  })
})

test.each([
  // Mistakes of writing, at the place that YAML stumbles over.
  ['monitor: [1\n', /^f:\d+:\d+: ./],
  ['\tmonitor: 3', /^f:1:1: Tabs/],
  ['wait: 1\n---\nmonitor: 30\n', /^f:2:1: a second document begins here, and there may be only one$/],
  ['wait: 1\nmonitor: 30\nmonitor: 31\n', /^f:3:1: Map keys must be unique$/],
  ['monitor: 3\n---\nmonitor: 4\n', /^f:2:1: ./],
  ['wait: *x', /^f:1:7: \*x: aliases are not understood here$/],
  // What is no configuration at all.
  ['- monitor', /^f:1:1: .*array/],
  ['42', /^f:1:1: .*number/],
  ['monitor', /^f:1:1: .*string/],
  // Wrong keys.
  [
    'wait: 1\nwhatever: 30\n',
    /^f:2:1: whatever: no such key; there are auditd, db, log, baseline, baseline-from, monitor, .*, outputs$/,
  ],
  ['  montior: 30', /^f:1:3: montior: no such key; did you mean monitor\?$/],
  ['__proto__: {wait: 1}', /^f:1:1: __proto__: no such key/],
  ['wait: 1\nconstructor: 1', /^f:2:1: constructor: no such key/],
  ['wait: 1\n2: 3', /^f:2:1: 2: no such key/],
  ['wait: 1\n<<: {monitor: 5}', /^f:2:1: <<: no such key/],
  // Wrong values.
  ['wait: 1\nmonitor: "30"\n', /^f:2:1: monitor: .*expected number, received string$/],
  ['wait: 1\nmonitor:\n', /^f:2:1: monitor: .*expected number, received null$/],
  ['monitor: [30]', /^f:1:1: monitor: .*expected number, received array$/],
  ['monitor: .nan', /^f:1:1: monitor: /],
  ['monitor: .inf', /^f:1:1: monitor: /],
  ['monitor: 0', /^f:1:1: monitor: /],
  ['monitor: 1e300', /^f:1:1: monitor: /],
  ['baseline: -1', /^f:1:1: baseline: /],
  ['baseline: 1e12', /^f:1:1: baseline: /],
  ['wait: 61', /^f:1:1: wait: /],
  ['rebase: yes', /^f:1:1: rebase: .*expected boolean/],
  ['rebase: 1', /^f:1:1: rebase: .*expected boolean/],
  ['db: 5', /^f:1:1: db: .*expected string/],
  ['db: ""', /^f:1:1: db: /],
  ['dns-interface: -w', /^f:1:1: dns-interface: expected the name of an interface/],
  ['dns-interface: "a b"', /^f:1:1: dns-interface: /],
  ['dns-interface: ""', /^f:1:1: dns-interface: /],
  [
    'wait: 1\nnetworks:\n  office: [10.0.0.0/8, 10.1.0.0/8]',
    /^f:3:24: networks\.office\.1: expected a network/,
  ],
  ['networks:\n  office:\n    - 198.51.100.0/24\n    - x', /^f:4:7: networks\.office\.1: expected a network/],
  ['networks:\n  a: [::1/128]\n  unix: [10.0.0.0/8]', /^f:3:3: networks\.unix: expected a name/],
  ['networks:\n  "10.0.0.1": [10.0.0.0/8]', /^f:2:3: networks\.10\.0\.0\.1: expected a name/],
  ['networks: {office: []}', /^f:1:12: networks\.office: /],
  ['networks: {office: 10.0.0.0/8}', /^f:1:12: networks\.office: .*expected array/],
  ['networks: [10.0.0.0/8]', /^f:1:1: networks: .*expected record/],
  ['allowlist:\n  patterns: [/opt/**, "/x[z-a]"]', /^f:2:23: allowlist\.patterns\.1: expected a glob/],
  [
    'rules: {skip: {paths: ["/x{"]}}',
    /^f:1:24: rules\.skip\.paths\.0: expected a prefix of paths, or a glob/,
  ],
  ['containers: {allowlist: ["/{a"]}', /^f:1:26: containers\.allowlist\.0: expected a glob/],
  // Values that may be of several types.
  ['ports: {watched: [weeb]}', /^f:1:19: ports\.watched\.0: .*expected one of "web"/],
  [
    'ports: {watched: [1.5]}',
    /^f:1:19: ports\.watched\.0: expected whole number from 1 to 65535, or one of web/,
  ],
  ['ports: {watched: [0]}', /^f:1:19: ports\.watched\.0: Too small/],
  ['processes:\n  required: [3]', /^f:2:14: processes\.required\.0: expected text, or map of exe, /],
  ['processes:\n  required: [{exee: x}]', /^f:2:15: processes\.required\.0\.exee: .* did you mean exe\?$/],
  ['processes:\n  required: [{exe: 3}]', /^f:2:15: processes\.required\.0\.exe: .*expected string/],
  ['auditd: !!js/function "x"\ndb: 1', /^f:2:1: db: /],
])('%j is refused with its place', (text, expected) => {
  const said = complaintOf(text)
  expect(said).toMatch(expected)
  expect(said.split('\n')).toHaveLength(1)
})

test('networks have names', () => {
  const text = 'networks:\n  office: [198.51.100.0/24, 2001:db8::/32]\n  db-1: [10.1.2.3]\n'
  expect(loadConfig({ config: fileWith(text) }).networks).toEqual({
    office: ['198.51.100.0/24', '2001:db8::/32'],
    'db-1': ['10.1.2.3'],
  })
})

test('every mistake is named, in the order of the lines', () => {
  const said = complaintOf('monitor: 0\nxx: 1\nwait: 100\nyy: 2\n')
  expect(said.split('\n').map((line) => line.split(' ', 2).join(' '))).toEqual([
    'f:1:1: monitor:',
    'f:2:1: xx:',
    'f:3:1: wait:',
    'f:4:1: yy:',
  ])
})

test('aliases that would fill the memory are refused', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x]',
    ...'bcdefgh'.split('').map((key, index) => {
      const before = 'abcdefg'[index] ?? ''
      return `${key}: &${key} [*${before},*${before},*${before},*${before},*${before},*${before},*${before},*${before}]`
    }),
  ].join('\n')
  expect(complaintOf(bomb)).toMatch(/^f:2:8: \*a: aliases are not understood here$/)
})

test('a wrong word on the command line is named as it was given', () => {
  const file = fileWith('')
  expect(complaint(() => loadConfig({ config: file }, { monitor: 0 }))).toMatch(/^--monitor: /)
  expect(complaint(() => loadConfig({ config: file }, { wait: Number.NaN }))).toMatch(/^--wait: /)
  expect(complaint(() => loadConfig({ config: file }, { db: '' }))).toMatch(/^--db: /)
})

test('a file that cannot be read is named', () => {
  const folder = folderForTest()
  const missing = join(folder, 'missing.yaml')
  expect(complaint(() => loadConfig({ config: missing }))).toContain(
    `cannot read the configuration ${missing}: `,
  )
  mkdirSync(join(folder, 'd'))
  expect(complaint(() => loadConfig({ config: join(folder, 'd') }))).toContain(
    'cannot read the configuration ',
  )
})

test('every key says what it is for', () => {
  for (const [key, schema] of Object.entries(Config.shape)) expect(schema.description, key).toBeTruthy()
})
