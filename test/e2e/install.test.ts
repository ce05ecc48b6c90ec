/**
 * install-debian.sh in a real Debian made with debootstrap: a chroot in a mount name space of its own, without the
 * capability to change the kernel's audit rules, so that nothing of it can reach the machine that runs the test.
 *
 * FULLMON_TEST_DEBIAN=trixie takes Debian 13 instead of 12.
 */
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { bootDebian, bootUnavailable } from '../support/booted.ts'
import { debianUnavailable, findMirror, makeDebian, must, type Run, run, SUITE } from '../support/debian.ts'
import { builtPackage, noPackages } from '../support/package.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
/** Where the package lies beside the script, and where there are only sources, both inside. */
const RELEASE = '/root/release'
const CHECKOUT = '/root/checkout'
const MINUTE_MS = 60_000
const NOBODY = 65534

async function findObstacle(mirror: string): Promise<string | undefined> {
  const lock = createHash('sha256')
    .update(readFileSync(join(REPOSITORY, 'package-lock.json')))
    .digest('hex')
  const stamp = join(REPOSITORY, 'node_modules/.fullmon-ready')
  if (!existsSync(stamp) || !readFileSync(stamp, 'utf8').startsWith(lock))
    return 'needs packages installed by scripts/test'
  return noPackages() ?? (await debianUnavailable(mirror))
}

/** The files of the work tree that git knows or would add. */
function copyCheckout(to: string): void {
  const words = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout } = must('git', '-C', REPOSITORY, ...words)
  const isSource = (path: string): boolean =>
    path !== '' && path !== 'node_modules' && existsSync(join(REPOSITORY, path))
  for (const path of stdout.split('\0').filter(isSource)) cpSync(join(REPOSITORY, path), join(to, path))
  mkdirSync(join(to, 'node_modules'))
}

const mirror = findMirror()
const obstacle = await findObstacle(mirror)
const root = mkdtempSync(join(tmpdir(), 'fullmon-install-'))
const at = (path: string): string => join(root, path)

/** Runs a shell command inside, in an environment as sudo makes it; the packages are there to be read only. */
function inside(command: string, uid = 0): Run {
  const modules = `${root}${CHECKOUT}/node_modules`
  const prepare = [
    `mount -t proc proc '${root}/proc'`,
    `mount --bind '${join(REPOSITORY, 'node_modules')}' '${modules}'`,
    `mount -o remount,bind,ro '${modules}'`,
    `exec setpriv --bounding-set=-audit_control,-audit_write chroot --userspec=${uid} '${root}' "$@"`,
  ]
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  const words = ['env', '-i', path, 'HOME=/root', 'sh', '-c', command]
  return run('unshare', '--mount', 'sh', '-c', prepare.join(' && '), 'sh', ...words)
}

const install = (...words: string[]): Run => inside([`${RELEASE}/install-debian.sh`, ...words].join(' '))

/** Everything that an installation could touch: path, mode, owner, time and inode of each file. */
const snapshot = (): string[] =>
  inside(
    "find /etc /opt /usr /var/lib/fullmon /var/lib/dpkg/info /var/log -printf '%p %m %u:%g %T@ %i %l\\n' | sort",
  ).stdout.split('\n')

const statusOf = (name: string): string => inside(`dpkg-query -W -f '\${db:Status-Status}' ${name}`).stdout

/** A package beside the script, of control fields and files that a test wants; `from` is one to change. */
function packed(
  fields: Readonly<Record<string, string>>,
  from?: string,
  change?: (tree: string) => void,
): string {
  const tree = mkdtempSync(join(tmpdir(), 'fullmon-packed-'))
  chmodSync(tree, 0o755)
  if (from === undefined) {
    mkdirSync(join(tree, 'DEBIAN'))
    const control = 'Package: fullmon\nVersion: 0\nArchitecture: all\nMaintainer: nobody\nDescription: none\n'
    writeFileSync(join(tree, 'DEBIAN/control'), control)
  } else {
    must('dpkg-deb', '--raw-extract', from, tree)
    // Nothing is started in a chroot, and it takes most of the time to pack.
    rmSync(join(tree, 'usr/lib/fullmon/bin/node'))
  }
  const control = join(tree, 'DEBIAN/control')
  const kept = readFileSync(control, 'utf8')
    .trimEnd()
    .split('\n')
    .filter((line) => !((line.split(':')[0] ?? '') in fields))
  const stated = Object.entries(fields).map(([name, value]) => `${name}: ${value}`)
  writeFileSync(control, `${[...stated, ...kept].join('\n')}\n`)
  change?.(tree)
  const architecture = must('dpkg', '--print-architecture').stdout.trim()
  const path = at(`${RELEASE}/fullmon_${fields['Version'] ?? '0'}_${architecture}.deb`)
  must('dpkg-deb', '--root-owner-group', '-Zgzip', '-z1', '--build', tree, path)
  rmSync(tree, { recursive: true })
  return path
}

