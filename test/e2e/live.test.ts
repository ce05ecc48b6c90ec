import { mkdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import { auditdMissing, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'
import { findingsOf, type ReportedFinding } from '../support/incidents.ts'

const PYTHON = realpathSync('/usr/bin/python3')
const SHELL = realpathSync('/bin/sh')
const TRAINING_S = 9
/** In a network name space of the test's own. */
const ADDRESSES = ['203.0.113.66/32']

const unavailable = auditdMissing('live.test.ts: left out')

describe.skipIf(unavailable !== undefined).each(['ENRICHED', 'RAW'] as const)('live, %s log', (logFormat) => {
  /** What is run in /tmp is never learned, and a random name would be known as one. */
  const directory = `/var/lib/fullmon-test-live/${logFormat.toLowerCase()}`
  const state = join(directory, 'state')
  const db = join(state, 'baseline.db')
  const daily = join(directory, 'daily.sh')
  const intruder = join(directory, 'intruder.py')
  const loot = join(directory, 'loot')
  const stop: (() => Promise<unknown>)[] = []
  let lab: Lab
  let agent: RunningAgent

  const start = (): RunningAgent =>
    startAgent(
      `run --auditd ${lab.logFile} --db ${db} --baseline ${TRAINING_S} --monitor 2 --wait 0.1 --json`.split(
        ' ',
      ),
    )
  /** Where the runtime of the tests lies below /tmp, it is never learned that it starts a shell. */
  const findings = (): ReportedFinding[] =>
    findingsOf(agent.reports).filter(
      ({ edge: { from, to } }) => !(from.includes(process.execPath) && to.includes(SHELL)),
    )
  const work = (): Promise<unknown> => lab.run(['/bin/sh', daily], { addresses: ADDRESSES })
  /** Reports come at the end of a window: a program that was never seen tells that the window is over. */
  const windowWith = async (program: string): Promise<void> => {
    await lab.run([program])
    await lab.settle()
    await agent.waitFor(program, () => findings().some(({ edge }) => edge.to === `proc::root:${program}`))
  }

  beforeAll(async () => {
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { recursive: true, mode: 0o755 })
    mkdirSync(state, { mode: 0o700 })
    writeFileSync(
      daily,
      `ls / >${directory}/listing
cat /etc/hostname >/dev/null
rm ${directory}/listing
if [ -x ${intruder} ]; then ${intruder}; fi
`,
    )
    lab = await startAuditd({ logFormat, rules: shippedRules(state) })
    stop.push(() => lab.stop())
    agent = start()
    stop.unshift(() => agent.end('SIGTERM'))
    await agent.waitFor('the training', () => agent.stderr().includes('training until'))
    await work()
    await work()
    await lab.settle()
    await agent.waitFor('the end of the training', () => agent.stderr().includes('monitoring'))
  })

  afterAll(async () => {
    for (const each of stop) await each()
    rmSync(directory, { recursive: true, force: true })
  })

  test('says nothing about what it was trained on', async () => {
    await work()
    await windowWith('/usr/bin/true')
    expect(findings().map(({ edge }) => edge.to)).toEqual(['proc::root:/usr/bin/true'])
  })

  test('reports exactly what a new program does, with its chain', async () => {
    // Connects to where nobody answers, and writes a file.
    writeFileSync(
      intruder,
      `#!/usr/bin/python3
import socket
try: socket.create_connection(('203.0.113.66', 4444), 1)
except OSError: pass
open('${loot}', 'w').write('secret')
`,
      { mode: 0o755 },
    )
    const before = findings().length
    await work()
    await lab.settle()
    await agent.waitFor('the findings', () => findings().some(({ edge }) => edge.kind === 'create'))
    const shell = `proc::root:${SHELL}<${daily}`
    const program = `proc::root:${PYTHON}<${intruder}`
    const fresh = findings().slice(before)
    expect(fresh.map(({ edge }) => edge)).toEqual([
      { kind: 'exec', from: shell, to: program },
      { kind: 'connect', from: program, to: 'host:203.0.113.66:4444' },
      { kind: 'create', from: program, to: `file:create:${loot}` },
    ])
    expect(fresh.map(({ chain }) => chain.slice(chain.indexOf(shell)))).toEqual([
      [shell, program],
      [shell, program, 'host:203.0.113.66:4444'],
      [shell, program, `file:create:${loot}`],
    ])
    for (const { chain, path } of fresh) expect(path).toBe(chain.join('->'))
    expect(fresh[0]?.evidence).toMatchObject({
      syscall: 'execve',
      auid: 4242,
      argv: ['/usr/bin/python3', intruder],
    })
  })

  test('a restart uses the baseline of yesterday and does not report again', async () => {
    const before = findingsOf(agent.reports).length
    expect(await agent.end('SIGTERM')).toBe(0)
    expect(agent.reports.at(-1)).toMatchObject({ kind: 'summary', unreadable: 0, lost: 0, unseen: before })
    agent = start()
    await agent.waitFor('monitoring at once', () => agent.stderr().includes('monitoring'))
    expect(agent.stderr()).not.toContain('training')
    // The program is to create it again: writing over it would be something new.
    rmSync(loot)
    await work()
    await windowWith('/usr/bin/false')
    expect(findings().map(({ edge }) => edge.to)).toEqual(['proc::root:/usr/bin/false'])
  })

  test('the baseline is readable for its owner only', () => {
    expect(statSync(db).mode & 0o777).toBe(0o600)
  })
})
