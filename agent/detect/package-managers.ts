import type { ProcessImage } from '../domain/activity.ts'

/** A program that puts packages in place, or has another do it. */
export interface PackageManager {
  /** As a person calls it. */
  readonly name: string
  /** Writes the files of packages itself. */
  readonly unpacks?: true
  /** Gets packages from other hosts itself, not through programs of its own. */
  readonly fetches?: true
  /** Runs what packages bring from memory, not from a file. */
  readonly runsFromMemory?: true
  /** Where it says what it did. */
  readonly history: string
}

const APT_HISTORY = 'less /var/log/apt/history.log'
const DPKG_HISTORY = 'less /var/log/dpkg.log'
const RPM_HISTORY = 'rpm --query --all --last'
const DNF_HISTORY = 'dnf history info'
const RPM_BASED = { unpacks: true, fetches: true, history: DNF_HISTORY } as const

const apt = (name: string): PackageManager => ({ name, history: APT_HISTORY })

/**
 * By the true path of the program, or of the script that an interpreter runs, /usr before /bin and /sbin left out; never by
 * the name that a process gives itself. `_apt` and scripts of packages are below one of these. From the packages of
 * Debian 12, Fedora 42, openSUSE Leap 15, Alpine 3.22 and Arch.
 */
const MANAGERS: ReadonlyMap<string, PackageManager> = new Map<string, PackageManager>([
  ['/bin/dpkg', { name: 'dpkg', unpacks: true, history: DPKG_HISTORY }],
  ['/sbin/dpkg-reconfigure', { name: 'dpkg-reconfigure', history: DPKG_HISTORY }],
  ['/bin/apt', apt('apt')],
  ['/bin/apt-get', apt('apt-get')],
  ['/bin/apt-cache', apt('apt-cache')],
  ['/bin/apt-mark', apt('apt-mark')],
  ['/bin/apt-file', apt('apt-file')],
  ['/bin/aptitude', apt('aptitude')],
  ['/bin/aptitude-curses', apt('aptitude')],
  ['/bin/tasksel', apt('tasksel')],
  ['/bin/nala', apt('nala')],
  ['/bin/gdebi', apt('gdebi')],
  ['/sbin/synaptic', apt('synaptic')],
  ['/bin/unattended-upgrade', apt('unattended-upgrade')],
  ['/bin/unattended-upgrades', apt('unattended-upgrade')],
  ['/lib/apt/apt.systemd.daily', apt('apt.systemd.daily')],
  ['/lib/apt/apt-helper', apt('apt-helper')],
  ['/etc/cron.daily/apt-compat', apt('apt-compat')],
  ['/bin/rpm', { name: 'rpm', unpacks: true, fetches: true, history: RPM_HISTORY }],
  ['/bin/dnf', { name: 'dnf', ...RPM_BASED }],
  ['/bin/dnf-3', { name: 'dnf', ...RPM_BASED }],
  ['/bin/dnf4', { name: 'dnf', ...RPM_BASED }],
  ['/bin/dnf5', { name: 'dnf', ...RPM_BASED }],
  ['/bin/dnf5daemon-server', { name: 'dnf', ...RPM_BASED }],
  ['/bin/dnf-automatic', { name: 'dnf-automatic', ...RPM_BASED }],
  ['/bin/dnf-automatic-3', { name: 'dnf-automatic', ...RPM_BASED }],
  ['/bin/microdnf', { name: 'microdnf', ...RPM_BASED }],
  ['/bin/yum', { name: 'yum', ...RPM_BASED }],
  ['/sbin/yum-cron', { name: 'yum-cron', ...RPM_BASED }],
  ['/bin/rpm-ostree', { name: 'rpm-ostree', ...RPM_BASED }],
  ['/bin/zypper', { ...RPM_BASED, name: 'zypper', history: 'less /var/log/zypp/history' }],
  ['/libexec/packagekitd', { ...RPM_BASED, name: 'packagekitd', history: 'pkcon get-transactions' }],
  ['/lib/packagekit/packagekitd', { ...RPM_BASED, name: 'packagekitd', history: 'pkcon get-transactions' }],
  [
    '/sbin/apk',
    { name: 'apk', unpacks: true, fetches: true, runsFromMemory: true, history: 'apk info --verbose' },
  ],
  [
    '/bin/apk',
    { name: 'apk', unpacks: true, fetches: true, runsFromMemory: true, history: 'apk info --verbose' },
  ],
  ['/bin/pacman', { name: 'pacman', unpacks: true, fetches: true, history: 'less /var/log/pacman.log' }],
  ['/lib/snapd/snapd', { name: 'snapd', unpacks: true, fetches: true, history: 'snap changes' }],
  ['/libexec/snapd/snapd', { name: 'snapd', unpacks: true, fetches: true, history: 'snap changes' }],
])

/** A user that package managers work as: whoever is not root installs nothing, whatever his programs are called. */
export const ROOTS: ReadonlySet<string> = new Set(['root', '0'])

const withoutUsr = (path: string): string => path.replace(/^\/usr(?=\/(?:s?bin|lib|libexec)\/)/, '')

/** The package manager with this path. */
export const managerAt = (path: string): PackageManager | undefined => MANAGERS.get(withoutUsr(path))

/** The package manager that a process is, as root. */
export function managerOf({ user, exe, script }: ProcessImage): PackageManager | undefined {
  if (!ROOTS.has(user)) return undefined
  return managerAt(exe) ?? (script?.startsWith('/') === true ? managerAt(script) : undefined)
}

/** Options that have a package manager run something else (gtfobins.github.io; apt.conf(5), dpkg(1), rpm(8)). */
const TOLD =
  /-Invoke(?:-Success)?(?:::)?=|^--(?:pre|post)-invoke=|Pre-Install-Pkgs|Dir::Bin::|Proxy-Auto-Detect|^--hookdir|pluginpath=|^--?c(?:onfig-file)?(?:=|$)|%\(|%\{lua:/i

/** Whether a word of its command line has a package manager run something that no package brings. */
export const isTold = (word: string): boolean => TOLD.test(word)
