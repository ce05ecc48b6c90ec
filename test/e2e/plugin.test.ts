/**
 * The agent as a plugin of a real auditd: what happens is reported soon, and neither a plugin that is killed nor an agent that is killed or
 * stopped can stall the host.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BlindReason, Incident } from '../../agent/domain/report.ts'
import { readProcess, snapshot } from '../../agent/support/procfs.ts'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import { auditctl, auditdMissing, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'

const unavailable = auditdMissing('plugin.test.ts: left out')
const DIRECTORY = '/var/lib/fullmon-test-plugin'
const RELAY = join(DIRECTORY, 'auditd-relay')
const SOCKET = join(DIRECTORY, 'events')
/** A program of which a rule of its own tells at once, so that none counts to another. */
const PROGRAM = join(DIRECTORY, 'strike')
const MOST_STRIKES = 20
const CONFIG = join(DIRECTORY, 'config.yaml')
/** Enough for every buffer between the kernel and the plugin to fill: 16 MiB of records at least. */
const MANY_CALLS = 4000

const value = (name: string): number => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(auditctl('-s'))?.[1])

const relays = (): number[] =>
  snapshot()
    .map(({ pid }) => pid)
    .filter((pid) => readProcess(pid)?.argv.includes(RELAY) === true)

const strikeRules = (): string =>
  Array.from(
    { length: MOST_STRIKES },
    (_, index) => `- id: strike-${index + 1}
  type: bin-execution
  title: 'a strike'
  severity: high
  when: { target: { file: ['${PROGRAM}-${index + 1}'] } }
  reason: it is a test
  next: ['ls']
`,
  ).join('')

describe.skipIf(unavailable !== undefined)('a plugin of auditd', () => {
  const stop: (() => unknown)[] = []
  let lab: Lab
  let agent: RunningAgent
  let lostBefore: number

  const start = (auditd: string, name: string): RunningAgent =>
    startAgent(
      `run --config ${CONFIG} --auditd ${auditd} --db ${join(DIRECTORY, `${name}.db`)} --baseline 0 --monitor 3600 --json`.split(
        ' ',
      ),
    )
  const raised = (reader = agent): Incident[] =>
    reader.reports.flatMap((report) => (report.kind === 'incident' ? [report] : []))
  const spots = (): BlindReason[] =>
    agent.reports.flatMap((report) => (report.kind === 'blind-spot' ? [report.reason] : []))
  /** Programs that were never run before, so that each one is told of by itself. */
  let programs = 0
  const strike = async (): Promise<string> => {
    const program = `${PROGRAM}-${++programs}`
    copyFileSync('/usr/bin/true', program)
    await lab.run([program])
    return program
  }
  const isTold = (program: string, reader = agent): boolean =>
    raised(reader).some(({ chain }) => chain.at(-1) === `proc::root:${program}`)
  const struck = async (): Promise<void> => {
    const program = await strike()
    await agent.waitFor(`the report of ${program}`, () => isTold(program))
  }
  /** How long so many audited programs take, in milliseconds. */
  const busy = async (): Promise<number> => {
    const beganMs = performance.now()
    await lab.run(`n=0; while [ $n -lt ${MANY_CALLS} ]; do /usr/bin/true; n=$((n+1)); done`)
    return performance.now() - beganMs
  }

  beforeAll(async () => {
    rmSync(DIRECTORY, { recursive: true, force: true })
    mkdirSync(DIRECTORY, { mode: 0o755 })
    copyFileSync(join(import.meta.dirname, '../../scripts/auditd-relay'), RELAY)
    chmodSync(RELAY, 0o750)
    mkdirSync(join(DIRECTORY, 'rules'))
    writeFileSync(join(DIRECTORY, 'rules', 'strikes.yaml'), strikeRules())
    writeFileSync(CONFIG, `rules: { folders: [${DIRECTORY}/rules] }\nscan: { interval: 0 }\n`)
    lab = await startAuditd({
      logFormat: 'ENRICHED',
      rules: shippedRules(DIRECTORY),
      plugins: {
        'fullmon.conf': `active = yes\ndirection = out\npath = ${RELAY}\ntype = always\nargs = ${SOCKET}\nformat = string\n`,
      },
      settings: { q_depth: '2000', overflow_action: 'SYSLOG', max_restarts: '10' },
    })
    stop.push(() => lab.stop())
    // As on hosts whose administrator would rather wait than lose: a stalled auditd stalls every process.
    auditctl('--backlog_wait_time', '60000')
    auditctl('-b', '8192')
    lostBefore = value('lost')
    agent = start(`relay:${SOCKET}`, 'relay')
    stop.unshift(() => agent.end('SIGKILL'))
    await agent.waitFor('monitoring', () => agent.stderr().includes('monitoring'))
  })

  afterAll(async () => {
    for (const each of stop) await each()
    rmSync(DIRECTORY, { recursive: true, force: true })
  })

  test('reports what happens, and how soon', async () => {
    await struck()
    const tail = start(lab.logFile, 'tail')
    try {
      await tail.waitFor('monitoring', () => tail.stderr().includes('monitoring'))
      const taken: { readonly relay: number[]; readonly tail: number[] } = { relay: [], tail: [] }
      for (let round = 0; round < 10; round++) {
        const beganMs = performance.now()
        const program = await strike()
        const until = async (name: 'relay' | 'tail', reader: RunningAgent): Promise<void> => {
          while (!isTold(program, reader)) await sleep(2)
          taken[name].push(performance.now() - beganMs)
        }
        await Promise.all([until('relay', agent), until('tail', tail)])
      }
      const text = (all: readonly number[]): string =>
        `${all
          .toSorted((one, other) => one - other)
          .map((ms) => ms.toFixed(0))
          .join(' ')} ms`
      process.stderr.write(
        `from the start of a program to its report: plugin ${text(taken.relay)}; tail ${text(taken.tail)}\n`,
      )
    } finally {
      await tail.end('SIGKILL')
    }
    expect(spots()).toEqual([])
  })

  test(
    'no process of the host waits when the agent or the plugin is killed or the agent is stopped, and nothing is lost',
    { timeout: 300_000 },
    async () => {
      const taken: Record<string, number> = { 'all is well': await busy() }
      agent.send('SIGSTOP')
      taken['the agent is stopped'] = await busy()
      agent.send('SIGCONT')
      await struck()
      const [relay = 0] = relays()
      process.kill(relay, 'SIGKILL')
      taken['the plugin was killed'] = await busy()
      await struck()
      expect(relays()).not.toContain(relay)
      expect(spots()).toContain('plugin-ended')
      await agent.end('SIGKILL')
      taken['there is no agent'] = await busy()
      for (const [when, ms] of Object.entries(taken))
        process.stderr.write(`${MANY_CALLS} audited programs, ${when}: ${ms.toFixed(0)} ms\n`)
      expect(value('lost')).toBe(lostBefore)
      await lab.settle()
      // The log of auditd has all of it, too.
      const log = readFileSync(lab.logFile, 'latin1')
      expect(log.match(/type=EXECVE .* a0="\/usr\/bin\/true"/g)).toHaveLength(4 * MANY_CALLS)
    },
  )

  test('what happened while there was no agent is read by the next one', async () => {
    const program = await strike()
    agent = start(`relay:${SOCKET}`, 'relay')
    await agent.waitFor('what happened', () => isTold(program))
  })
})
