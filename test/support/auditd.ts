/**
 * A lab with the real thing: the kernel's audit and an auditd of our own, for tests that must not disturb the machine.
 *
 * Only processes of one login uid are audited. auditd gets a configuration directory of its own, nothing under
 * /etc/audit is touched, and the kernel's settings are put back by a guardian process, even when the test is killed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/** Login uid of everything that the lab audits. No account has it. */
export const TEST_LOGINUID = 4242

/** The kernel has one audit, so whoever uses it in a test holds this lock. */
const LOCK = '/run/fullmon-test-audit.lock'
const LOCK_SECONDS = 300

/** How long auditd may take to start, or a record to reach the log. */
const PATIENCE_MS = 20_000
const POLL_MS = 20

/** A clean environment: no shims of the developer, and messages in English. */
const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

interface Outcome {
  /** Exit status; undefined if a signal ended the process. */
  readonly status: number | undefined
  readonly stdout: string
  readonly stderr: string
}

interface Running {
  /** The same pid for the whole life: what leads to the command are execs only. */
  readonly pid: number
  readonly done: Promise<Outcome>
  /** SIGKILL; does nothing when it has ended already. */
  kill(): void
}

interface RunOptions {
  readonly cwd?: string
  /** Added to PATH and LC_ALL. */
  readonly env?: Readonly<Record<string, string>>
  /**
   * Addresses with prefix length, as in `203.0.113.66/32`. When given, the command runs in a network of its own where
   * these and loopback are local.
   */
  readonly addresses?: readonly string[]
}

/** An argv, or the text of a script for /bin/sh -c. */
type Command = string | readonly string[]

export interface Lab {
  /** The log as auditd writes it. Gone after `stop`. */
  readonly logFile: string
  /** Runs a command with the audited login uid, and waits for its end. */
  run(command: Command, options?: RunOptions): Promise<Outcome>
  /** Starts a command with the audited login uid. */
  start(command: Command, options?: RunOptions): Running
  /** Waits until everything that happened before the call is in the log. Leaves one USER record there. */
  settle(): Promise<void>
  /** Stops this auditd, and puts the kernel's settings back. Harmless when called twice. */
  stop(): Promise<void>
}

export interface LabOptions {
  readonly logFormat: 'ENRICHED' | 'RAW'
  /** With it, every line begins with `node=NAME`. */
  readonly nodeName?: string
  /** Lines for auditctl; best made by `rulesForLoginuid`. */
  readonly rules: readonly string[]
  /** Settings of auditd.conf that win over those of the lab. */
  readonly settings?: Readonly<Record<string, string>>
  /** Files of its plugin directory, as in auditd-plugins(5), by name. */
  readonly plugins?: Readonly<Record<string, string>>
}

/**
 * Why there can be no lab here, or undefined if there can.
 *
 * Waits its turn when another test is in the lab, so never call it while holding a lab.
 */
export function auditdUnavailable(): string | undefined {
  if (process.platform !== 'linux') return 'the kernel is not Linux'
  if (process.getuid?.() !== 0) return 'not root'
  const missing = ['auditctl', 'auditd', 'flock'].find((program) => !installed(program))
  if (missing !== undefined) return `${missing} is not installed`
  const wait = ['--exclusive', '--timeout', String(LOCK_SECONDS), '--conflict-exit-code', '99', LOCK]
  const status = command('flock', [...wait, 'auditctl', '-s'])
  if (status.status === 99) return `another test has held ${LOCK} for ${LOCK_SECONDS} s`
  if (status.status !== 0) return `no access to the kernel's audit: ${status.stderr.trim()}`
  if (!/^pid 0$/m.test(status.stdout)) return 'another auditd is running'
  if (/^enabled 2$/m.test(status.stdout)) return 'the audit configuration is locked until the next boot'
  if (!/^No rules$/m.test(command('auditctl', ['-l']).stdout))
    return 'audit rules of somebody else are loaded'
  const login = command('/bin/sh', ['-c', setLoginuid()])
  if (login.status !== 0) return `the login uid cannot be set: ${login.stderr.trim()}`
  return undefined
}

/**
 * Installs auditd where it is absent and can be installed: as root on Debian. Says so on standard error.
 *
 * The package starts its daemon at once unless policy-rc.d forbids it, and that daemon would keep the lab out.
 */
