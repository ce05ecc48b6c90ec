/** What is told of who changes the agent: upgrades and people who edit the configuration do it less loudly than all others. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { alertsIn } from '../agent/baseline/alerts.ts'
import type { Report, Tamper } from '../agent/domain/report.ts'
import { gravityOf } from '../agent/report/gravity.ts'
import { folderForTest } from './support/folder.ts'
import type { Doer, LogBuilder } from './support/log-builder.ts'
import { newBaseline, ordinaryLife, replay, WINDOW_MS } from './support/engine.ts'

const ALICE = 1000
const PROGRAM = '/usr/lib/fullmon/dist/agent/main.js'
const CONFIG = '/etc/fullmon/config.yaml'
const RULES = '/etc/audit/rules.d/fullmon.rules'
const own = {
  ...{ pid: 4242, boot: { id: 'this', startMs: 0 } },
  places: {
    log: '/var/log/audit/audit.log',
    own: ['/var/lib/fullmon/baseline.db', '/usr/lib/fullmon/', '/var/lib/dpkg/info/fullmon'],
    configuration: [CONFIG, '/etc/fullmon/rules/'],
  },
  isPackaged: (path: string) => path === PROGRAM || path === CONFIG || path === RULES,
  sawExec: () => false,
}

const SHELL: Doer = { pid: 5000, ppid: 4999, exe: '/usr/bin/bash', auid: ALICE }
const DPKG: Doer = { pid: 5002, ppid: 5001, exe: '/usr/bin/dpkg', auid: ALICE }
const below = (parent: Doer, pid: number, exe: string): Doer => ({ ...parent, pid, ppid: parent.pid, exe })

/** Somebody logs in and has packages put in place. */
function withDpkg(log: LogBuilder, file = '/var/cache/apt/archives/fullmon_2_amd64.deb'): LogBuilder {
  const apt = below(SHELL, 5001, '/usr/bin/apt-get')
  return log
    .exec(SHELL)
    .exec(apt, ['apt-get', 'install', 'fullmon'])
    .exec(DPKG, ['/usr/bin/dpkg', '--unpack', file])
}

/** A script of a package, as dpkg runs it. */
function script(log: LogBuilder, pid: number, name: string, word: string): Doer {
  const doer = below(DPKG, pid, '/usr/bin/dash')
  log.exec(doer, ['/bin/sh', `/var/lib/dpkg/info/${name}`, word])
  return doer
}

/** Reports behind the training, with what opens an alert. */
function told(write: (log: LogBuilder) => void): { tampers: Tamper[]; alerts: string[]; reports: Report[] } {
  const log = ordinaryLife()
  write(log)
  log.after(2 * WINDOW_MS + 120_000).create({ pid: 700, exe: '/usr/sbin/cron' }, '/run/cron.pid')
  const path = join(folderForTest(), 'baseline.db')
  const baseline = newBaseline(path)
  const reports = replay(log, { own, alertsFrom: 'medium' }, baseline)
  const tampers = reports.filter((report) => report.kind === 'tamper')
  const alerts = alertsIn(path).map(({ severity, title }) => `${severity} ${title}`)
  return { tampers, alerts, reports }
}

const gravities = (tampers: readonly Tamper[]): unknown[] => tampers.map((tamper) => gravityOf(tamper))

test('an upgrade of fullmon is told, and opens no alert', () => {
  const { tampers, alerts, reports } = told((log) => {
    withDpkg(log)
    script(log, 5003, 'fullmon.prerm', 'upgrade')
    log
      .create(DPKG, `${PROGRAM}.dpkg-new`)
      .delete(DPKG, PROGRAM)
      .create(DPKG, PROGRAM)
      .create(DPKG, '/usr/lib/fullmon/dist/agent/quite-new.js')
      .create(DPKG, '/usr/lib/fullmon/bin/node')
      .create(DPKG, `${CONFIG}.dpkg-new`)
      .create(DPKG, `${RULES}.dpkg-new`)
      .create(DPKG, RULES)
      .create(DPKG, '/etc/audit/plugins.d/fullmon.conf')
      .create(DPKG, '/usr/lib/systemd/system/fullmon.service')
      .create(DPKG, '/var/lib/dpkg/info/fullmon.list')
    const postinst = script(log, 5004, 'fullmon.postinst', 'configure')
    const stop = below(postinst, 5005, '/usr/bin/systemctl')
    log.exec(stop, ['systemctl', '--quiet', 'stop', 'fullmon.service'])
    const copy = below(postinst, 5006, '/usr/bin/cp')
    log.exec(copy, ['cp', '-a', '/var/lib/fullmon', '/var/lib/fullmon.copy'])
    log.create(copy, '/var/lib/fullmon/baseline.db.previous')
    const augenrules = below(postinst, 5007, '/usr/bin/dash')
    log.exec(augenrules, ['/bin/sh', '/usr/sbin/augenrules', '--load'])
    const auditctl = below(augenrules, 5008, '/usr/sbin/auditctl')
    log.exec(auditctl, ['/sbin/auditctl', '-R', '/etc/audit/audit.rules'])
    log
      .configure(auditctl, 'auid=1000 op=remove_rule key="fullmon-exec" list=4 res=1')
      .configure(auditctl, 'auid=1000 op=add_rule key="fullmon-exec" list=4 res=1')
      .configure(auditctl, 'op=set audit_backlog_limit=8192 old=64 auid=1000 res=1')
  })
  expect(alerts).toEqual([])
  expect(new Set(tampers.map(({ reason }) => reason))).toEqual(
    new Set(['own-files', 'rules-changed', 'audit-changed']),
  )
  expect(new Set(gravities(tampers))).toEqual(new Set(['low']))
  const incidents = reports.flatMap((report) => (report.kind === 'incident' ? [report] : []))
  expect(incidents.map(({ severity }) => severity)).not.toContain('critical')
})

