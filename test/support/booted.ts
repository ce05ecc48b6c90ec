/**
 * A Debian that runs: systemd is its init, in a container of systemd-nspawn without a network.
 *
 * The kernel's audit belongs to the host and stays out of reach, so there is no auditd: its log is what a test appends to
 * /var/log/audit/audit.log.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { debianUnavailable, makeDebian, type Run, run } from './debian.ts'

/** What an administrator's Debian has, and what the package depends on: nothing is fetched inside. */
export const PACKAGES = ['adduser', 'auditd', 'dbus', 'systemd-sysv']

const BOOT_MS = 60_000
const POLL_MS = 50
const ENV = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface Booted {
  /** The folder of its root file system. */
  readonly root: string
  /** Runs a command of sh inside, as root, as a unit of its own. */
  run(command: string): Run
  /** Ends everything inside, and removes it. */
  stop(): Promise<void>
}

/** Why no Debian can be booted here, or undefined when one can. */
export async function bootUnavailable(mirror: string, suite: string): Promise<string | undefined> {
  const missing = ['systemd-nspawn', 'nsenter'].find(
    (program) => spawnSync(program, ['--version']).status !== 0,
  )
  if (missing !== undefined) return `needs ${missing}`
  if (cgroups() === undefined) return 'needs control groups of the second version'
  return debianUnavailable(mirror, suite)
}

/** Makes a Debian as an administrator has it, with systemd and auditd, and boots it. @throws Error if it does not come up */
export async function bootDebian(mirror: string, suite: string): Promise<Booted> {
  const root = mkdtempSync(join(tmpdir(), `fullmon-booted-${suite}-`))
  const group = join(cgroups() ?? '', basename(root))
  const guardian = spawn('sh', ['-c', GUARDIAN, 'sh', root, group, ...nspawn(root)], {
    env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
    stdio: 'pipe',
    // A session of its own, so that the Ctrl-C that ends the test does not end the guardian.
    detached: true,
  })
  const ended = new Promise((resolve) => guardian.once('exit', resolve))
  const stop = async (): Promise<void> => {
    guardian.stdin.end()
    await ended
  }
  try {
    makeDebian(root, mirror, suite, PACKAGES)
    // Users of this Debian go through it, too.
    chmodSync(root, 0o755)
    guardian.stdin.write('boot\n')
    const leader = await isUp(guardian, group)
    return { root, stop, run: (command) => inside(leader, command) }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Where groups of the second version are, alone or beside the first. */
const cgroups = (): string | undefined =>
  ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((path) => existsSync(join(path, 'cgroup.controllers')))

const nspawn = (root: string): readonly string[] => [
  ...['systemd-nspawn', '--quiet', '--boot', `--directory=${root}`, `--machine=${basename(root)}`],
  // There may be no systemd on the host that could look after it.
  ...['--register=no', '--keep-unit', '--private-network', '--console=pipe'],
  ...['--link-journal=no', '--resolv-conf=off', '--timezone=off'],
]

/**
 * Boots at the first line of its standard input, and ends and removes everything at the end of it, which comes with the
 * end of the test, in whatever way. $1 is the root, $2 the control group, what follows starts the machine.
 */
const GUARDIAN = `
root=$1 group=$2
shift 2
if read -r _; then
  mkdir "$group"
  # Its groups are made below the one that it is started in.
  (echo 0 >"$group/cgroup.procs" && exec "$@" </dev/null) &
  cat >/dev/null
  echo 1 >"$group/cgroup.kill"
  wait
  # The kernel ends processes in its own time.
  until [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.1; done
fi
rm -rf --one-file-system "$root" "/run/systemd/nspawn/propagate/\${root##*/}"
`

/** The first process of the machine, once all that starts at boot has started or failed. */
async function isUp(guardian: ChildProcess, group: string): Promise<number> {
  let said = ''
  for (const stream of [guardian.stdout, guardian.stderr]) {
    stream?.on('data', (bytes) => (said = (said + String(bytes)).slice(-4096)))
  }
  const deadlineMs = performance.now() + BOOT_MS
  while (performance.now() < deadlineMs) {
    const leader = leaderOf(group)
    const state = leader === undefined ? '' : run(...enter(leader), 'systemctl', 'is-system-running').stdout
    // auditd cannot start, so that it is hardly ever `running`.
    if (leader !== undefined && /^(?:running|degraded)$/m.test(state)) return leader
    await sleep(POLL_MS)
  }
  throw new Error(`Debian did not boot: ${said}`)
}

function leaderOf(group: string): number | undefined {
  const path = join(group, 'payload/init.scope/cgroup.procs')
  if (!existsSync(path)) return undefined
  const pids = readFileSync(path, 'utf8')
  return pids === '' ? undefined : Number.parseInt(pids, 10)
}

const enter = (leader: number): [string, ...string[]] => ['nsenter', `--target=${leader}`, '--all']

function inside(leader: number, command: string): Run {
  const unit = ['systemd-run', '--quiet', '--pipe', '--wait', '--collect', `--setenv=${ENV}`]
  // A unit puts the values of its own variables in, unless the dollar is doubled.
  return run(
    ...enter(leader),
    ...unit,
    'sh',
    '-c',
    command.replaceAll('$', () => '$$'),
  )
}