export function ensureAuditd(): void {
  if (installed('auditd') || process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return
  process.stderr.write('auditd is not installed: installing it with apt-get\n')
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  const env = { ...ENV, DEBIAN_FRONTEND: 'noninteractive' }
  const install = (): boolean =>
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'auditd'], { env }).status === 0
  try {
    // A fresh machine may have no package lists yet.
    const done = install() || (spawnSync('apt-get', ['update'], { env }).status === 0 && install())
    if (!done) process.stderr.write('apt-get could not install auditd\n')
  } finally {
    if (ours) rmSync(policy)
  }
}

/**
 * The same, for the head of a test file: installs auditd where that is possible, and says on standard error what is left out.
 *
 * @param what of the tests needs a lab, as in `live.test.ts: left out`
 */
export function auditdMissing(what: string): string | undefined {
  ensureAuditd()
  const reason = auditdUnavailable()
  if (reason !== undefined) process.stderr.write(`${what}: ${reason}\n`)
  return reason
}

/** The rules of audit.rules for the lab, with the agent's state in another directory. */
export const shippedRules = (state = '/var/lib/fullmon'): string[] =>
  rulesForLoginuid(
    readFileSync(join(import.meta.dirname, '../../audit.rules'), 'utf8').replaceAll(
      '/var/lib/fullmon',
      state,
    ),
  )

/**
 * The rules of a rules file, such that only processes of this login uid are audited.
 *
 * Control lines that say how to load (`-c`, `-i`), or that reach beyond the lab (`-D`, `-e`), are left out. Rules of
 * the filesystem filter stay as they are: they take no other field, and only make less.
 * @throws Error on an old-style watch, which takes no login uid
 */
export function rulesForLoginuid(rules: string, loginuid: number = TEST_LOGINUID): string[] {
  return rules
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#') && !/^-[ciDe]\b/.test(line))
    .map((line) => {
      if (line.startsWith('-w')) throw new Error(`a watch cannot be limited to a login uid: ${line}`)
      if (!/^-[aA] /.test(line) || /^-[aA] \S*filesystem/.test(line)) return line
      return `${line} -F auid=${loginuid}`
    })
}

/**
 * Starts auditd, loads the rules one by one, and waits its turn before that.
 * @throws Error if auditd does not start or a rule is refused; then everything has been put back
 */
export async function startAuditd(options: LabOptions): Promise<Lab> {
  const directory = mkdtempSync(join(tmpdir(), 'fullmon-auditd-'))
  const logFile = join(directory, 'log', 'audit.log')
  configure(directory, logFile, options)
  const lock = ['--exclusive', '--close', '--timeout', String(LOCK_SECONDS), LOCK]
  const guardian = spawn('flock', [...lock, '/bin/sh', '-c', GUARDIAN, 'sh', directory], {
    env: ENV,
    stdio: ['pipe', 'pipe', 'inherit'],
    // A session of its own, so that the Ctrl-C that ends the test does not end the guardian.
    detached: true,
  })
  const ended = new Promise((resolve) => guardian.once('exit', resolve))
  const running = new Set<Running>()
  const stop = async (): Promise<void> => {
    for (const process of running) process.kill()
    guardian.stdin.end()
    await ended
  }
  const start = (command: Command, runOptions: RunOptions = {}): Running => {
    const process = startAudited(command, runOptions)
    running.add(process)
    void process.done.finally(() => running.delete(process))
    return process
  }
  try {
    await isReady(guardian)
    for (const rule of options.rules) auditctl(...rule.split(/\s+/))
  } catch (error) {
    await stop()
    throw error
  }
  return { logFile, start, stop, run: (...args) => start(...args).done, settle: () => settle(logFile) }
}

/** Runs auditctl and gives what it printed. @throws Error with what it complained about */
export function auditctl(...args: readonly string[]): string {
  const { status, stdout, stderr } = command('auditctl', args)
  if (status === 0 && stderr === '') return stdout
  throw new Error(`auditctl ${args.join(' ')}: ${stderr.trim()}`)
}

