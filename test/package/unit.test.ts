/** The systemd unit: what systemd says of it, and the agent at work with its restrictions beside a real auditd. */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
} from 'node:fs'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { FULLMON, type RunningAgent, startAgent } from '../support/agent.ts'
import { auditdMissing, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'
import { confined, confinementMissing, serviceOf } from '../support/confined.ts'
import { folderForTest } from '../support/folder.ts'
import { ask, objectOf } from '../support/http.ts'
import { findingsOf } from '../support/incidents.ts'

const ROOT = join(import.meta.dirname, '../..')
const UNIT = join(ROOT, 'debian/fullmon.service')
/** Of no account. */
const UID = 64242
const MOST_EXPOSED = 2

const unit = serviceOf(UNIT)
const noSystemd = spawnSync('systemd-analyze', ['--version']).status !== 0
if (noSystemd) process.stderr.write('unit.test.ts: the unit is not verified: there is no systemd-analyze\n')

describe.skipIf(noSystemd)('systemd', () => {
  const analyze = (...words: readonly string[]): { status: number | null; said: string } => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', words, { encoding: 'utf8' })
    return { status, said: stdout + stderr }
  }

  test('finds nothing wrong with the unit', () => {
    const file = join(folderForTest(), 'fullmon.service')
    // It is not installed here.
    writeFileSync(file, readFileSync(UNIT, 'utf8').replace('/usr/bin/fullmon', FULLMON))
    expect(analyze('verify', file)).toEqual({ status: 0, said: '' })
  })

  test(`finds it exposed to ${MOST_EXPOSED} of 10 at most`, () => {
    const { said } = analyze('security', '--offline=true', '--no-pager', UNIT)
    const exposure = /^→ Overall exposure level for fullmon\.service: ([\d.]+) /m.exec(said)?.[1]
    expect(Number(exposure), said).toBeLessThanOrEqual(MOST_EXPOSED)
  })
})

const unavailable = auditdMissing('unit.test.ts: the agent is not tried with the restrictions of the unit')
const unconfined = unavailable ?? confinementMissing()
if (unavailable === undefined && unconfined !== undefined)
  process.stderr.write(`unit.test.ts: the agent is not tried with its restrictions: ${unconfined}\n`)

