import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import type { Incident, Report } from '../../agent/domain/report.ts'
import type { EngineOptions } from '../../agent/engine.ts'
import {
  incidents,
  NOON_MS,
  newBaseline,
  ordinaryLife,
  planAt,
  replay,
  start,
  TRAINING_MS,
  WINDOW_MS,
} from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'
import { type Doer, LogBuilder } from '../support/log-builder.ts'

const HOUR_MS = 3_600_000
const SHELL: Doer = { pid: 2000, ppid: 1900, exe: '/usr/bin/bash' }
const APT: Doer = { pid: 2100, ppid: 2000, exe: '/usr/bin/apt-get' }
const HTTP: Doer = { pid: 2101, ppid: 2100, exe: '/usr/lib/apt/methods/http' }
const DPKG: Doer = { pid: 2110, ppid: 2100, exe: '/usr/bin/dpkg' }
const POSTINST: Doer = { pid: 2120, ppid: 2110, exe: '/usr/bin/dash' }
const CURL: Doer = { pid: 2130, ppid: 2120, exe: '/usr/bin/curl' }
const FAR_SIDE = '203.0.113.66'
const DEB = '/var/cache/apt/archives/tree_2.1.0-1_amd64.deb'

/** A trained host on which somebody works at a shell. */
function host(): LogBuilder {
  const log = ordinaryLife()
  return log.exec(SHELL).after(100)
}

/** apt-get fetches a package and has dpkg unpack and configure it, which takes several windows. */
function installTree(log: LogBuilder): LogBuilder {
  log
    .exec(APT, ['apt-get', 'install', 'tree'])
    .exec(HTTP)
    .connect(HTTP, FAR_SIDE, 80)
    .after(WINDOW_MS / 2)
  log.exec(DPKG, ['/usr/bin/dpkg', '--status-fd', '8', '--unpack', '--auto-deconfigure', DEB])
  log.create(DPKG, '/usr/bin/tree.dpkg-new').create(DPKG, '/usr/share/man/man1/tree.1.gz.dpkg-new')
  log.create(DPKG, '/var/lib/dpkg/info/tree.list').after(WINDOW_MS / 2)
  return configureTree(log)
}

const configureTree = (log: LogBuilder): LogBuilder =>
  log.exec(POSTINST, ['/bin/sh', '/var/lib/dpkg/info/tree.postinst', 'configure']).after(WINDOW_MS / 2)

/** Lets the transaction end. */
const quiet = (log: LogBuilder): LogBuilder => log.after(3 * WINDOW_MS).exec({ ...SHELL, pid: 2900 })

/** What is reported, but for the shell at which all of it happens. */
const incidentsOf = (log: LogBuilder, options: Partial<EngineOptions> = {}): Incident[] =>
  withoutShell(replay(log, options))
const withoutShell = (reports: readonly Report[]): Incident[] =>
  incidents(reports).filter(({ edges }) => edges.some(({ to }) => !to.endsWith(`:${SHELL.exe}`)))
const titles = (found: readonly Incident[]): string[] =>
  found.map(({ severity, title }) => `${severity} ${title}`)