function configure(directory: string, logFile: string, options: LabOptions): void {
  const node =
    options.nodeName === undefined ? 'name_format = NONE' : `name_format = USER\nname = ${options.nodeName}`
  mkdirSync(join(directory, 'log'), { mode: 0o700 })
  mkdirSync(join(directory, 'plugins.d'), { mode: 0o700 })
  for (const [name, text] of Object.entries(options.plugins ?? {}))
    writeFileSync(join(directory, 'plugins.d', name), text, { mode: 0o600 })
  const settings = Object.entries(options.settings ?? {}).map(([name, value]) => `${name} = ${value}\n`)
  writeFileSync(
    join(directory, 'auditd.conf'),
    `local_events = yes
write_logs = yes
log_file = ${logFile}
log_format = ${options.logFormat}
${node}
plugin_dir = ${join(directory, 'plugins.d')}
flush = NONE
max_log_file = 1000
max_log_file_action = IGNORE
space_left = 2
space_left_action = IGNORE
admin_space_left = 1
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
${settings.join('')}`,
    { mode: 0o600 },
  )
}

/**
 * Runs auditd for as long as somebody holds its standard input open, and then leaves the kernel as it was found.
 * The end of the test, in whatever way, closes that pipe. $1 is the lab's directory.
 */
const GUARDIAN = `
value() { auditctl -s | sed -n "s/^$1 \\([0-9]*\\).*/\\1/p"; }
enabled=$(value enabled) failure=$(value failure) rate=$(value rate_limit)
backlog=$(value backlog_limit) wait=$(value backlog_wait_time)
auditd -n -s enable -c "$1" >&2 &
daemon=$!
restore() {
  auditctl -D
  kill $daemon
  # A test may have been killed while it had the daemon stopped.
  kill -CONT $daemon
  wait $daemon
  auditctl -e $enabled
  auditctl -f $failure
  auditctl -r $rate
  auditctl -b $backlog
  auditctl --backlog_wait_time $wait
  rm -rf "$1"
} >/dev/null 2>&1
trap 'restore "$1"' EXIT
trap 'exit 1' HUP INT TERM
until [ "$(value pid)" = $daemon ]; do
  kill -0 $daemon || exit 1
  sleep 0.02
done
echo ready
cat >/dev/null
`

/** @throws Error if it ends without having said that auditd runs */
async function isReady(guardian: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    guardian.stdout?.once('data', () => resolve())
    guardian.once('exit', () => reject(new Error(`auditd did not start, or ${LOCK} was not free`)))
    guardian.once('error', reject)
  })
}

function startAudited(command: Command, { cwd = '/', env = {}, addresses }: RunOptions): Running {
  const argv = typeof command === 'string' ? ['/bin/sh', '-c', command] : command
  // What prepares the process happens before it has the login uid, so that it is not in the log.
  const network = addresses?.map((address) => `ip address add ${address} dev lo`) ?? []
  const prepare = addresses === undefined ? [] : ['ip link set lo up', ...network]
  const wrapper = ['/bin/sh', '-c', [...prepare, setLoginuid(), 'exec "$@"'].join(' && '), 'sh', ...argv]
  const [program = '', ...args] = addresses === undefined ? wrapper : ['unshare', '--net', ...wrapper]
  const child = spawn(program, args, { cwd, env: { ...ENV, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const status = new Promise<number | undefined>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? undefined))
  })
  const done = Promise.all([status, text(child.stdout), text(child.stderr)]).then(
    ([code, stdout, stderr]): Outcome => ({ status: code, stdout, stderr }),
  )
  return { pid: child.pid ?? 0, done, kill: () => void child.kill('SIGKILL') }
}

/** The shell writes it itself, so it is the shell (and what it becomes) that gets the login uid. */
const setLoginuid = (): string => `echo ${TEST_LOGINUID} >/proc/self/loginuid`

let marks = 0

async function settle(logFile: string): Promise<void> {
  // Records keep their order from the kernel to the log: when the mark is there, so is everything before it.
  const mark = `settled-${process.pid}-${++marks}`
  auditctl('-m', mark)
  const deadlineMs = performance.now() + PATIENCE_MS
  while (!existsSync(logFile) || !readFileSync(logFile, 'latin1').includes(mark)) {
    if (performance.now() > deadlineMs) throw new Error(`auditd has not written ${mark} to ${logFile}`)
    await sleep(POLL_MS)
  }
}

function command(
  program: string,
  args: readonly string[],
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(program, args, { env: ENV, encoding: 'utf8' })
}

function installed(program: string): boolean {
  return ENV.PATH.split(':').some((directory) => existsSync(join(directory, program)))
}
