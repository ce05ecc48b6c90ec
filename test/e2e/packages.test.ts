/**
 * A real apt-get on a real Debian of its own, under a real auditd, while an agent that was trained without it watches.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import { auditdUnavailable, ensureAuditd, shippedRules, startAuditd } from '../support/auditd.ts'
import { debianUnavailable, findMirror } from '../support/debian.ts'
import { expectInstallation, expectLoud, expectQuiet, Told } from '../support/packages.ts'
import { PAUSE_MS, PHASES, playAll, startHost } from '../support/workload/packages.ts'

const TRAINING_S = 8
const WINDOW_S = 3
const MINUTE_MS = 60_000

ensureAuditd()
const mirror = findMirror()
const unavailable = auditdUnavailable() ?? (await debianUnavailable(mirror))
if (unavailable !== undefined) process.stderr.write(`packages.test.ts: left out: ${unavailable}\n`)

describe.skipIf(unavailable !== undefined)('an agent while packages come and go', () => {
  const directory = mkdtempSync(join(tmpdir(), 'fullmon-live-packages-'))
  const stop: (() => unknown)[] = []
  let agent: RunningAgent
  let told: Told

  beforeAll(async () => {
    const host = await startHost(mirror)
    stop.unshift(() => host.stop())
    const state = join(directory, 'state')
    mkdirSync(state, { mode: 0o700 })
    const lab = await startAuditd({
      logFormat: 'ENRICHED',
      rules: shippedRules(state),
    })
    stop.unshift(() => lab.stop())
    const words = `run --auditd ${lab.logFile} --db ${state}/baseline.db --baseline ${TRAINING_S} --monitor ${WINDOW_S} --wait 0.1 --json`
    agent = startAgent(words.split(' '))
    stop.unshift(() => agent.end('SIGKILL'))
    await agent.waitFor('the training', () => agent.stderr().includes('training until'))
    const [ordinary, ...others] = PHASES
    await playAll(lab, host, 0, ordinary === undefined ? [] : [ordinary])
    await agent.waitFor('the end of the training', () => agent.stderr().includes('monitoring'))
    const marks = await playAll(lab, host, PAUSE_MS, others)
    expect(await agent.end('SIGTERM')).toBe(0)
    told = new Told(agent.reports, marks)
  }, 10 * MINUTE_MS)

  afterAll(async () => {
    for (const each of stop) await each()
    rmSync(directory, { recursive: true, force: true })
  })

  test('tells an installation as one incident of maintenance, and a program run by hand as one of its own', () => {
    expectInstallation(told)
  })

  test('is quiet about what packages do besides, and about what they have brought', () => {
    expectQuiet(told)
  })

  test('is loud about who uses them as a way in', () => {
    expectLoud(told)
  })
})
