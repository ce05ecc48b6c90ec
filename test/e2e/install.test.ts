/**
 * install-debian.sh in a real Debian made with debootstrap: a chroot in a mount name space of its own, without the
 * capability to change the kernel's audit rules, so that nothing of it can reach the machine that runs the test.
 *
 * FULLMON_TEST_DEBIAN=trixie takes Debian 13 instead of 12.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { debianUnavailable, findMirror, makeDebian, must, type Run, run, SUITE } from '../support/debian.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
const SOURCE = '/root/checkout'
const MINUTE_MS = 60_000

async function findObstacle(mirror: string): Promise<string | undefined> {
  const lock = createHash('sha256')
    .update(readFileSync(join(REPOSITORY, 'package-lock.json')))
    .digest('hex')
  const stamp = join(REPOSITORY, 'node_modules/.fullmon-ready')
  if (!existsSync(stamp) || !readFileSync(stamp, 'utf8').startsWith(lock))
    return 'needs packages installed by scripts/test'
  return debianUnavailable(mirror)
}

/** The files of the work tree that git knows or would add. */
function copyCheckout(to: string): void {
  const { stdout } = must(
    'git',
    '-C',
    REPOSITORY,
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  )
  for (const path of stdout.split('\0').filter((path) => path !== '' && existsSync(join(REPOSITORY, path)))) {
    cpSync(join(REPOSITORY, path), join(to, path))
  }
  mkdirSync(join(to, 'node_modules'))
}

const mirror = findMirror()
const obstacle = await findObstacle(mirror)
const root = mkdtempSync(join(tmpdir(), 'fullmon-install-'))

/** Runs a command in the chroot, as root, or as another user by its number. The checkout's packages are mounted read-only. */
function inside(command: string, uid = 0): Run {
  const prepare = [
    `mount -t proc proc '${root}/proc'`,
    `mount --bind '${join(REPOSITORY, 'node_modules')}' '${root}${SOURCE}/node_modules'`,
    `mount -o remount,bind,ro '${root}${SOURCE}/node_modules'`,
    `exec setpriv --bounding-set=-audit_control,-audit_write chroot --userspec=${uid} '${root}' "$@"`,
  ]
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  const words = ['env', '-i', path, 'HOME=/root', 'sh', '-c', command]
  return run('unshare', '--mount', 'sh', '-c', prepare.join(' && '), 'sh', ...words)
}

const install = (...words: string[]): Run => inside([`${SOURCE}/install-debian.sh`, ...words].join(' '))

/** Everything that an installation could touch: path, mode, owner, time and inode of each file. */
const snapshot = (): string[] =>
  inside(
    "find /etc /opt /usr /var/lib/fullmon /var/log/fullmon.log -printf '%p %m %u:%g %T@ %i %l\\n' | sort",
  ).stdout.split('\n')

const modes = (...paths: string[]): string[] =>
  inside(`stat -c '%n %a %U:%G' ${paths.join(' ')}`)
    .stdout.trimEnd()
    .split('\n')

