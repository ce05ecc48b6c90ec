/**
 * A real dnsmasq is asked for a name whose address changes, a real tcpdump of the agent hears the answers, and a real
 * auditd tells who connects where. The agent is audited too: what it starts to listen must not be reported.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FULLMON } from '../support/agent.ts'
import { auditdUnavailable, ensureAuditd, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'

/** Not one that a resolver of this host listens on. */
const SERVER = '127.53.53.53'
const NAME = 'api.partner.test'
const TRAINING_S = 12
const PATIENCE_MS = 60_000

/** Asks for NAME when it is given no address, and connects to it. Datagrams: nothing is sent there. */
const CLIENT = `
import socket, struct, sys
def resolve():
    question = struct.pack(">HHHHHH", 4711, 0x0100, 1, 0, 0, 0)
    question += b"".join(bytes([len(label)]) + label.encode() for label in "${NAME}".split("."))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.settimeout(5)
    server.connect(("${SERVER}", 53))
    server.send(question + b"\\0" + struct.pack(">HH", 1, 1))
    return socket.inet_ntoa(server.recv(512)[-4:])
address = sys.argv[1] if len(sys.argv) > 1 else resolve()
try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect((address, 8080))
except OSError: pass
print(address)
`

ensureAuditd()
const missing = ['dnsmasq', 'tcpdump'].find(
  (program) => spawnSync(program, ['--version']).error !== undefined,
)
const unavailable = missing === undefined ? auditdUnavailable() : `${missing} is not installed`
if (unavailable !== undefined) process.stderr.write(`dns.test.ts: left out: ${unavailable}\n`)

describe.skipIf(unavailable !== undefined)('live, with the answers of DNS', () => {
  // Nothing is left behind where the tests are left out.
  const directory = unavailable === undefined ? mkdtempSync(join(tmpdir(), 'fullmon-dns-')) : ''
  const state = join(directory, 'state')
  const db = join(state, 'baseline.db')
  const report = join(state, 'fullmon.log')
  const hosts = join(directory, 'hosts')
  let lab: Lab
  let agent: ReturnType<Lab['start']>
  let server: ChildProcess

  const said = (): string => (existsSync(report) ? readFileSync(report, 'utf8') : '')
  const waitFor = async (what: string, isThere = () => said().includes(what)): Promise<void> => {
    const deadlineMs = performance.now() + PATIENCE_MS
    while (!isThere()) {
      if (performance.now() > deadlineMs) throw new Error(`never came to ${what}; it said\n${said()}`)
      await sleep(50)
    }
  }
  const ask = async (...words: readonly string[]): Promise<string> => {
    // Not from a file in /tmp, which would never be learned.
    const { stdout } = await lab.run(['/usr/bin/python3', '-c', CLIENT, ...words])
    return stdout.trim()
  }
  const moveTo = async (address: string): Promise<void> => {
    writeFileSync(hosts, `${address} ${NAME}\n`)
    server.kill('SIGHUP')
    await sleep(200)
    expect(await ask()).toBe(address)
  }
  /** Reports come at the end of a window: a program that was never seen tells that the window is over. */
  const windowWith = async (program: string): Promise<void> => {
    await lab.run([program])
    await lab.settle()
    await waitFor(program)
  }
  const listeners = (): readonly number[] =>
    execFileSync('ps', ['-o', 'pid=,ppid=,comm=', '-A'], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, ppid, comm]) => ppid === String(agent.pid) && comm === 'tcpdump')
      .map(([pid]) => Number(pid))

  beforeAll(async () => {
    mkdirSync(state, { mode: 0o700 })
    writeFileSync(hosts, `203.0.113.1 ${NAME}\n`)
    const options = `-k -u root --no-resolv --no-hosts --addn-hosts=${hosts} --listen-address=${SERVER} --bind-interfaces --pid-file=${directory}/pid`
    server = spawn('dnsmasq', options.split(' '), { stdio: 'ignore' })
    lab = await startAuditd({ logFormat: 'RAW', rules: shippedRules(state) })
    const words = `run --auditd ${lab.logFile} --db ${db} --log ${report} --baseline ${TRAINING_S} --monitor 2 --wait 0.1 --alerts-per-day 1000000 --dns-interface lo`
    agent = lab.start([FULLMON, ...words.split(' ')])
    await waitFor('training until')
    await moveTo('203.0.113.10')
    await moveTo('203.0.113.20')
    await waitFor('monitoring')
  })

  afterAll(async () => {
    if (unavailable !== undefined) return
    process.kill(agent.pid, 'SIGTERM')
    expect((await agent.done).status).toBe(0)
    server.kill()
    await lab.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test('a name is known at every address', async () => {
    await moveTo('203.0.113.30')
    await moveTo('198.51.100.40')
    await windowWith('/usr/bin/true')
    expect(said()).not.toContain('host:')
  })

  test('an address that no name was resolved to is a stranger, and told as such', async () => {
    await ask('203.0.113.251')
    await windowWith('/usr/bin/false')
    expect(said()).toContain('connect host:203.0.113.251:8080 ')
    expect(said()).not.toContain(`host:${NAME}`)
  })

  test('a tcpdump that ended is a blind spot until another one listens, and neither is reported', async () => {
    const [pid = 0, ...others] = listeners()
    expect(others).toEqual([])
    process.kill(pid, 'SIGKILL')
    await waitFor('DNS answers on lo are not captured')
    await waitFor('DNS answers are captured again')
    await moveTo('203.0.113.50')
    await windowWith('/usr/bin/uptime')
    expect(listeners()).toHaveLength(1)
    expect(said()).not.toMatch(/\/tcpdump\b/)
    expect(said()).not.toContain('host:203.0.113.50')
    const known = execFileSync(FULLMON, ['baseline', 'show', '--db', db, '--match', NAME], {
      encoding: 'utf8',
    })
    expect(known).toContain(`->host:${NAME}:8080`)
    const own = execFileSync(FULLMON, ['baseline', 'show', '--db', db], { encoding: 'utf8' })
    expect(own).not.toContain('/tcpdump')
  })
})
