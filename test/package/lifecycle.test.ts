/**
 * The life of the package on a Debian with systemd: installed, upgraded, upgraded in vain, removed, purged.
 *
 * The tests of a suite are one story on one machine, each goes on where the one before has ended.
 */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Alert } from '../../agent/domain/alert.ts'
import { alterPackage, replaceIn } from '../support/altered-package.ts'
import { bootDebian, type Booted, bootUnavailable } from '../support/booted.ts'
import { findMirror, type Run } from '../support/debian.ts'
import { LogBuilder } from '../support/log-builder.ts'
import { builtPackage, noPackages } from '../support/package.ts'

const mirror = findMirror()
const MINUTE_MS = 60_000
const AUDIT_LOG = 'var/log/audit/audit.log'
const REPORTS = 'var/log/fullmon/fullmon.log'
/** As an administrator edits it, so that what is new is reported at once. */
const EDITED = `log: /${REPORTS}\nbaseline: 0\nmonitor: 0.1\nwait: 0.05\n`

/** What the package at `path` does to the file of the same name, as the new version that is no good. */
const broken = {
  'whose program ends at once': (folder: string) =>
    writeFileSync(join(folder, 'usr/lib/fullmon/launch'), '#!/bin/sh\nexit 3\n'),
  'whose program is never ready': (folder: string) => {
    writeFileSync(join(folder, 'usr/lib/fullmon/launch'), '#!/bin/sh\nexec sleep 1000\n')
    replaceIn(
      join(folder, 'usr/lib/systemd/system/fullmon.service'),
      /^TimeoutStartSec=.*$/m,
      'TimeoutStartSec=2s',
    )
  },
  'whose preinst fails': (folder: string) => replaceIn(join(folder, 'DEBIAN/preinst'), /^set -e$/m, 'exit 1'),
  'that wants a file of another package': (folder: string) => {
    mkdirSync(join(folder, 'usr/bin'), { recursive: true })
    writeFileSync(join(folder, 'usr/bin/env'), 'not yours\n')
  },
}