describe('the work of a package manager', () => {
  test('is one incident over all its windows, with the packages in its title and the way to it as its chain', () => {
    const [incident, ...others] = incidentsOf(quiet(installTree(host())))
    expect(others).toEqual([])
    expect(incident).toMatchObject({
      severity: 'low',
      title: 'apt-get (0) installed or changed 1 package: tree',
      reasons: ['all of it was done below apt-get within 11 s'],
    })
    expect(incident?.chain.slice(-2)).toEqual(['proc::0:/usr/bin/bash', 'proc::0:/usr/bin/apt-get'])
    expect(incident?.count).toBe(8)
  })

  test('that is a script, as dnf is, says which packages and what else it was told', () => {
    const dnf = { pid: 2100, ppid: 2000, exe: '/usr/bin/python3.9' }
    const install = (...words: readonly string[]): LogBuilder =>
      quiet(
        host()
          .exec(dnf, ['/usr/bin/python3', '/usr/bin/dnf', ...words])
          .create(dnf, '/usr/bin/tree'),
      )
    expect(titles(incidentsOf(install('install', '-y', 'tree')))).toEqual([
      'low dnf (0) installed or changed 1 package: tree',
    ])
    expect(titles(incidentsOf(install('--setopt=pluginpath=/srv/x', 'install', 'tree')))).toEqual([
      'medium dnf (0) installed or changed 1 package: tree',
    ])
  })

  test('is reported when it is over, and not at the end of each of its windows', () => {
    const log = installTree(host())
    const { engine, reports } = start(newBaseline())
    engine.ingest({ bytes: log.bytes, at: undefined })
    expect(withoutShell(reports)).toEqual([])
    engine.ingest({ bytes: quiet(new LogBuilder(log.timeMs)).bytes, at: undefined })
    expect(withoutShell(reports)).toHaveLength(1)
  })

  test('that goes on for ever is reported after an hour all the same', () => {
    const log = host().exec(APT, ['apt-get', 'upgrade'])
    for (let minute = 0; minute < 70; minute++)
      log.create(APT, `/var/lib/apt/lists/${minute}`).after(WINDOW_MS - 1)
    while (log.timeMs < NOON_MS + TRAINING_MS + HOUR_MS + 3 * WINDOW_MS)
      log.create(APT, '/var/lib/apt/lists/lock').after(WINDOW_MS - 1)
    const { engine, reports } = start(newBaseline())
    engine.ingest({ bytes: log.bytes, at: undefined })
    expect(withoutShell(reports)).toHaveLength(1)
  })

  test('on ten thousand files is no longer to read, and nothing of it is lost', () => {
    const log = host().exec(APT, ['apt-get', 'upgrade']).exec(DPKG, ['dpkg', '--unpack', DEB])
    for (let file = 0; file < 10_000; file++) log.create(DPKG, `/usr/share/words/word${file}.dpkg-new`)
    const [incident, ...others] = incidentsOf(quiet(log))
    expect(others).toEqual([])
    expect(incident?.count).toBe(10_002)
    expect(incident?.edges.map(({ to }) => to)).toEqual([
      'proc::0:/usr/bin/apt-get',
      'proc::0:/usr/bin/dpkg',
      'file:create:/usr/share/…',
    ])
  })

  test('is told once when the agent is killed in the middle of it', () => {
    const path = join(folderForTest(), 'baseline.db')
    const log = installTree(host())
    const middle = log.text.indexOf('tree.list')
    const whole = quiet(log).bytes
    const reports: Report[] = []
    for (const to of [middle, whole.length]) {
      const baseline = new Baseline(path)
      const run = start(baseline, { log: '/log', plan: planAt(baseline) })
      const offset = baseline.kept.checkpoint('/log')?.position.offset ?? 0
      run.engine.deliverAgain()
      run.engine.ingest({
        bytes: whole.subarray(offset, to),
        at: { path: '/log', inode: 1, fingerprint: 'f', offset },
      })
      reports.push(...run.reports)
      baseline.close()
    }
    expect(titles(withoutShell(reports))).toEqual(['low apt-get (0) installed or changed 1 package: tree'])
  })

  test('is nothing of what a program does that only has the name of one, or is not run by root', () => {
    const copy: Doer = { pid: 3000, ppid: 2000, exe: '/usr/local/bin/apt-get' }
    const guest: Doer = { pid: 3001, ppid: 2000, exe: '/usr/bin/apt-get', uid: 1000 }
    for (const doer of [copy, guest]) {
      const [incident] = incidentsOf(quiet(host().exec(doer).create(doer, '/srv/loot')))
      expect(incident?.title, doer.exe).not.toContain('was at work')
    }
  })

  test('done from a file outside of the repositories is more than ordinary', () => {
    const log = host().exec({ ...DPKG, ppid: 2000 }, ['dpkg', '-i', '/tmp/evil_1.0_all.deb'])
    const [incident] = incidentsOf(quiet(log.create(DPKG, '/usr/bin/evil.dpkg-new')))
    expect(incident).toMatchObject({
      severity: 'medium',
      title: 'dpkg (0) installed or changed 1 package: evil',
    })
    expect(incident?.reasons[0]).toBe('evil_1.0_all.deb did not come from a repository')
  })
})

