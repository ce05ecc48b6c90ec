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

const folder = mkdtempSync(join(tmpdir(), 'fullmon-life-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The package as another version, with a change; made once for all suites. */
function altered(version: string, change: (folder: string) => void = () => undefined): string {
  const path = join(folder, `${version} ${change.name}.deb`)
  if (!existsSync(path)) alterPackage(builtPackage(), path, version, change)
  return path
}

/** The tests of one suite. */
export function describeLife(suite: string): void {
  describe(`the package on ${suite}`, () => {
    let obstacle: string | undefined
    let machine: Booted

    beforeAll(async () => {
      obstacle = noPackages() ?? (await bootUnavailable(mirror, suite))
      if (obstacle !== undefined) return
      builtPackage()
      machine = await bootDebian(mirror, suite)
      must('install -d -m 750 /var/log/audit && install -m 600 /dev/null /var/log/audit/audit.log')
    }, 10 * MINUTE_MS)

    afterAll(async () => {
      if (obstacle !== undefined) return
      await machine.stop()
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
      return machine.run('DEBIAN_FRONTEND=noninteractive dpkg --install /root/fullmon.deb </dev/null')
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

    test(
      'is installed: a user, folders of its own, a service that learns, three commands to know',
      () => {
        copyFileSync(altered('0.1'), at('root/fullmon.deb'))
        const { status, stdout } = apt('install /root/fullmon.deb')
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
      },
      3 * MINUTE_MS,
    )

    test(
      'reports what is new, after a restart and after its end, too',
      async () => {
        writeFileSync(at('etc/fullmon/config.yaml'), EDITED)
        // A test need not wait for half a minute.
        must('mkdir /etc/systemd/system/fullmon.service.d')
        writeFileSync(at('etc/systemd/system/fullmon.service.d/test.conf'), '[Service]\nRestartSec=1s\n')
        must('systemctl daemon-reload && systemctl restart fullmon')
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

    test('runs as its own user with three capabilities, behind a filter of system calls', () => {
      const status = must(`cat /proc/${property('MainPID')}/status`).stdout
      const field = (name: string): string | undefined =>
        new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1]
      expect(field('Uid')).toBe(must('id -u fullmon').stdout.trim())
      // CAP_DAC_READ_SEARCH 2, CAP_SYS_PTRACE 19, CAP_AUDIT_CONTROL 30; see capability.h
      const three = ((1n << 2n) | (1n << 19n) | (1n << 30n)).toString(16).padStart(16, '0')
      expect(['CapPrm', 'CapEff', 'CapBnd'].map(field)).toEqual([three, three, three])
      expect([field('NoNewPrivs'), field('Seccomp')]).toEqual(['1', '2'])
      const mounts = must(`cat /proc/${property('MainPID')}/mounts`).lines.map((line) => line.split(' '))
      const readOnly = (path: string): boolean =>
        mounts
          .findLast(([, place]) => place === path)?.[3]
          ?.split(',')
          .includes('ro') ?? false
      expect(['/', '/var/lib/fullmon', '/var/log/fullmon'].map(readOnly)).toEqual([true, false, false])
    })

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

    test(
      'the next good version ends a failed upgrade',
      () => {
        expect(install(altered('0.3', broken['whose program ends at once'])).status).not.toBe(0)
        expect(machine.run('dpkg --configure fullmon').status).not.toBe(0)
        expect(running()).toEqual(runs('0.2'))
        const before = alerts()
        expect(install(altered('0.4'))).toMatchObject({ status: 0 })
        expect(running()).toEqual(runs('0.4'))
        expect(alerts()).toEqual(before)
        expect(must('cat /etc/fullmon/config.yaml').stdout).toBe(EDITED)
        expect(must('ls /usr/lib /var/lib').stdout.match(/fullmon.*/g)).toEqual(['fullmon', 'fullmon'])
        // What the test itself has altered is different, too.
        const different = must('dpkg --verify fullmon').lines.filter(
          (line) => !line.endsWith('/package.json'),
        )
        expect(different).toEqual([expect.stringMatching(/ c \/etc\/fullmon\/config.yaml$/)])
      },
      3 * MINUTE_MS,
    )

    test(
      'what an administrator has disabled or masked stays so',
      () => {
        must('systemctl disable --now fullmon')
        expect(install(altered('0.5'))).toMatchObject({ status: 0 })
        expect([property('ActiveState'), property('UnitFileState')]).toEqual(['inactive', 'disabled'])
        must('systemctl mask fullmon')
        expect(install(altered('0.6'))).toMatchObject({ status: 0 })
        expect([property('ActiveState'), property('UnitFileState')]).toEqual(['inactive', 'masked'])
        must('systemctl unmask fullmon && systemctl enable --now fullmon')
        expect(running()).toEqual(runs('0.6'))
      },
      3 * MINUTE_MS,
    )

    test(
      'is removed with its rules, and comes back as it was',
      () => {
        const before = alerts()
        expect(apt('remove fullmon')).toMatchObject({ status: 0 })
        expect(property('ActiveState')).toBe('inactive')
        expect(machine.run('pgrep -u fullmon').stdout).toBe('')
        expect(must('ls /etc/audit/rules.d').stdout).not.toContain('fullmon.rules\n')
        expect(must('cat /etc/audit/audit.rules').stdout).not.toContain('fullmon')
        expect(existsSync(at('usr/lib/fullmon'))).toBe(false)
        expect(install(altered('0.7'))).toMatchObject({ status: 0 })
        expect(must('ls /etc/audit/rules.d').lines).toEqual(['audit.rules', 'fullmon.rules'])
        expect(running()).toEqual(runs('0.7'))
        expect(alerts()).toEqual(before)
      },
      3 * MINUTE_MS,
    )

    test(
      'is purged, and nothing but the user and the drop-in of an administrator stays; a baseline and a configuration of another host are taken',
      async () => {
        must(
          'fullmon baseline export > /root/baseline.jsonl && systemctl stop fullmon && cp /var/lib/fullmon/baseline.db /root',
        )
        expect(apt('purge fullmon')).toMatchObject({ status: 0 })
        expect(
          must("find / -xdev ! -path '/root/*' ! -path '/var/log/journal/*' -name '*fullmon*'").stdout,
        ).toBe('/etc/systemd/system/fullmon.service.d\n')
        expect(must('getent passwd fullmon').stdout).toContain('fullmon')

        must('mkdir /etc/fullmon && cp /root/baseline.db /etc/fullmon')
        writeFileSync(at('etc/fullmon/config.yaml'), EDITED)
        const { status, stdout } = install(altered('0.8'))
        expect(status).toBe(0)
        expect(stdout).toContain('keeps the configuration that was there')
        expect(must('cat /etc/fullmon/config.yaml').stdout).toBe(EDITED)
        await until('no training', () => said().includes('monitoring: '))
        expect(must('fullmon status').stdout).toContain('/etc/fullmon/baseline.db')
      },
      3 * MINUTE_MS,
    )

    test(
      'who has the rights of the service gets no file of root by a rollback, and the old version goes on',
      () => {
        must('echo mine >/root/target')
        const plant = '$_ = "/var/lib/fullmon"; symlink "/root/target", "$_/baseline.db" until -e "/tmp/over"'
        must(`systemd-run --quiet --unit=planter --uid=fullmon perl -e '${plant}'`)
        expect(install(altered('0.9', broken['whose program ends at once'])).status).not.toBe(0)
        must('touch /tmp/over')
        expect(must('stat -c %U /root/target && cat /root/target').lines).toEqual(['root', 'mine'])
        // With a link in place of its baseline no version runs: but it is the old one that tries.
        expect(must('fullmon --version').stdout.split(' ')[1]).toBe('0.8')
      },
      3 * MINUTE_MS,
    )
  })
}
