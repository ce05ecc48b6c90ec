/** Real tampering beside a real auditd: what the live agent says of it, at once and with who did it. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BlindSpot, Tamper } from '../../agent/domain/report.ts'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import { auditctl, auditdMissing, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'

const AUDITCTL = 'proc::root:/usr/sbin/auditctl'

const unavailable = auditdMissing('tamper.test.ts: left out')

describe.skipIf(unavailable !== undefined)('the live agent', () => {
  const directory = mkdtempSync(join(tmpdir(), 'fullmon-tamper-'))
  const state = join(directory, 'state')
  const db = join(state, 'baseline.db')
  let lab: Lab
  let agent: RunningAgent

  beforeAll(async () => {
    mkdirSync(state, { mode: 0o700 })
    lab = await startAuditd({
      logFormat: 'ENRICHED',
      rules: shippedRules(state),
    })
    const words = `run --json --auditd ${lab.logFile} --db ${db} --baseline 1 --monitor 1 --wait 0.1`
    agent = startAgent(words.split(' '))
    await agent.waitFor('the end of the training', () => agent.stderr().includes('monitoring'))
  })

  afterAll(async () => {
    await agent.end('SIGKILL')
    await lab.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const tampers = (): Tamper[] => agent.reports.filter((report) => report.kind === 'tamper')
  const blindSpots = (): BlindSpot[] => agent.reports.filter((report) => report.kind === 'blind-spot')
  const tamper = async (reason: Tamper['reason'], detail: string): Promise<Tamper> => {
    const find = (): Tamper | undefined =>
      tampers().find((each) => each.reason === reason && each.detail.includes(detail))
    await agent.waitFor(`${reason} (${detail})`, () => find() !== undefined)
    return find() as Tamper
  }
  const blind = (reason: BlindSpot['reason'], isOngoing: boolean): Promise<void> =>
    agent.waitFor(reason, () =>
      blindSpots().some((each) => each.reason === reason && (each.isOngoing === true) === isOngoing),
    )

  test('has nothing to say before', () => {
    expect(tampers()).toEqual([])
    expect(blindSpots()).toEqual([])
  })

  test('says who changed the rules', async () => {
    await lab.run('auditctl -a always,exit -F arch=b64 -S swapon -F auid=4242 -k x')
    const { process, evidence } = await tamper('rules-changed', 'a rule with the key x was added')
    expect(process).toBe(AUDITCTL)
    expect(evidence).toMatchObject({ auid: 4242, comm: 'auditctl' })
  })

  test('says which rule is gone, until it is back', async () => {
    const rule = shippedRules().find((each) => each.includes('memfd_create')) ?? ''
    await lab.run(`auditctl ${rule.replace('-a', '-d')}`)
    await blind('rules-missing', true)
    auditctl(...rule.split(' '))
    await blind('rules-missing', false)
  })

  test('says who sent it a signal', async () => {
    await lab.run(`kill -HUP ${agent.pid}`)
    expect((await tamper('agent-signalled', 'kill sent SIGHUP')).process).toBe('proc::root:/usr/bin/dash')
  })

  test('says who touched the log', async () => {
    await lab.run(`/usr/bin/touch ${lab.logFile}.old`)
    expect((await tamper('log-touched', '.old')).process).toMatch(/touch$/)
  })

  test('says who touched its baseline', async () => {
    await lab.run(`/bin/chmod 600 ${db}`)
    expect((await tamper('own-files', db)).process).toMatch(/chmod$/)
  })

  test('says who switched audit off, and since when it is blind', async () => {
    await lab.run('auditctl -e 0')
    expect((await tamper('audit-disabled', 'from 1 to 0')).process).toBe(AUDITCTL)
    await blind('audit-disabled', true)
    auditctl('-e', '1')
    await blind('audit-disabled', false)
  })

  test('says that auditd ended, and since when it is blind', async () => {
    const pid = /^pid (\d+)$/m.exec(auditctl('-s'))?.[1] ?? ''
    await lab.run(`kill -TERM ${pid}`)
    // Who did it auditd asks the kernel at its end, and does not always wait for the answer.
    await tamper('auditd-stopped', 'told to end')
    await blind('auditd-stopped', true)
  })
})

test.skipIf(unavailable !== undefined)(
  'its own questions to the kernel are nobody’s deed',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fullmon-tamper-'))
    const state = join(directory, 'state')
    mkdirSync(state, { mode: 0o700 })
    const lab = await startAuditd({
      logFormat: 'RAW',
      rules: shippedRules(state),
    })
    const words = `run --json --auditd ${lab.logFile} --db ${state}/baseline.db --baseline 1 --monitor 1 --wait 0.1`
    const fullmon = join(import.meta.dirname, '../../scripts/fullmon')
    // Audited itself, so that what it asks is recorded.
    const agent = lab.start([fullmon, ...words.split(' ')])
    try {
      const asked = (): number =>
        readFileSync(lab.logFile, 'latin1').match(/^type=SYSCALL .* exe="\/usr\/bin\/perl"/gm)?.length ?? 0
      const before = asked()
      await expect.poll(asked, { timeout: 30_000 }).toBeGreaterThan(before + 3)
      process.kill(agent.pid, 'SIGKILL')
      await agent.done
      // The one after it reads what the first has left unread.
      const next = lab.start([fullmon, ...words.split(' ')])
      const later = asked()
      await expect.poll(asked, { timeout: 30_000 }).toBeGreaterThan(later + 3)
      process.kill(next.pid, 'SIGTERM')
      const { stdout } = await next.done
      expect(stdout).toContain('"summary"')
      expect(stdout).not.toContain('perl')
      expect(stdout).not.toContain('nothing-arrives')
    } finally {
      await lab.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  },
  90_000,
)
