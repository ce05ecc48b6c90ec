/**
 * Everything that the agent itself does is audited here, and nothing else happens: what it writes because of what it read
 * must not bring it more to read.
 *
 * FULLMON_SOAK=1 counts ten minutes instead of twenty seconds.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { FULLMON } from '../support/agent.ts'
import { auditdMissing, shippedRules, startAuditd } from '../support/auditd.ts'

const isLong = process.env['FULLMON_SOAK'] === '1'
const [SPANS, SPAN_MS] = isLong ? [10, 60_000] : [4, 5000]
/** Looks at the kernel are no feedback, but how many of them fall into a span differs by one. */
const EVENTS_PER_LOOK = 20
const TRAINING_S = 2

const unavailable = auditdMissing('feedback.test.ts: left out')

/** Distinct events of the log, with their stamps. User space's own messages are none. */
function stampsOf(log: string): number[] {
  const events = new Map<string, number>()
  for (const [, stamp = '', serial = ''] of log.matchAll(/^type=SYSCALL msg=audit\(([\d.]+):(\d+)\)/gm))
    events.set(`${stamp}:${serial}`, Number(stamp) * 1000)
  return [...events.values()]
}

test.skipIf(unavailable !== undefined)(
  'what the agent writes does not make it write more',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fullmon-feedback-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const state = join(directory, 'state')
    const report = join(state, 'fullmon.log')
    mkdirSync(state, { mode: 0o700 })
    const lab = await startAuditd({
      logFormat: 'ENRICHED',
      rules: shippedRules(state),
    })
    onTestFinished(() => lab.stop())
    const words = `run --auditd ${lab.logFile} --db ${state}/baseline.db --log ${report} --baseline ${TRAINING_S} --monitor 1 --wait 0.1`
    const agent = lab.start([FULLMON, ...words.split(' ')])
    const said = async (what: string): Promise<void> => {
      while (!existsSync(report) || !readFileSync(report, 'utf8').includes(what)) await sleep(100)
    }
    await said('monitoring')
    // Something to write about: if that brought something to read, it would go on for ever.
    await lab.run(['/usr/bin/true'])
    await said('/usr/bin/true')

    const fromMs = Date.now()
    await sleep(SPANS * SPAN_MS)
    const log = readFileSync(lab.logFile, 'latin1')
    const counts = Array.from({ length: SPANS }, () => 0)
    for (const stampMs of stampsOf(log)) {
      const span = Math.floor((stampMs - fromMs) / SPAN_MS)
      if (span in counts) counts[span] = (counts[span] ?? 0) + 1
    }
    process.stderr.write(
      `soak: idle: events of the agent in ${SPANS} spans of ${SPAN_MS / 1000} s: ${counts.join(' ')}\n`,
    )
    process.kill(agent.pid, 'SIGTERM')
    expect((await agent.done).status).toBe(0)

    // It was audited: at least its own start is in the log.
    expect(log).toContain(` pid=${agent.pid} `)
    expect(Math.max(...counts.slice(1))).toBeLessThanOrEqual((counts[0] ?? 0) + EVENTS_PER_LOOK)
  },
  (SPANS + 2) * SPAN_MS + 60_000,
)
