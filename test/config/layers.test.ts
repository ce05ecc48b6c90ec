import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../agent/config/config.ts'
import { configCandidates, decisiveFiles, foundConfig } from '../../agent/config/find.ts'
import { complaint } from '../support/complaint.ts'
import { folderForTest } from '../support/folder.ts'

function file(name: string, text: string, folder = folderForTest()): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

describe('a later layer wins:', () => {
  test('defaults, profile, file, --set, options', () => {
    const folder = folderForTest()
    file('p.yaml', 'monitor: 1\nbaseline: 1\nwait: 1\nexpire-days: 1\n', folder)
    const config = file('c.yaml', 'profile: ./p.yaml\nmonitor: 2\nbaseline: 2\nwait: 2\n', folder)
    const read = loadConfig({ config, set: ['monitor=3', 'baseline=3'] }, { monitor: 4 })
    expect(read).toMatchObject({
      monitor: 4,
      baseline: 3,
      wait: 2,
      'expire-days': 1,
      'dormant-days': 30,
      profile: join(folder, 'p.yaml'),
    })
  })

  test('of two --set of one key the last', () => {
    expect(loadConfig({ config: file('c', ''), set: ['wait=1', 'monitor=5', 'wait=2'] })).toMatchObject({
      wait: 2,
      monitor: 5,
    })
  })

  test('maps are merged, lists are replaced', () => {
    const folder = folderForTest()
    file('p', 'networks: {a: [10.0.0.0/8], b: [10.1.0.0/16, 10.2.0.0/16]}\n', folder)
    const config = file('c', 'profile: ./p\nnetworks: {b: [10.3.0.0/16], c: [10.4.0.0/16]}\n', folder)
    expect(loadConfig({ config }).networks).toEqual({
      a: ['10.0.0.0/8'],
      b: ['10.3.0.0/16'],
      c: ['10.4.0.0/16'],
    })
    expect(loadConfig({ config, set: ['networks.a=[10.5.0.0/16]'] }).networks).toMatchObject({
      a: ['10.5.0.0/16'],
      c: ['10.4.0.0/16'],
    })
  })

  test('the sections too', () => {
    const folder = folderForTest()
    file('p', 'scan: {interval: 10, min_score: 1, weights: {ptraced: 0, no_tty: 0}}\n', folder)
    const config = file('c', 'profile: ./p\nscan: {min_score: 2, weights: {no_tty: 5}}\n', folder)
    const { scan } = loadConfig({ config, set: ['scan.weights.memfd_exe=7'] })
    expect(scan).toMatchObject({ interval: 10, min_score: 2, cpu_high: 90 })
    expect(scan.weights).toMatchObject({ ptraced: 0, no_tty: 5, memfd_exe: 7, deleted_exe: 4 })
  })

  test('null takes back what need not be given', () => {
    const folder = folderForTest()
    file('p', 'log: /p.log\nhttp: {port: 9000}\n', folder)
    const config = file('c', 'profile: ./p\nlog: null\n', folder)
    expect(loadConfig({ config }).log).toBeUndefined()
    expect(loadConfig({ config }).http.port).toBe(9000)
    expect(loadConfig({ config, set: ['http.port=null'] }).http.port).toBeUndefined()
    expect(loadConfig({ config, set: ['profile=~'] }).http.port).toBeUndefined()
  })
})

test('a section without anything in it has its defaults', () => {
  const config = file('c', 'scan:\n  # nothing yet\noutputs:\n  webhook:\n')
  expect(loadConfig({ config })).toEqual(loadConfig({ config: file('d', '') }))
})

describe('dash and underscore', () => {
  test('are the same in a key', () => {
    const config = file('c', 'alerts_per_day: 3\nscan: {min-score: 5, weights: {wx-mem: 0}}\n')
    const read = loadConfig({ config, set: ['dormant_days=7', 'scan.cpu-high=50'] })
    expect(read).toMatchObject({
      'alerts-per-day': 3,
      'dormant-days': 7,
      scan: { min_score: 5, cpu_high: 50, weights: { wx_mem: 0 } },
    })
  })

  test('are not the same in a name', () => {
    const config = file('c', 'networks: {db-a: [10.0.0.0/8], db_a: [10.0.0.0/8]}\n')
    expect(Object.keys(loadConfig({ config }).networks)).toEqual(['db-a', 'db_a'])
  })

  test('do not stand beside each other', () => {
    const config = file('c', 'scan:\n  min_score: 1\n  min-score: 2\n')
    expect(complaint(() => loadConfig({ config }))).toBe(
      `${config}:3:3: min-score: min_score stands here already`,
    )
  })
})