describe.each(['bookworm', 'trixie'])('the package on %s', (suite) => {
  let obstacle: string | undefined
  let machine: Booted
  let folder: string
  let built: string

  beforeAll(async () => {
    obstacle = noPackages() ?? (await bootUnavailable(mirror, suite))
    if (obstacle !== undefined) return
    folder = mkdtempSync(join(tmpdir(), 'fullmon-lifecycle-'))
    built = builtPackage()
    machine = await bootDebian(mirror, suite)
    must('install -d -m 750 /var/log/audit && install -m 600 /dev/null /var/log/audit/audit.log')
  }, 10 * MINUTE_MS)

  afterAll(async () => {
    if (obstacle !== undefined) return
    await machine.stop()
    rmSync(folder, { recursive: true })
  })

  beforeEach(({ skip }) => {
    skip(obstacle !== undefined, obstacle)
  })

  function must(command: string): Run {
    const done = machine.run(command)
    if (done.status !== 0) throw new Error(`${command}: ${done.stderr}${done.stdout}`)
    return done
  }
  const at = (path: string): string => join(machine.root, path)
  const apt = (words: string): Run =>
    machine.run(`DEBIAN_FRONTEND=noninteractive apt-get -qq -y ${words} </dev/null`)
  const install = (path: string): Run => {
    copyFileSync(path, at('root/fullmon.deb'))
    return apt('install --allow-downgrades /root/fullmon.deb')
  }
  const altered = (version: string, change: (folder: string) => void = () => undefined): string => {
    const path = join(folder, `fullmon_${version}.deb`)
    alterPackage(built, path, version, change)
    return path
  }
  const until = async (what: string, isThere: () => boolean): Promise<void> => {
    const deadlineMs = performance.now() + MINUTE_MS
    while (!isThere()) {
      if (performance.now() > deadlineMs)
        throw new Error(`${what}: not seen. ${machine.run('journalctl -u fullmon -n 20').stdout}`)
      await sleep(100)
    }
  }
  const said = (): string => (existsSync(at(REPORTS)) ? machine.run(`cat /${REPORTS}`).stdout : '')
  const happens = (name: string): void =>
    appendFileSync(
      at(AUDIT_LOG),
      new LogBuilder(Date.now()).exec({ pid: 4_000_001, ppid: 4_000_000, exe: `/usr/bin/${name}` }).text,
    )
  const alerts = (): readonly string[] =>
    must('fullmon alerts --json')
      .lines.filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Alert)
      .map(({ id, state, title }) => `${id} ${state} ${title}`)
  const modes = (...paths: string[]): readonly string[] =>
    must(`stat -c '%n %a %U:%G' ${paths.join(' ')}`).lines
  const property = (name: string): string =>
    must(`systemctl show --property=${name} --value fullmon`).stdout.trim()
  /** The program of the service that runs, as it says itself and as the kernel knows it. */
  const running = (): { readonly state: string; readonly version: string; readonly exe: string } => ({
    state: property('ActiveState'),
    version: must('fullmon --version').stdout.split(' ')[1] ?? '',
    exe: must(`readlink /proc/${property('MainPID')}/exe`).stdout.trim(),
  })
  const runs = (version: string) => ({ state: 'active', version, exe: '/usr/lib/fullmon/bin/node' })

  test('is installed: a user, folders of its own, a service that learns, three commands to know', () => {
    const { status, stdout } = install(altered('0.1'))
    expect(status).toBe(0)
    expect(stdout.match(/sudo fullmon \w+/g)).toEqual([
      'sudo fullmon status',
      'sudo fullmon review',
      'sudo fullmon doctor',
    ])
    expect(stdout).toContain('not loaded now: the kernel does not let this container control its audit')
    expect(
      modes(
        '/var/lib/fullmon',
        '/var/log/fullmon',
        '/etc/audit/rules.d/fullmon.rules',
        '/etc/fullmon/config.yaml',
      ),
    ).toEqual([
      '/var/lib/fullmon 700 fullmon:fullmon',
      '/var/log/fullmon 700 fullmon:fullmon',
      '/etc/audit/rules.d/fullmon.rules 640 root:root',
      '/etc/fullmon/config.yaml 640 root:root',
    ])
    expect(must('getent passwd fullmon').stdout).toMatch(
      /^fullmon:x:\d+:\d+:.*:\/nonexistent:\/usr\/sbin\/nologin$/m,
    )
    expect(running()).toEqual(runs('0.1'))
    expect(must('systemctl is-enabled fullmon').stdout).toBe('enabled\n')
    expect(said()).toMatch(/ training until /)
  })

  test(
    'reports what is new, after a restart and after its end, too',
    async () => {
      writeFileSync(at('etc/fullmon/config.yaml'), EDITED)
      must('systemctl restart fullmon')
      await until('the end of the training', () => said().includes('monitoring: '))
      happens('unseen-first')
      await until('the first report', () => said().includes('/usr/bin/unseen-first'))
      const pid = property('MainPID')
      must(`kill -KILL ${pid}`)
      happens('unseen-second')
      await until('another process', () => !['0', pid].includes(property('MainPID')))
      await until('the second report', () => said().includes('/usr/bin/unseen-second'))
      expect(alerts()).toEqual([expect.stringMatching(/^\d+ open .*was killed/)])
    },
    3 * MINUTE_MS,
  )

  test(
    'is upgraded, with its configuration, its baseline and its open alerts',
    async () => {
      const before = alerts()
      const { status, stdout } = install(altered('0.2'))
      expect({ status, leftovers: must('ls /usr/lib /var/lib').stdout.match(/fullmon.*/g) }).toEqual({
        status: 0,
        leftovers: ['fullmon', 'fullmon'],
      })
      expect(stdout).toContain('fullmon: 0.2 runs, it was 0.1')
      expect(running()).toEqual(runs('0.2'))
      expect(must('cat /etc/fullmon/config.yaml').stdout).toBe(EDITED)
      expect(alerts()).toEqual(before)
      happens('unseen-third')
      await until('a report', () => said().includes('/usr/bin/unseen-third'))
    },
    3 * MINUTE_MS,
  )

  describe.each(Object.entries(broken))('an upgrade to a version %s', (name, change) => {
    test(
      'leaves the old one running, with its baseline and its open alerts',
      async () => {
        const before = alerts()
        const { status, stdout, stderr } = install(altered('0.3', change))
        expect(status).not.toBe(0)
        if (name.includes('program')) {
          expect(stdout + stderr).toContain(
            'fullmon: 0.3 did not come up: 0.2 goes on with its baseline of before.',
          )
          expect(must("dpkg-query -W -f '${Status}' fullmon").stdout).toBe('install ok half-configured')
        }
        expect(running()).toEqual(runs('0.2'))
        expect(alerts()).toEqual(before)
        const unseen = `unseen-after-${before.length}`
        happens(unseen)
        await until('a report', () => said().includes(`/usr/bin/${unseen}`))
      },
      3 * MINUTE_MS,
    )
  })
})