describe(
  `install-debian.sh on ${SUITE}`,
  () => {
    let deb = ''
    let version = ''
    let first: Run

    /** Leaves no other packages behind, whatever a test has put beside the script. */
    function clear(): void {
      for (const name of readdirSync(at(RELEASE))) {
        if (![deb, 'install-debian.sh'].includes(name)) rmSync(at(`${RELEASE}/${name}`))
      }
    }

    beforeAll(() => {
      if (obstacle !== undefined) return
      makeDebian(root, mirror)
      chmodSync(root, 0o755)
      mkdirSync(at(RELEASE))
      const built = builtPackage()
      deb = basename(built)
      version = must('dpkg-deb', '-f', built, 'Version').stdout.trim()
      copyFileSync(built, at(`${RELEASE}/${deb}`))
      copyFileSync(join(REPOSITORY, 'install-debian.sh'), at(`${RELEASE}/install-debian.sh`))
      copyCheckout(at(CHECKOUT))
      first = install()
    }, 10 * MINUTE_MS)

    afterAll(() => rmSync(root, { recursive: true, force: true }))

    beforeEach(({ skip }) => {
      skip(obstacle !== undefined, obstacle)
      clear()
    })

    test('installs the package that lies beside it, and auditd with it', () => {
      expect({ status: first.status, stderr: first.stderr }).toEqual({ status: 0, stderr: '' })
      expect(first.lines[0]).toBe(`package: ${deb}`)
      expect(first.lines.at(-1)).toBe(`fullmon ${version}: installed`)
      expect([statusOf('fullmon'), statusOf('auditd')]).toEqual(['installed', 'installed'])
      expect(inside('dpkg --verify fullmon')).toMatchObject({ status: 0, stdout: '' })
      expect(inside('cd / && fullmon --version', NOBODY)).toMatchObject({ status: 0, stderr: '' })
      // Nothing of what it needed itself is left, and nothing was started that nobody would look after.
      expect(existsSync(at('usr/sbin/policy-rc.d'))).toBe(false)
      expect(inside('ls /tmp /run/auditd.pid 2>/dev/null').stdout).toBe('/tmp:\n')
      expect(inside('command -v npm dh gcc').stdout).toBe('')
    })

    test('hands on what the package says of what it did', () => {
      const path = packed({ Version: `${version}+1` }, at(`${RELEASE}/${deb}`), (tree) => {
        appendFileSync(join(tree, 'DEBIAN/postinst'), '\necho a word of the package\n')
      })
      const { status, lines, stderr } = install()
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(lines[0]).toBe(`package: ${basename(path)}, the newest of 2 beside this script`)
      expect(lines.slice(-2)).toEqual(['a word of the package', `fullmon ${version}+1: installed`])
    })

    test('goes back to an older version for nobody who has not asked for it', () => {
      const { status, stdout, stderr } = install()
      expect({ status, stdout }).toEqual({ status: 2, stdout: `package: ${deb}\n` })
      expect(stderr).toContain(`fullmon ${version}+1 is installed, which is newer than ${version}.`)
      const words = /To go back: (apt-get install .*)$/m.exec(stderr)?.[1] ?? 'false'
      expect(inside(`${words} -y`).status).toBe(0)
      expect(inside("dpkg-query -W -f '${Version}' fullmon").stdout).toBe(version)
    })

    test('a second run changes nothing and says so', () => {
      const before = snapshot()
      const { status, lines, stderr } = install()
      expect({ status, lines, stderr }).toEqual({
        status: 0,
        lines: [`package: ${deb}`, `fullmon ${version}: unchanged`],
        stderr: '',
      })
      expect(snapshot()).toEqual(before)
    })

    test('another build of the same version is installed', () => {
      const built = readFileSync(at(`${RELEASE}/${deb}`))
      const path = packed({ Version: version }, at(`${RELEASE}/${deb}`), (tree) => {
        writeFileSync(join(tree, 'usr/share/doc/fullmon/added'), 'added\n')
        appendFileSync(join(tree, 'DEBIAN/md5sums'), `${'0'.repeat(32)}  usr/share/doc/fullmon/added\n`)
      })
      renameSync(path, at(`${RELEASE}/${deb}`))
      expect(install().lines.at(-1)).toBe(`fullmon ${version}: installed`)
      expect(existsSync(at('usr/share/doc/fullmon/added'))).toBe(true)
      writeFileSync(at(`${RELEASE}/${deb}`), built)
      expect(install().lines.at(-1)).toBe(`fullmon ${version}: installed`)
      expect(existsSync(at('usr/share/doc/fullmon/added'))).toBe(false)
    })

    test("keeps the administrator's configuration where the package has another one, without a question", () => {
      const own = '# mine\nmonitor: 30\n'
      writeFileSync(at('etc/fullmon/config.yaml'), own)
      packed({ Version: `${version}+2` }, at(`${RELEASE}/${deb}`), (tree) => {
        appendFileSync(join(tree, 'etc/fullmon/config.yaml'), '# something new\n')
      })
      expect(install().status).toBe(0)
      expect(readFileSync(at('etc/fullmon/config.yaml'), 'utf8')).toBe(own)
    })

    test('what apt could not install is told with its reason', () => {
      packed({ Version: `${version}+3`, Depends: 'no-such-package' })
      const { status, stderr } = install()
      expect(status).toBe(1)
      expect(stderr).toMatch(/no-such-package.*\ninstall-debian\.sh: apt-get install failed/s)
    })

    test('takes no package that somebody else may have put there', () => {
      const path = at(`${RELEASE}/${deb}`)
      const complaint = (): string => {
        const { status, stdout, stderr } = install()
        expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
        return stderr
      }
      chownSync(path, NOBODY, 0)
      expect(complaint()).toMatch(/belongs to nobody/)
      chownSync(path, 0, 0)
      chmodSync(path, 0o666)
      expect(complaint()).toMatch(/may be written by others/)
      chmodSync(path, 0o644)
      writeFileSync(at(`${RELEASE}/SHA256SUMS`), `${'0'.repeat(64)}  ${deb}\n`)
      expect(complaint()).toMatch(/is not what SHA256SUMS beside it says/)
      clear()
      renameSync(path, `${path}.real`)
      symlinkSync(`${deb}.real`, path)
      expect(complaint()).toMatch(/is a link/)
      rmSync(path)
      writeFileSync(path, 'no package')
      expect(complaint()).toMatch(/is no package/)
      rmSync(path)
      writeFileSync(at(`${RELEASE}/fullmon_1_mips.deb`), '')
      expect(complaint()).toMatch(/there is no fullmon_\*_\w+\.deb beside it, and no checkout/)
      renameSync(`${path}.real`, path)
      must('sh', '-c', `cd '${at(RELEASE)}' && sha256sum *.deb >SHA256SUMS`)
      expect(install()).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('which is newer') as string,
      })
    })

    test('refuses another system, another user and words it does not know', () => {
      const release = readFileSync(at('usr/lib/os-release'))
      writeFileSync(at('usr/lib/os-release'), 'ID=ubuntu\nVERSION_ID="20.04"\n')
      const elsewhere = install()
      writeFileSync(at('usr/lib/os-release'), 'ID=ubuntu\nVERSION_ID="24.04"\n')
      const ubuntu = install()
      writeFileSync(at('usr/lib/os-release'), release)
      expect(elsewhere).toMatchObject({ status: 2, stdout: '' })
      expect(elsewhere.stderr).toMatch(/^install-debian\.sh: .*Debian 12 and 13.*ubuntu 20\.04.*\n$/)
      expect(ubuntu.lines[0]).toMatch(/^system: ubuntu 24\.04: .*tested on Debian 12 and 13 only$/)

      must('chmod', '755', at(dirname(RELEASE)))
      const user = inside(`${RELEASE}/install-debian.sh`, NOBODY)
      expect(user).toMatchObject({ status: 2, stdout: '' })
      expect(user.stderr).toMatch(/^install-debian\.sh: .*root.*\n$/)

      const WRONG = ['--frobnicate', '--purge', '--baseline-from', '--baseline-from /nowhere']
      for (const words of [...WRONG, '--uninstall --baseline-from /etc/passwd']) {
        expect(install(words), words).toMatchObject({ status: 2, stdout: '' })
      }
      expect(install('--help')).toMatchObject({ status: 0, stderr: '' })
    })

    test('--uninstall removes the program and keeps what is the administrator’s, --purge nothing', () => {
      writeFileSync(at('var/lib/fullmon/baseline.db'), 'learned')
      const removed = install('--uninstall')
      expect({ status: removed.status, stderr: removed.stderr }).toEqual({ status: 0, stderr: '' })
      expect(removed.lines.at(-1)).toMatch(/^fullmon: removed; auditd stays/)
      expect([statusOf('fullmon'), statusOf('auditd')]).toEqual(['config-files', 'installed'])
      expect(existsSync(at('usr/lib/fullmon'))).toBe(false)
      expect(existsSync(at('var/lib/fullmon/baseline.db'))).toBe(true)
      expect(install('--uninstall').lines).toEqual(['fullmon: nothing to remove'])

      expect(install('--uninstall', '--purge').status).toBe(0)
      expect(existsSync(at('var/lib/fullmon'))).toBe(false)
      expect(existsSync(at('etc/fullmon'))).toBe(false)
      expect(install('--uninstall', '--purge').lines).toEqual(['fullmon: nothing to remove'])
    })

    test('without a package it builds one, and puts the baseline of another host there before', () => {
      writeFileSync(at('root/host.jsonl'), 'learned elsewhere')
      const build = (...words: string[]): Run =>
        inside([`${CHECKOUT}/install-debian.sh`, '--baseline-from', '/root/host.jsonl', ...words].join(' '))
      const { status, lines, stderr } = build()
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(lines[0]).toMatch(/^build: installed with apt to build the package: debhelper/)
      expect(lines[1]).toMatch(/^package: fullmon_\S+\.deb, built from \/root\/checkout$/)
      expect(lines[2]).toBe('baseline: /etc/fullmon/baseline.db, from /root/host.jsonl')
      expect(lines.at(-1)).toBe(`fullmon ${packageJson.version}: installed`)
      expect(inside("stat -c '%a %U' /etc/fullmon/baseline.db; cat /etc/fullmon/baseline.db").stdout).toBe(
        '600 root\nlearned elsewhere',
      )
      expect(inside('cd / && fullmon --version', NOBODY).stdout).toMatch(`fullmon ${packageJson.version} `)
      expect(build().lines.slice(-2)).toEqual([
        'baseline: unchanged',
        `fullmon ${packageJson.version}: unchanged`,
      ])

      writeFileSync(at('var/lib/fullmon/baseline.db'), 'learned here')
      writeFileSync(at('root/host.jsonl'), 'learned somewhere else')
      expect(build()).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('this host has a baseline of its own already') as string,
      })
    })
  },
  3 * MINUTE_MS,
)