describe.skipIf(unconfined !== undefined)('with the restrictions of the unit', () => {
  /** Not in /tmp, of which the service has its own. */
  const folder = '/var/lib/fullmon-test-unit'
  const [state, run] = [join(folder, 'state'), join(folder, 'run')]
  const db = join(state, 'baseline.db')
  const socket = join(run, 'fullmon.sock')
  const config = join(folder, 'config.yaml')
  const launch = join(ROOT, 'scripts/launch')
  const visible = [ROOT, realpathSync(join(ROOT, 'node_modules'))]
  const cage = confined(unit, { uid: UID, writable: [state, run], visible })
  let hostsTmp = ''
  let lab: Lab
  let agent: RunningAgent

  const outside = (...[program = '', ...words]: readonly string[]): SpawnSyncReturns<string> =>
    spawnSync(program, words, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  const inside = (...command: readonly string[]): SpawnSyncReturns<string> => outside(...cage, ...command)
  const doctor = (run: typeof outside): SpawnSyncReturns<string> =>
    run(launch, 'doctor', '--json', '--db', db, '--auditd', lab.logFile)
  const isSeen = async (to: string): Promise<void> => {
    await lab.settle()
    await agent.waitFor(to, () => findingsOf(agent.reports).some(({ edge }) => edge.to === to))
  }

  beforeAll(async () => {
    // Built as whoever owns the checkout: the service cannot.
    expect(spawnSync(FULLMON, ['--version']).status).toBe(0)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { mode: 0o755 })
    for (const each of [state, run]) {
      mkdirSync(each, { mode: 0o700 })
      chownSync(each, UID, UID)
    }
    // Digests are made where one is allowed.
    writeFileSync(
      config,
      `allowlist:\n  sha256: [${'a'.repeat(64)}]\noutputs:\n  webhook:\n    url: http://hooks.example.com:8080/\n    min_severity: low\n`,
      { mode: 0o600 },
    )
    hostsTmp = mkdtempSync(join(tmpdir(), 'fullmon-unit-'))
    vi.stubEnv('TMPDIR', folder)
    lab = await startAuditd({ logFormat: 'ENRICHED', rules: shippedRules(state) })
    const words = `run --json --auditd ${lab.logFile} --db ${db} --baseline 1 --monitor 1 --wait 0.1 --socket ${socket} --config ${config}`
    agent = startAgent(words.split(' '), {}, [...cage, launch])
    await agent.waitFor('the end of the training', () => agent.stderr().includes('monitoring'))
  })

  afterAll(async () => {
    await agent.end('SIGKILL')
    await lab.stop()
    vi.unstubAllEnvs()
    for (const each of [folder, hostsTmp]) rmSync(each, { recursive: true, force: true })
  })

  test('it has no more rights than the unit says', () => {
    const status = readFileSync(`/proc/${agent.pid}/status`, 'latin1')
    const value = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''
    const bits = (names: readonly string[]): string =>
      names
        .map((name) => 1n << BigInt(CAPABILITIES[name] ?? 0))
        .reduce((sum, bit) => sum | bit, 0n)
        .toString(16)
        .padStart(16, '0')
    const expected = bits((unit.get('CapabilityBoundingSet') ?? '').split(' '))
    for (const name of ['CapEff', 'CapPrm', 'CapBnd', 'CapAmb']) expect(value(name), name).toBe(expected)
    expect(value('Uid')).toBe(`${UID}\t${UID}\t${UID}\t${UID}`)
    expect([value('NoNewPrivs'), value('Seccomp')]).toEqual(['1', '2'])
    expect(Number(value('Threads'))).toBeLessThan(Number(unit.get('TasksMax')) / 2)
    writeFileSync(join(hostsTmp, 'of the host'), '')
    const tries = `touch /etc/fullmon-test; touch /usr/fullmon-test; cat ${hostsTmp}/*; ls /root/; chroot /; touch ${state}/in-state`
    const { stderr } = inside('/bin/sh', '-c', tries)
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringContaining('Read-only file system'),
      expect.stringContaining('Read-only file system'),
      expect.stringContaining('No such file'),
      expect.stringMatching(/not permitted/),
    ])
  })

  test('it sees who starts a program in /tmp of the host, whom that connects to and what it writes', async () => {
    const dropper = join(hostsTmp, 'dropper')
    copyFileSync(realpathSync('/usr/bin/perl'), dropper)
    chmodSync(dropper, 0o755)
    const loot = join(folder, 'loot')
    const program = `use Socket; socket(S, PF_INET, SOCK_STREAM, 0); connect(S, pack_sockaddr_in(4444, inet_aton('203.0.113.66'))); open(F, '>', '${loot}')`
    await lab.run([dropper, '-e', program], { addresses: ['203.0.113.66/32'] })
    await isSeen(`proc::root:${dropper}`)
    await isSeen('host:203.0.113.66:4444')
    await isSeen(`file:create:${loot}`)
  })

  test('it knows how the kernel’s audit is, and answers at its socket', async () => {
    const { stdout } = spawnSync(FULLMON, ['status', '--db', db, '--json'], { encoding: 'utf8' })
    expect(JSON.parse(stdout)).toMatchObject({ coverage: { state: 'complete', kernel: 'watched' } })
    expect(agent.stderr()).not.toMatch(/cannot|may not|denied|not permitted/)
    expect(objectOf(await ask('/api/status', { socketPath: socket }))).toMatchObject({
      coverage: { kernel: 'watched' },
    })
  })

  test('it finds what lies in a folder of root’s', () => {
    const closed = join(folder, 'closed')
    mkdirSync(closed, { mode: 0o700 })
    const module = JSON.stringify(join(ROOT, 'agent/support/readable.ts'))
    const file = join(closed, 'file')
    const program = `import { isPresent } from ${module}; console.log(isPresent(process.argv[1]))`
    const found = (): string =>
      inside(process.execPath, '--input-type=module', '-e', program, file).stdout.trim()
    expect(found()).toBe('false')
    writeFileSync(file, '', { mode: 0o600 })
    expect(found()).toBe('true')
  })

  test('it has no network, and says so where it should use it', async () => {
    await agent.waitFor('the webhook', () => agent.stderr().includes('no network'))
    expect(inside(launch, 'run', '--port', '0', '--db', db, '--auditd', lab.logFile)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('this service has no network for http.port') as string,
    })
  })

  test('doctor finds there what root finds', () => {
    const { stdout } = doctor(outside)
    expect(stdout).toContain('log-format')
    const said = (text: string): string => text.replace(/\d+ MiB free|\d+ of \d+ records/g, '')
    expect(said(doctor(inside).stdout)).toBe(said(stdout))
  })

  test('scan sees there every process as root does, with the digest of what runs in /tmp', async () => {
    const program = join(hostsTmp, 'lurker')
    copyFileSync(realpathSync('/usr/bin/sleep'), program)
    chmodSync(program, 0o700)
    const lurker = lab.start([program, '600'])
    await lab.settle()
    const [before, seen, after] = [outside, inside, outside].map((run) => scanBy(run))
    const isThere = ({ pid, name }: ScannedProcess): boolean => after?.get(pid)?.name === name
    const all = [...(before?.values() ?? [])].filter(isThere)
    expect(all.length).toBeGreaterThan(5)
    for (const { pid, name, exe, argv, uid, container, script, tty, listens } of all)
      expect(seen?.get(pid)).toMatchObject({ pid, name, exe, argv, uid, container, script, tty, listens })
    const digest = createHash('sha256').update(readFileSync(program)).digest('hex')
    expect(seen?.get(lurker.pid)).toMatchObject({ exe: program, uid: 0, sha256: digest, isSuspicious: true })
    lurker.kill()
  })

  describe('each of its capabilities is needed', () => {
    const without = (name: string): typeof inside => {
      const less = [...unit].map(([key, value]) => [key, value.replace(name, '')] as const)
      const smaller = confined(new Map(less), { uid: UID, writable: [state, run], visible })
      return (...command) => outside(...smaller, ...command)
    }

    test('to read the log', () => {
      const said = doctor(without('CAP_DAC_READ_SEARCH'))
      expect(said.stdout).toMatch(/"name":"log","state":"unknown"/)
    })

    test('to know what other processes are', async () => {
      const sleeper = lab.start(['/usr/bin/sleep', '600'])
      await lab.settle()
      const exe = (run: typeof inside): unknown => scanBy(run).get(sleeper.pid)?.exe
      expect(exe(inside)).toBe('/usr/bin/sleep')
      expect(exe(without('CAP_SYS_PTRACE'))).not.toBe('/usr/bin/sleep')
      sleeper.kill()
    })

    test('to ask the kernel', () => {
      const said = doctor(without('CAP_AUDIT_CONTROL'))
      expect(said.stdout).toContain('only root can ask the kernel')
    })
  })

  const scanBy = (run: typeof inside): ReadonlyMap<number, ScannedProcess> => {
    const { stdout, stderr } = run(launch, 'scan', '--json', '--db', db, '--config', config)
    expect(stderr).toBe('')
    const { processes } = JSON.parse(stdout) as { readonly processes: readonly ScannedProcess[] }
    return new Map(processes.map((each) => [each.pid, each]))
  }
})

type ScannedProcess = Readonly<
  Record<'pid' | 'uid', number> &
    Record<'name' | 'exe' | 'argv' | 'container' | 'script' | 'tty' | 'listens', unknown>
>

/** Numbers of <linux/capability.h>. */
const CAPABILITIES: Readonly<Record<string, number>> = {
  CAP_DAC_READ_SEARCH: 2,
  CAP_SYS_PTRACE: 19,
  CAP_AUDIT_CONTROL: 30,
}
