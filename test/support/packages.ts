import { expect } from 'vitest'
import type { Incident, Report } from '../../agent/domain/report.ts'
import { FAR_SIDE, type Marks } from './workload/packages.ts'

/** An event may carry a stamp this much older than the mark before it: the kernel's clock is coarse. */
const COARSE_MS = 10

/** What must be said of the phases of `PHASES`, whoever reads them: a replay, or an agent while they happen. */
export class Told {
  private readonly incidents: readonly Incident[]
  private readonly marks: Marks

  constructor(reports: readonly Report[], marks: Marks) {
    this.incidents = reports.filter((report) => report.kind === 'incident')
    this.marks = marks
  }

  /** Incidents that began in a phase. */
  of(phase: string): Incident[] {
    const names = Object.keys(this.marks)
    const fromMs = this.marks[phase] ?? Number.NaN
    const toMs = this.marks[names[names.indexOf(phase) + 1] ?? ''] ?? Number.NaN
    return this.incidents.filter(({ firstMs }) => firstMs >= fromMs - COARSE_MS && firstMs < toMs - COARSE_MS)
  }

  maintenanceOf(phase: string): Incident[] {
    return this.of(phase).filter(({ title }) => /^(?:apt-get|dpkg) \(/.test(title))
  }

  /** What is no maintenance, and nothing that packages have brought. */
  alertsOf(phase: string): Incident[] {
    return this.of(phase).filter(({ title }) => !/^(?:after )?(?:apt-get|dpkg) (?:\(|was)/.test(title))
  }
}

/** An installation is exactly one incident of maintenance, and a program that is run by hand meanwhile one of its own. */
export function expectInstallation(told: Told): void {
  const [installation, ...others] = told.maintenanceOf('install')
  expect(others).toEqual([])
  expect(installation).toMatchObject({ severity: 'low', kind: 'incident' })
  expect(installation?.title).toMatch(
    /^apt-get \(root\) installed or changed \d+ packages: cron, cron-daemon-common, sensible-utils, tree$/,
  )
  expect(installation?.chain.at(-1)).toBe('proc::root:/usr/bin/apt-get')
  expect(installation?.count).toBeGreaterThan(500)
  expect(installation?.edges.length).toBeLessThanOrEqual(40)
  const alerts = told.alertsOf('install')
  expect(alerts).toHaveLength(1)
  const nodes = alerts.flatMap(({ edges }) => edges.map(({ to }) => to))
  expect(nodes).toContain('proc::root:/usr/local/bin/picked')
  expect(nodes).toContain('file:create:/usr/local/bin/picked')
  expect(alerts[0]?.severity).not.toBe('low')
}

/** Everything else that packages do is maintenance too, and ordinary life with what they bring is none that alerts. */
export function expectQuiet(told: Told): void {
  for (const phase of ['update', 'reinstall', 'remove']) {
    expect(told.alertsOf(phase), phase).toEqual([])
    expect(told.maintenanceOf(phase).length, phase).toBeLessThanOrEqual(1)
    expect(told.maintenanceOf(phase).map(({ severity }) => severity)).not.toContain('medium')
  }
  for (const phase of ['first use', 'use again']) {
    expect(told.alertsOf(phase), phase).toEqual([])
    expect(told.maintenanceOf(phase), phase).toEqual([])
  }
  expect(told.maintenanceOf('remove').map(({ title }) => title)).toEqual([
    'apt-get (root) removed 1 package: tree',
  ])
}

/** What is done under the name of packages is seen. */
export function expectLoud(told: Told): void {
  expect(
    told.maintenanceOf('told to run').map(({ severity, reasons }) => [severity, reasons[0]]),
  ).toContainEqual([
    'medium',
    'apt-get was told to run something: APT::Update::Pre-Invoke::=id >/var/tmp/who',
  ])
  expect(told.maintenanceOf('bad package')).toMatchObject([
    {
      severity: 'medium',
      title: 'dpkg (root) installed or changed 1 package: bad',
      reasons: ['bad.deb did not come from a repository', expect.anything()],
    },
  ])
  const critical = told.alertsOf('bad package').filter(({ severity }) => severity === 'critical')
  // Rules tell of a part of it at once.
  const alerts = critical.filter(({ rule }) => rule === undefined)
  expect(alerts).toHaveLength(1)
  const [alert] = alerts
  expect(alert?.edges.map(({ to }) => to)).toEqual([
    'file:attribute:/usr/lib/bad-helper',
    `host:${FAR_SIDE}:4444`,
  ])
  expect(alert?.chain.join('->')).toContain(
    'proc::root:/usr/bin/dpkg->proc::root:/usr/bin/dash</var/lib/dpkg/info/bad.postinst',
  )
}