describe('install-debian.sh where systemd runs', () => {
  test(
    '--no-start leaves the service for later',
    async ({ skip }) => {
      const reason = noPackages() ?? (await bootUnavailable(mirror, SUITE))
      skip(reason !== undefined, reason)
      const debian = await bootDebian(mirror, SUITE)
      try {
        const folder = join(debian.root, RELEASE)
        mkdirSync(folder)
        const built = builtPackage()
        copyFileSync(built, join(folder, basename(built)))
        copyFileSync(join(REPOSITORY, 'install-debian.sh'), join(folder, 'install-debian.sh'))
        debian.run('install -D -m 600 /dev/null /var/log/audit/audit.log')
        const { status, stdout } = debian.run(`${RELEASE}/install-debian.sh --no-start`)
        expect(status).toBe(0)
        expect(stdout).toContain('service: not started (--no-start); later: systemctl enable --now fullmon')
        const state = 'systemctl is-enabled fullmon; systemctl is-active fullmon; ls /usr/sbin/policy-rc.d'
        expect(debian.run(state).lines).toEqual(['disabled', 'inactive'])
        expect(debian.run('systemctl enable --now fullmon').status).toBe(0)
        expect(debian.run(state).lines).toEqual(['enabled', 'active'])
        // It stays so.
        expect(debian.run(`${RELEASE}/install-debian.sh`).lines.at(-1)).toMatch(/: unchanged$/)
      } finally {
        await debian.stop()
      }
    },
    5 * MINUTE_MS,
  )
})