describe('what is no work of packages is reported for itself', () => {
  test('a program that somebody copies and runs in the same minutes', () => {
    const log = installTree(host())
    const cp: Doer = { pid: 2200, ppid: 2000, exe: '/usr/bin/cp' }
    const own: Doer = { pid: 2201, ppid: 2000, exe: '/usr/local/bin/own' }
    log.exec(cp).create(cp, own.exe).exec(own)
    const found = incidentsOf(quiet(configureTree(log)))
    const ofOwn = found.filter(({ edges }) => edges.some(({ to }) => to.includes(own.exe)))
    expect(found.filter(({ title }) => title.startsWith('apt-get (0) installed'))).toHaveLength(1)
    expect(ofOwn.flatMap(({ edges }) => edges.map(({ to }) => to))).toEqual(
      expect.arrayContaining([`file:create:${own.exe}`, `proc::0:${own.exe}`]),
    )
    expect(ofOwn.map(({ title }) => title).join()).not.toContain('apt-get')
  })

  test('a script of a package that connects to the outside, and what it does from then on', () => {
    const log = installTree(host()).exec(CURL).connect(CURL, '198.51.100.7', 443)
    const found = incidentsOf(quiet(log.create(CURL, '/srv/fetched')))
    const escaped = found.filter(({ edges }) => edges.some(({ to }) => to === 'host:198.51.100.7:443'))
    expect(found).toHaveLength(2)
    expect(escaped[0]?.edges.map(({ to }) => to)).toContain('file:create:/srv/fetched')
    expect(escaped[0]?.chain.join('->')).toContain('proc::0:/usr/bin/dpkg->proc::0:/usr/bin/dash<')
  })

  test('what a configuration of somebody has a package manager run', () => {
    const shell: Doer = { pid: 2500, ppid: 2100, exe: '/usr/bin/dash' }
    const implant: Doer = { pid: 2501, ppid: 2500, exe: '/home/u/implant' }
    const cp: Doer = { pid: 2502, ppid: 2500, exe: '/usr/bin/cp' }
    const log = host().exec(APT, ['apt-get', '-c', '/home/u/x.conf', 'update'])
    log.exec(shell, ['sh', '-c', '/home/u/implant']).exec(implant).connect(implant, '10.66.6.6', 8443)
    log.exec(cp).create(cp, '/etc/systemd/system/evil.service')
    const found = incidentsOf(quiet(log))
    const [maintenance, ...more] = found.filter(({ title }) => title.startsWith('apt-get'))
    expect(more).toEqual([])
    expect(maintenance).toMatchObject({
      severity: 'medium',
      reasons: ['apt-get was told to run something: -c', expect.anything()],
    })
    const hidden = maintenance?.edges.map(({ to }) => to).join() ?? ''
    const shown = found
      .filter((each) => each !== maintenance)
      .flatMap(({ edges }) => edges.map(({ to }) => to))
    expect(hidden).not.toMatch(/implant|10\.66\.6\.6|evil/)
    expect(shown).toEqual(
      expect.arrayContaining([
        'proc::0:/home/u/implant',
        'host:10.66.6.6:8443',
        'file:create:/etc/systemd/system/evil.service',
      ]),
    )
  })

  test('a program that a script of a package puts into a place for temporary files and runs', () => {
    const dropped: Doer = { pid: 2140, ppid: 2120, exe: '/tmp/dropped' }
    const found = incidentsOf(quiet(installTree(host()).exec(dropped)))
    expect(found.filter(({ title }) => title.includes('/tmp/dropped'))).toHaveLength(1)
  })
})