describe('a mistake', () => {
  test('in a profile is named there, before those of the file', () => {
    const folder = folderForTest()
    const profile = file('p', '\nscan: {intervall: 3}\nmonitor: x\n', folder)
    const config = file('c', 'profile: ./p\nwait: 100\n', folder)
    expect(complaint(() => loadConfig({ config })).split('\n')).toEqual([
      expect.stringMatching(`^${profile}:2:8: scan.intervall: no such key; did you mean interval\\?$`),
      expect.stringMatching(`^${profile}:3:1: monitor: `),
      expect.stringMatching(`^${config}:2:1: wait: `),
    ])
  })

  test('in a file is one, whatever the command line says', () => {
    const config = file('c', 'wait: 100\n')
    expect(complaint(() => loadConfig({ config }, { wait: 1 }))).toMatch(`${config}:1:1: wait: `)
  })

  test.each([
    ['scan.interval=x', /^--set scan\.interval: .*expected number, received string$/],
    ['scan.intervall=3', /^--set scan\.intervall: no such key; did you mean interval\?$/],
    ['scann.interval=3', /^--set scann\.interval: no such key; did you mean scan\?$/],
    ['scan=3', /^--set scan: .*expected object, received number$/],
    ['scan.interval.x=3', /^--set scan\.interval\.x: .*expected number, received object$/],
    ['wait=[', /^--set wait:1:2: ./],
    ['wait', /^--set wait: expected KEY=VALUE, such as scan\.interval=30$/],
    ['=3', /^--set =3: expected KEY=VALUE/],
    ['a..b=3', /^--set a\.\.b=3: expected KEY=VALUE/],
    ['__proto__.x=3', /^--set __proto__\.x=3: expected KEY=VALUE/],
    ['constructor=3', /^--set constructor: no such key/],
    ['profile=nope', /^--set profile: profile: there is no nope; there are container, /],
  ])('in --set %s is named', (word, expected) => {
    expect(complaint(() => loadConfig({ config: file('c', ''), set: [word] }))).toMatch(expected)
  })

  test('nothing behind = is an empty text', () => {
    expect(loadConfig({ config: file('c', ''), set: ['http.socket='] }).http.socket).toBe('')
    expect(complaint(() => loadConfig({ config: file('c', ''), set: ['db='] }))).toMatch(/^--set db: /)
  })

  test('is a profile that there is not, one that names another, or something else', () => {
    const folder = folderForTest()
    const other = file('p', 'profile: production\n', folder)
    const said = (text: string): string => complaint(() => loadConfig({ config: file('c', text, folder) }))
    expect(said('profile: nope\n')).toMatch(/c:1:1: profile: there is no nope; there are .* or say a path/)
    expect(said('profile: ../production\n')).toMatch(/cannot read the profile .*ENOENT/)
    expect(said('profile: 3\n')).toMatch(/c:1:1: profile: .*expected string/)
    expect(said('profile: ./p\n')).toBe(`${other}:1:1: profile: a profile does not name another one`)
    const words = file('w', 'root:x:0:0:root\n', folder)
    expect(said('profile: ./w\n')).toBe(`${words}:1:1: a profile is a map of keys`)
  })

  test('is a pipe, a huge file, or one that is no text', () => {
    const folder = folderForTest()
    const said = (config: string): string => complaint(() => loadConfig({ config }))
    spawnSync('mkfifo', [join(folder, 'pipe')])
    expect(said(join(folder, 'pipe'))).toMatch(/pipe: it is no file$/)
    expect(said(file('large', '#'.repeat(2 ** 20 + 1), folder))).toMatch(/it has 1048577 bytes/)
    const binary = join(folder, 'binary')
    writeFileSync(binary, Buffer.from([0x64, 0x62, 0x3a, 0x20, 0xff]))
    expect(said(binary)).toMatch(/binary: it is no UTF-8$/)
    expect(said(file('deep', `wait: ${'['.repeat(5000)}`, folder))).toMatch(/deep:\d+:\d+: ./)
  })
})