describe(
  `install-debian.sh on ${SUITE}`,
  () => {
    let first: Run

    beforeAll(() => {
      if (obstacle !== undefined) return
      makeDebian(root, mirror)
      chmodSync(root, 0o755)
      copyCheckout(join(root, SOURCE))
      first = install()
    }, 10 * MINUTE_MS)

    afterAll(() => rmSync(root, { recursive: true, force: true }))

    beforeEach(({ skip }) => {
      skip(obstacle !== undefined, obstacle)
    })

    test('says what it did, one line for each step', () => {
      expect({ status: first.status, stderr: first.stderr }).toEqual({ status: 0, stderr: '' })
      expect([...new Set(first.lines.map((line) => line.split(':')[0]))]).toEqual([
        'auditd',
        'state',
        'log',
        'packages',
        'program',
        'rules',
        'service',
        `fullmon ${packageJson.version}`,
      ])
      expect(first.lines).toContain('rules: not loaded now, this is a chroot')
      expect(first.lines).toContain('service: not started, systemd does not run here')
      expect(first.lines.at(-1)).toBe(`fullmon ${packageJson.version}: installed`)
    })

    test('puts every file where it belongs, for root alone to write', () => {
      expect(
        modes(
          '/etc/audit/rules.d/fullmon.rules',
          '/etc/systemd/system/fullmon.service',
          '/opt/fullmon/dist/agent/main.js',
          '/opt/fullmon/scripts/fullmon',
          '/opt/fullmon/profiles/production.yaml',
          '/var/lib/fullmon',
          '/var/log/fullmon.log',
        ),
      ).toEqual([
        '/etc/audit/rules.d/fullmon.rules 640 root:root',
        '/etc/systemd/system/fullmon.service 644 root:root',
        '/opt/fullmon/dist/agent/main.js 644 root:root',
        '/opt/fullmon/scripts/fullmon 755 root:root',
        '/opt/fullmon/profiles/production.yaml 644 root:root',
        '/var/lib/fullmon 700 root:root',
        '/var/log/fullmon.log 640 root:root',
      ])
      const manual = readFileSync(join(REPOSITORY, 'docs/fullmon.8'), 'utf8')
      expect(readFileSync(join(root, 'usr/local/share/man/man8/fullmon.8'), 'utf8')).toBe(manual)
      expect(inside('readlink /usr/local/bin/fullmon').stdout).toBe('/opt/fullmon/scripts/fullmon\n')
      expect(inside('find /opt/fullmon ! -user root -o ! -type l -perm /022').stdout).toBe('')
      const rules = readFileSync(join(REPOSITORY, 'audit.rules'), 'utf8')
      expect(readFileSync(join(root, 'etc/audit/rules.d/fullmon.rules'), 'utf8')).toBe(rules)
    })

    test('installs what is needed at run time and no more', () => {
      for (const needed of Object.keys(packageJson.dependencies)) {
        expect(existsSync(join(root, 'opt/fullmon/node_modules', needed)), needed).toBe(true)
      }
      const tools = Object.keys(packageJson.devDependencies).map((name) => join('node_modules', name))
      for (const unneeded of [...tools, 'agent', 'test', 'bench', '.git']) {
        expect(existsSync(join(root, 'opt/fullmon', unneeded)), unneeded).toBe(false)
      }
      expect(inside('command -v npm node gcc').stdout).toBe('')
    })

    test('the installed program knows the profiles', () => {
      const { status, stdout } = inside('fullmon config explain scan.min_score --profile high-security')
      expect(status).toBe(0)
      expect(stdout).toMatch(/^ {2}from: +\/opt\/fullmon\/profiles\/high-security\.yaml:\d+:\d+$/m)
    })

    test('the installed program runs, for any user, without the checkout', () => {
      expect(inside('fullmon --version')).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(new RegExp(`^fullmon ${packageJson.version} \\(commit `)) as unknown,
        stderr: '',
      })
      const help = inside('cd / && fullmon --help', 65534)
      expect(help).toMatchObject({ status: 0, stderr: '' })
      for (const command of ['run', 'train', 'replay', 'baseline', 'status', 'doctor']) {
        expect(help.stdout).toContain(`fullmon ${command}`)
      }
    })

    test('the unit is one that systemd accepts', ({ skip }) => {
      skip(spawnSync('systemd-analyze', ['--version']).status !== 0, 'needs systemd-analyze')
      const unit = join(root, 'root/fullmon.service')
      const text = readFileSync(join(root, 'etc/systemd/system/fullmon.service'), 'utf8')
      writeFileSync(unit, text.replace('ExecStart=', `ExecStart=${root}`))
      const { status, stderr } = run('systemd-analyze', 'verify', '--man=no', unit)
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    })

    test('a second run changes nothing and says so', () => {
      const before = snapshot()
      const second = install()
      expect(second.status).toBe(0)
      expect(second.lines.filter((line) => !line.includes(': not '))).toEqual(
        [
          'auditd',
          'state',
          'log',
          'packages',
          'program',
          'rules',
          'service',
          `fullmon ${packageJson.version}`,
        ].map((step) => `${step}: unchanged`),
      )
      expect(snapshot()).toEqual(before)
    })

    test('a newer checkout replaces what changed and removes what is gone', () => {
      writeFileSync(join(root, SOURCE, 'agent/added.ts'), 'export {}\n')
      expect(install().lines).toContain('program: /opt/fullmon/dist')
      expect(existsSync(join(root, 'opt/fullmon/dist/agent/added.js'))).toBe(true)
      rmSync(join(root, SOURCE, 'agent/added.ts'))
      writeFileSync(join(root, 'etc/audit/rules.d/fullmon.rules'), '-D\n')
      const { lines } = install()
      expect(lines).toContain('program: /opt/fullmon/dist')
      expect(lines).toContain('rules: /etc/audit/rules.d/fullmon.rules')
      expect(lines.at(-1)).toBe(`fullmon ${packageJson.version}: installed`)
      expect(existsSync(join(root, 'opt/fullmon/dist/agent/added.js'))).toBe(false)
      expect(install().lines.at(-1)).toBe(`fullmon ${packageJson.version}: unchanged`)
    })

    test('warns of a rule that hides every process, with the command that removes it', () => {
      const path = '/etc/audit/rules.d/10-quiet.rules'
      writeFileSync(join(root, path), '## comment: -a never,task\n-b 8192\n -a  task,never\n-a never,task\n')
      const { stderr } = install()
      expect(stderr).toMatch(/^warning: .*never,task.*\/etc\/audit\/rules\.d\/10-quiet\.rules/)
      inside(stderr.trim().split('\n').at(-1) ?? '')
      expect(readFileSync(join(root, path), 'utf8')).toBe('## comment: -a never,task\n-b 8192\n')
      expect(install().stderr).toBe('')
      rmSync(join(root, path))
    })

    test('refuses another system, another user and words it does not know', () => {
      const release = readFileSync(join(root, 'usr/lib/os-release'))
      writeFileSync(join(root, 'usr/lib/os-release'), 'ID=ubuntu\nVERSION_ID="24.04"\n')
      const elsewhere = install()
      writeFileSync(join(root, 'usr/lib/os-release'), release)
      expect(elsewhere).toMatchObject({ status: 2, stdout: '' })
      expect(elsewhere.stderr).toMatch(/^install-debian\.sh: .*Debian 12 and 13.*ubuntu 24\.04.*\n$/)

      must('chmod', '755', join(root, dirname(SOURCE)))
      const user = inside(`${SOURCE}/install-debian.sh`, 65534)
      expect(user).toMatchObject({ status: 2, stdout: '' })
      expect(user.stderr).toMatch(/^install-debian\.sh: .*root.*\n$/)

      expect(install('--frobnicate')).toMatchObject({ status: 2, stdout: '' })
      expect(install('--purge')).toMatchObject({ status: 2, stdout: '' })
      expect(install('--help')).toMatchObject({ status: 0, stderr: '' })
    })

    test('--uninstall removes what was installed and keeps what was learned', () => {
      writeFileSync(join(root, 'var/lib/fullmon/baseline.db'), 'learned')
      const { status, lines } = install('--uninstall')
      expect(status).toBe(0)
      expect(lines.at(-1)).toBe('fullmon: removed; auditd stays')
      const left = "find / -xdev -name '*fullmon*' -not -path '/root/*' -not -path '/proc/*' | sort"
      expect(inside(left).lines).toEqual(['/var/lib/fullmon', '/var/log/fullmon.log'])
      expect(existsSync(join(root, 'var/lib/fullmon/baseline.db'))).toBe(true)
      expect(install('--uninstall').lines.at(-1)).toBe('fullmon: nothing to remove')
      expect(install('--uninstall', '--purge').status).toBe(0)
      expect(inside(left).stdout).toBe('')
    })
  },
  3 * MINUTE_MS,
)
