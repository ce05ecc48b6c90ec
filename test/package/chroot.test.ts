/** The package in a chroot: without systemd, then with the audit of the kernel within reach. */
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { auditctl, auditdUnavailable, startAuditd } from '../support/auditd.ts'
import { PACKAGES } from '../support/booted.ts'
import { debianUnavailable, findMirror, makeDebian, must, type Run, run } from '../support/debian.ts'
import { builtPackage, noPackages } from '../support/package.ts'

const mirror = findMirror()
const MINUTE_MS = 60_000
const ENV = [
  ...['env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  ...['HOME=/root', 'DEBIAN_FRONTEND=noninteractive'],
]
const ROOTS: string[] = []

/** Runs a command in a Debian of its own; what it may do is all that a word for setpriv leaves. */
type Inside = (command: string) => Run

function newDebian(
  suite: string,
  ...capabilities: string[]
): { readonly root: string; readonly inside: Inside } {
  const root = mkdtempSync(join(tmpdir(), `fullmon-chroot-${suite}-`))
  ROOTS.push(root)
  makeDebian(root, mirror, suite, PACKAGES)
  chmodSync(root, 0o755)
  copyFileSync(builtPackage(), join(root, 'root/fullmon.deb'))
  const script = `mount -t proc proc '${root}/proc' && exec setpriv "$@"`
  const inside: Inside = (command) =>
    run(
      'unshare',
      '--mount',
      'sh',
      '-c',
      script,
      'sh',
      ...capabilities,
      'chroot',
      root,
      ...ENV,
      'sh',
      '-c',
      command,
    )
  return { root, inside }
}

const INSTALL = 'apt-get -qq -y install /root/fullmon.deb </dev/null'

afterEach(() => {
  for (const root of ROOTS.splice(0)) rmSync(root, { recursive: true })
})

describe.each(['bookworm', 'trixie'])('a chroot of %s', (suite) => {
  test(
    'has the package without the service and the rules, says so, and loses it without a trace',
    async ({ skip }) => {
      const obstacle = noPackages() ?? (await debianUnavailable(mirror, suite))
      skip(obstacle !== undefined, obstacle)
      // Whatever its scripts try, the kernel's audit is out of reach.
      const { root, inside } = newDebian(suite, '--bounding-set=-audit_control,-audit_write')
      const files = (): readonly string[] =>
        inside("find / -xdev ! -path '/proc/*' ! -path '/root/*' -name '*fullmon*' | sort").lines

      const first = inside(INSTALL)
      expect(first).toMatchObject({ status: 0 })
      expect(first.stdout).toContain('they are not loaded now: this is a chroot')
      expect(first.stdout).toContain('fullmon: is not started, systemd does not run here')
      expect(first.stdout.match(/sudo fullmon \w+/g)).toHaveLength(3)
      expect(inside("stat -c '%a %U:%G' /var/lib/fullmon /var/log/fullmon").lines).toEqual([
        '700 fullmon:fullmon',
        '700 fullmon:fullmon',
      ])
      expect(inside('fullmon --version')).toMatchObject({ status: 0, stderr: '' })

      // Again, as an upgrade: what is kept during one is gone afterwards.
      expect(inside('dpkg -i /root/fullmon.deb')).toMatchObject({ status: 0 })
      expect(files().filter((path) => /previous|failed/.test(path))).toEqual([])

      const rules = (): string => readFileSync(join(root, 'etc/audit/audit.rules'), 'utf8')
      inside('augenrules')
      expect(rules()).toContain('fullmon-exec')
      expect(inside('apt-get -qq -y remove fullmon </dev/null')).toMatchObject({ status: 0 })
      expect(rules()).not.toContain('fullmon')
      expect(inside(INSTALL)).toMatchObject({ status: 0 })
      inside('augenrules')
      expect(rules()).toContain('fullmon-exec')

      expect(inside('apt-get -qq -y purge fullmon </dev/null')).toMatchObject({ status: 0 })
      expect(files()).toEqual([''])
      expect(inside('getent passwd fullmon').status).toBe(0)

      // What install-debian.sh of former versions has left: its rules are older, its state and its configuration stay.
      const made = inside(`mkdir -p /opt/fullmon/scripts /var/lib/fullmon /etc/fullmon /etc/systemd/system
        touch /opt/fullmon/scripts/fullmon /var/lib/fullmon/baseline.db /etc/audit/rules.d/fullmon.rules
        ln -s /opt/fullmon/scripts/fullmon /usr/local/bin/fullmon
        printf '[Service]\nExecStart=/opt/fullmon/scripts/fullmon run\n' >/etc/systemd/system/fullmon.service
        echo 'baseline: 5' >/etc/fullmon/config.yaml`)
      expect(made.status).toBe(0)
      const taken = inside(INSTALL)
      expect(taken.status).toBe(0)
      expect(taken.stdout).toContain('takes the place of the installation in /opt/fullmon')
      expect(
        inside('ls -d /opt/fullmon /usr/local/bin/fullmon /etc/systemd/system/fullmon.service').stdout,
      ).toBe('')
      expect(inside('stat -c %U /var/lib/fullmon/baseline.db').stdout).toBe('fullmon\n')
      expect(inside('cat /etc/fullmon/config.yaml').stdout).toBe('baseline: 5\n')
      expect(inside('grep -c fullmon-exec /etc/audit/rules.d/fullmon.rules').stdout).toBe('2\n')
    },
    5 * MINUTE_MS,
  )
})

test(
  'an odd host is told what is wrong with it, and an interrupted installation goes on',
  async ({ skip }) => {
    const suite = 'bookworm'
    const obstacle = noPackages() ?? (await debianUnavailable(mirror, suite))
    skip(obstacle !== undefined, obstacle)
    const { inside } = newDebian(suite, '--bounding-set=-audit_control,-audit_write')
    const owner = (path: string): string => inside(`stat -c '%a %U:%G' ${path}`).stdout.trimEnd()
    const PURGE = 'apt-get -qq -y purge fullmon </dev/null'

    // The name of the user is another's.
    expect(inside('useradd fullmon').status).toBe(0)
    const refused = inside(INSTALL)
    expect(refused.status).not.toBe(0)
    expect(refused.stdout + refused.stderr).toMatch(/the name is taken:\n {2}uid=1000\(fullmon\)/)
    expect(inside('userdel fullmon').status).toBe(0)

    // dpkg is killed while the package makes its user.
    const killer = 'kill -KILL "$(cut -d " " -f 4 /proc/$PPID/stat)" $PPID'
    inside(
      `printf '%s\n' '#!/bin/sh' '${killer}' >/usr/local/sbin/adduser; chmod 755 /usr/local/sbin/adduser`,
    )
    expect(inside('dpkg --configure -a').status).not.toBe(0)
    expect(inside('rm /usr/local/sbin/adduser && dpkg --configure -a')).toMatchObject({ status: 0 })
    expect(owner('/var/lib/fullmon')).toBe('700 fullmon:fullmon')

    // An administrator has moved the state elsewhere, with a link, which systemd does not take.
    expect(inside(PURGE)).toMatchObject({ status: 0 })
    inside('mkdir /data && ln -s /data /var/lib/fullmon')
    const linked = inside(INSTALL)
    expect(linked.status).not.toBe(0)
    expect(linked.stdout + linked.stderr).toContain('mount --bind /data /var/lib/fullmon ')
    expect(inside('rm /var/lib/fullmon && dpkg --configure -a')).toMatchObject({ status: 0 })
    expect(inside(PURGE)).toMatchObject({ status: 0 })

    // It is a file system of its own.
    const mounted = inside(`mkdir /var/lib/fullmon && mount -t tmpfs none /var/lib/fullmon && ${INSTALL} &&
      touch /var/lib/fullmon/baseline.db && ${PURGE} && ls -A /var/lib/fullmon | wc -l`)
    expect(mounted.status).toBe(0)
    expect(mounted.lines.slice(-2)).toEqual([
      'fullmon: /var/lib/fullmon stays; it is empty when it is a mount',
      '0',
    ])
    expect(inside('dpkg-query -W fullmon').status).not.toBe(0)
  },
  5 * MINUTE_MS,
)

test(
  'the rules are loaded by the installation, and exactly they are gone after the removal',
  async ({ skip }) => {
    const suite = 'bookworm'
    const obstacle = noPackages() ?? auditdUnavailable() ?? (await debianUnavailable(mirror, suite))
    skip(obstacle !== undefined, obstacle)
    const { root, inside } = newDebian(suite, '--reuid=0')
    writeFileSync(
      join(root, 'etc/audit/rules.d/own.rules'),
      // One with a key, one that the package has, too, and one that it warns of, where it comes too late to do it.
      '-a always,exit -F arch=b64 -S sethostname -F key=own\n-a never,filesystem -F fstype=tracefs\n-a never,task -F uid=4242\n',
    )
    // It would say that this is a chroot, which is true, and that is all that is not real here.
    writeFileSync(join(root, 'usr/bin/ischroot'), '#!/bin/sh\nexit 1\n')
    const lab = await startAuditd({ logFormat: 'RAW', rules: [] })
    try {
      inside('augenrules --load')
      const own = auditctl('-l')
      expect(own).toContain('key=own')
      const installed = inside(INSTALL)
      expect(installed).toMatchObject({ status: 0 })
      expect(installed.stdout).not.toContain('loaded')
      expect(installed.stdout).toContain(
        '`-a never,task` in /etc/audit/rules.d/own.rules /etc/audit/audit.rules hides',
      )
      const loaded = auditctl('-l').trimEnd().split('\n')
      const shipped = must('grep', '-c', '^-a', 'audit.rules').stdout
      expect(loaded).toHaveLength(Number(shipped) + 2)
      expect(inside('apt-get -qq -y remove fullmon </dev/null')).toMatchObject({ status: 0 })
      expect(auditctl('-l')).toBe(own)
      expect(inside('augenrules --load').status).toBe(0)
      expect(auditctl('-l')).toBe(own)
    } finally {
      await lab.stop()
    }
  },
  5 * MINUTE_MS,
)