describe('where it is looked for', () => {
  const HOME = { HOME: '/home/alice' }
  const places = (environment: Record<string, string>, uid: number): readonly string[] =>
    configCandidates(environment, { uid, home: uid === 0 ? '/root' : '/home/bob' })

  test('for a user', () => {
    expect(places(HOME, 1000)).toEqual([
      '/home/alice/.fullmon.yaml',
      '/home/alice/.config/fullmon/config.yaml',
      '/etc/fullmon/config.yaml',
    ])
    expect(places({}, 1000)[0]).toBe('/home/bob/.fullmon.yaml')
    expect(places({ ...HOME, XDG_CONFIG_HOME: '/x' }, 1000)[1]).toBe('/x/fullmon/config.yaml')
    expect(places({ ...HOME, XDG_CONFIG_HOME: 'x' }, 1000)[1]).toBe('/home/alice/.config/fullmon/config.yaml')
  })

  test('for root, whose home does not depend on who calls him', () => {
    const own = ['/root/.fullmon.yaml', '/root/.config/fullmon/config.yaml', '/etc/fullmon/config.yaml']
    expect(places(HOME, 0)).toEqual(own)
    expect(places({ ...HOME, XDG_CONFIG_HOME: '/home/alice/.config', SUDO_USER: 'alice' }, 0)).toEqual(own)
  })

  test('the first that is there is found, and those before it are watched', () => {
    const folder = folderForTest()
    const three = ['a', 'b', 'c'].map((name) => join(folder, name))
    expect(foundConfig(three)).toBeUndefined()
    file('c', '', folder)
    expect(foundConfig(three)).toBe(join(folder, 'c'))
    // It does not lead anywhere, but somebody meant it.
    symlinkSync('/nowhere', join(folder, 'b'))
    expect(foundConfig(three)).toBe(join(folder, 'b'))
  })

  test('what decides is watched: the file, what it leads to, and the profile', () => {
    const folder = folderForTest()
    const real = file('real.yaml', '', folder)
    const link = join(folder, 'link.yaml')
    symlinkSync(real, link)
    const profile = file('p.yaml', '', folder)
    expect(decisiveFiles(link, profile)).toEqual([link, real, profile])
    expect(decisiveFiles(undefined, undefined)).toContain(configCandidates()[0])
  })
})

describe.skipIf(process.geteuid?.() !== 0)('for root (needs root)', () => {
  test('what others may write or replace is refused', () => {
    const folder = folderForTest()
    const said = (config: string): string => complaint(() => loadConfig({ config }))
    const config = file('c.yaml', 'wait: 1\n', folder)
    expect(said(config)).toBe('no complaint')
    chmodSync(config, 0o664)
    expect(said(config)).toContain(`others than root may write it: chmod go-w ${config}`)
    chmodSync(config, 0o644)
    chownSync(config, 65534, 65534)
    expect(said(config)).toContain(
      `it belongs to uid 65534, who may change what root does: chown root ${config}`,
    )
    chownSync(config, 0, 0)
    chmodSync(folder, 0o777)
    expect(said(config)).toContain(`others may write into ${folder}, and so replace it`)
    chmodSync(folder, 0o1777)
    expect(said(config)).toBe('no complaint')
    chmodSync(folder, 0o755)
    chownSync(folder, 65534, 65534)
    expect(said(config)).toContain(`${folder} belongs to uid 65534, who may replace it`)
    chownSync(folder, 0, 0)
    expect(said(config)).toBe('no complaint')
  })

  test('so is a profile, and what a link leads to', () => {
    const folder = folderForTest()
    mkdirSync(join(folder, 'd'))
    const profile = file('p.yaml', 'wait: 1\n', join(folder, 'd'))
    const config = file('c.yaml', 'profile: ./d/p.yaml\n', folder)
    const link = join(folder, 'l.yaml')
    symlinkSync(profile, link)
    chmodSync(profile, 0o666)
    expect(complaint(() => loadConfig({ config }))).toContain(`chmod go-w ${profile}`)
    expect(complaint(() => loadConfig({ config: link }))).toContain('chmod go-w')
  })
})