describe('what a package has brought', () => {
  const TREE: Doer = { pid: 2300, ppid: 2000, exe: '/usr/bin/tree' }

  test('is on probation for a day, and after that unseen like anything else', () => {
    const today = quiet(installTree(host())).exec(TREE).create(TREE, '/var/lib/tree/listing')
    expect(titles(incidentsOf(quiet(today)))).toEqual([
      'low apt-get (0) installed or changed 1 package: tree',
      'low after apt-get was at work, what it had brought did something for the first time: tree',
    ])
    const tomorrow = quiet(installTree(host()))
      .after(25 * HOUR_MS)
      .exec(TREE)
    const [, later] = incidentsOf(quiet(tomorrow))
    expect(later?.edges.map(({ to }) => to)).toEqual(['proc::0:/usr/bin/tree'])
    expect(later?.title).not.toContain('apt-get')
  })

  test('is no excuse for what attackers do', () => {
    const log = quiet(installTree(host())).exec(TREE).connect(TREE, '198.51.100.7', 443)
    const found = incidentsOf(quiet(log.create(TREE, '/root/.ssh/authorized_keys')))
    const alerts = found.filter(({ title }) => !/apt-get/.test(title)).flatMap(({ edges }) => edges)
    expect(alerts.map(({ to }) => to)).toEqual([
      'host:198.51.100.7:443',
      'file:create:/root/.ssh/authorized_keys',
    ])
  })

  test('is no excuse for who came in through a service, nor for tools that do what they are told', () => {
    const nginx: Doer = { pid: 800, exe: '/usr/sbin/nginx', uid: 33 }
    const shell: Doer = { pid: 2400, ppid: nginx.pid, exe: '/usr/bin/dash', uid: 33 }
    const tree: Doer = { ...TREE, pid: 2401, ppid: shell.pid, uid: 33 }
    const cp: Doer = { pid: 2402, ppid: 2000, exe: '/usr/bin/cp' }
    const log = installTree(host()).create(DPKG, '/usr/bin/cp.dpkg-new')
    quiet(log).exec(shell).exec(tree).create(tree, '/var/lib/x')
    log.exec(cp).create(cp, '/etc/systemd/system/evil.service').create(cp, '/var/lib/y')
    const found = incidentsOf(quiet(log)).filter(({ title }) => /apt-get/.test(title))
    expect(titles(found)).toEqual(['low apt-get (0) installed or changed 1 package: tree'])
    expect(found[0]?.edges.map(({ to }) => to)).not.toContain('proc::33:/usr/bin/tree')
  })

  test('started by a service is reported', () => {
    const service: Doer = { pid: 800, exe: '/usr/sbin/nginx', uid: 33 }
    const log = quiet(installTree(host())).exec({ ...TREE, ppid: service.pid, uid: 33 })
    const found = incidentsOf(quiet(log)).filter(({ edges }) =>
      edges.some(({ from }) => from.includes('nginx')),
    )
    expect(titles(found)).toHaveLength(1)
    expect(titles(found)[0]).not.toContain('apt-get')
  })

  test('keeps its own name, however many others there are like it', () => {
    const writer: Doer = { pid: 900, exe: '/usr/sbin/writer' }
    const log = new LogBuilder(NOON_MS).exec(SHELL).exec(APT).exec(DPKG)
    for (const number of [1001, 1002, 1003]) log.create(writer, `/srv/data/part-${number}.bin`)
    log.create(DPKG, '/srv/data/part-2001.bin.dpkg-new')
    ordinaryLife(log).create(writer, '/srv/data/part-2002.bin').create(writer, '/srv/data/part-2001.bin')
    const found = incidentsOf(quiet(log)).flatMap(({ edges }) => edges.map(({ to }) => to))
    expect(found).toEqual(['file:create:/srv/data/part-2001.bin'])
  })

  test('in the place of a program that is known makes nothing new of what that does', () => {
    const log = new LogBuilder(NOON_MS)
    log.exec(SHELL).exec(TREE).create(TREE, '/srv/listing')
    const trained = ordinaryLife(log).exec({ ...SHELL, pid: 2001 })
    const again: Doer = { ...TREE, pid: 2301, ppid: 2001 }
    quiet(installTree(trained)).exec(again).create(again, '/srv/listing').create(again, '/srv/new')
    const found = incidentsOf(quiet(trained)).filter(({ title }) => !title.startsWith('apt-get'))
    expect(found.flatMap(({ edges }) => edges.map(({ to }) => to))).toEqual(['file:create:/srv/new'])
  })
})