test('that it came from no repository is told as of every package', () => {
  const { alerts, reports } = told((log) => {
    withDpkg(log, './fullmon_2_amd64.deb')
    script(log, 5003, 'fullmon.prerm', 'upgrade')
    log.create(DPKG, PROGRAM).create(DPKG, '/var/lib/dpkg/info/fullmon.list')
  })
  expect(alerts).toEqual(['medium apt-get (0) installed or changed 1 package: fullmon'])
  const [incident] = reports.filter(
    ({ kind, ...rest }) => kind === 'incident' && 'severity' in rest && rest.severity === 'medium',
  )
  expect(incident).toMatchObject({
    reasons: expect.arrayContaining(['fullmon_2_amd64.deb did not come from a repository']) as string[],
    next: expect.arrayContaining([expect.stringMatching(/^fullmon accept \d+ /)]) as string[],
  })
})

test('the same deeds by hand are critical', () => {
  const { tampers, alerts } = told((log) => {
    const cp = below(SHELL, 5100, '/usr/bin/cp')
    const auditctl = below(SHELL, 5101, '/usr/sbin/auditctl')
    log.exec(SHELL).exec(cp, ['cp', 'evil.js', PROGRAM]).create(cp, PROGRAM)
    log
      .exec(auditctl, ['auditctl', '-D'])
      .configure(auditctl, 'op=remove_rule key="fullmon-exec" list=4 res=1')
    // Named as our own scripts are, and put where they lie, but no dpkg runs it.
    const fake = below(SHELL, 5102, '/usr/bin/dash')
    log.create(cp, '/var/lib/dpkg/info/fullmon.postinst')
    log.exec(fake, ['/bin/sh', '/var/lib/dpkg/info/fullmon.postinst', 'configure']).create(fake, PROGRAM)
  })
  expect(tampers.length).toBeGreaterThanOrEqual(3)
  expect(new Set(gravities(tampers))).toEqual(new Set(['critical']))
  expect(alerts.some((alert) => alert.startsWith('critical'))).toBe(true)
})

test('a package of somebody else that brings files into fullmon is told as medium, and its scripts as critical', () => {
  const { tampers, alerts } = told((log) => {
    withDpkg(log)
    log.create(DPKG, '/usr/lib/fullmon/dist/agent/evil.js')
    const postinst = script(log, 5201, 'evil.postinst', 'configure')
    log.create(postinst, PROGRAM)
    const auditctl = below(postinst, 5202, '/usr/sbin/auditctl')
    log
      .exec(auditctl, ['auditctl', '-D'])
      .configure(auditctl, 'op=remove_rule key="fullmon-exec" list=4 res=1')
  })
  expect(tampers.map((tamper) => [tamper.reason, gravityOf(tamper)])).toEqual(
    expect.arrayContaining([
      ['own-files', 'medium'],
      ['own-files', 'critical'],
      ['rules-changed', 'medium'],
    ]),
  )
  expect(alerts.filter((alert) => alert.startsWith('medium')).length).toBeGreaterThan(0)
  expect(alerts.some((alert) => alert.startsWith('critical'))).toBe(true)
})

/** What is told when this program writes the configuration, and a file of the program after it. */
const written = (doer: Doer, ...files: readonly string[]): ReturnType<typeof told> =>
  told((log) => {
    log.exec(SHELL).exec(doer, [doer.exe, CONFIG])
    for (const file of files) log.create(doer, file)
  })

test.each(['/usr/bin/vim.basic', '/usr/bin/nano', '/usr/bin/sudo', '/bin/vi'])(
  'a person who edits the configuration with %s is told of as medium',
  (exe) => {
    const { tampers, alerts } = written(below(SHELL, 5300, exe), CONFIG)
    expect(gravities(tampers)).toEqual(['medium'])
    expect(alerts.filter((alert) => !alert.startsWith('medium '))).toEqual([])
  },
)

test('an editor that touches more than the configuration is as grave as anybody, whatever it did before', () => {
  const vim = below(SHELL, 5301, '/usr/bin/vim.basic')
  expect(gravities(written(vim, CONFIG, `${CONFIG}~`, PROGRAM).tampers)).toEqual([
    'medium',
    'critical',
    'medium',
  ])
})

test.each([
  [
    'who has not logged in',
    { ...SHELL, pid: 5302, ppid: 5000, exe: '/usr/bin/vim.basic', auid: 4_294_967_295 },
  ],
  ['with no editor', below(SHELL, 5303, '/usr/bin/tee')],
  ['with what is called like one', below(SHELL, 5304, '/tmp/vim')],
])('somebody %s is critical', (_, doer) => {
  expect(gravities(written(doer, CONFIG).tampers)).toEqual(['critical'])
})

test('an editor below a job is critical, although jobs have a login', () => {
  const { tampers } = told((log) => {
    const cron: Doer = { pid: 5400, ppid: 1, exe: '/usr/sbin/cron', auid: 0 }
    const shell = below(cron, 5401, '/usr/bin/dash')
    const vim = below(shell, 5402, '/usr/bin/vim.basic')
    log
      .exec(cron)
      .exec(shell, ['/bin/sh', '-c', 'vim -es'])
      .exec(vim, ['vim', '-es', CONFIG])
      .create(vim, CONFIG)
  })
  expect(gravities(tampers)).toEqual(['critical'])
})
