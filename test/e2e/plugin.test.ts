/**
 * The agent as a plugin of a real auditd: what happens is reported soon, and neither a plugin that is killed nor an agent that is killed or
 * stopped can stall the host.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BlindReason, Incident } from '../../agent/domain/report.ts'
import { readProcess, snapshot } from '../../agent/support/procfs.ts'
import { FULLMON, type RunningAgent, startAgent } from '../support/agent.ts'
import { auditctl, auditdMissing, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'

const unavailable = auditdMissing('plugin.test.ts: left out')
const DIRECTORY = '/var/lib/fullmon-test-plugin'
const RELAY = join(DIRECTORY, 'auditd-relay')
const SOCKET = join(DIRECTORY, 'events')
/** A program of which a rule of its own tells at once, so that none counts to another. */
const PROGRAM = join(DIRECTORY, 'strike')
const MOST_STRIKES = 40
/** Less than a test may take, so that it can tell what it saw. */
const PATIENCE_MS = 20_000
const SETTLED_S = 4
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

const install = (): void => {
  rmSync(DIRECTORY, { recursive: true, force: true })
  mkdirSync(DIRECTORY, { mode: 0o755 })
  copyFileSync(join(import.meta.dirname, '../../scripts/auditd-relay'), RELAY)
  chmodSync(RELAY, 0o750)
  mkdirSync(join(DIRECTORY, 'rules'))
  writeFileSync(join(DIRECTORY, 'rules', 'strikes.yaml'), strikeRules())
}

const confOf = (active: string, args = ''): string =>
  `# ours\nactive = ${active}\ndirection = out\npath = ${RELAY}\ntype = always\n${args}format = string\n`

const raised = (agent: RunningAgent): Incident[] =>
  agent.reports.flatMap((report) => (report.kind === 'incident' ? [report] : []))

const isTold = (program: string, agent: RunningAgent): boolean =>
  raised(agent).some(({ chain }) => chain.at(-1) === `proc::root:${program}`)

/** Programs that were never run before, so that each one is told of by itself. */
let programs = 0
const strike = async (lab: Lab): Promise<string> => {
  const program = `${PROGRAM}-${++programs}`
  copyFileSync('/usr/bin/true', program)
  expect(await lab.run([program])).toMatchObject({ status: 0 })
  return program
}

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
  const spots = (): BlindReason[] =>
    agent.reports.flatMap((report) => (report.kind === 'blind-spot' ? [report.reason] : []))
  const struck = async (): Promise<void> => {
    const program = await strike(lab)
    await agent.waitFor(`the report of ${program}`, () => isTold(program, agent))
  }
  /** How long so many audited programs take, in milliseconds. */
  const busy = async (): Promise<number> => {
    const beganMs = performance.now()
    await lab.run(`n=0; while [ $n -lt ${MANY_CALLS} ]; do /usr/bin/true; n=$((n+1)); done`)
    return performance.now() - beganMs
  }

  beforeAll(async () => {
    install()
    writeFileSync(CONFIG, `rules: { folders: [${DIRECTORY}/rules] }\nscan: { interval: 0 }\n`)
    lab = await startAuditd({
      logFormat: 'ENRICHED',
      rules: shippedRules(DIRECTORY),
      plugins: {
        'fullmon.conf': confOf(
          'yes',
          `args = ${SOCKET}
`,
        ),
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
    // What one command does within two seconds is told of by one rule: this process must not be taken for that command.
    while (process.uptime() < SETTLED_S) await sleep(100)
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
        const program = await strike(lab)
        const until = async (name: 'relay' | 'tail', reader: RunningAgent): Promise<void> => {
          while (!isTold(program, reader)) {
            if (performance.now() - beganMs > PATIENCE_MS)
              throw new Error(`${name} never told of ${program}: ${JSON.stringify(reader.reports)}`)
            await sleep(2)
          }
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
    const program = await strike(lab)
    agent = start(`relay:${SOCKET}`, 'relay')
    await agent.waitFor('what happened', () => isTold(program, agent))
  })
})

describe.skipIf(unavailable !== undefined)('fullmon setup', () => {
  const stop: (() => unknown)[] = []
  let lab: Lab
  let agent: RunningAgent
  let conf: string

  /** Recorded, as what a person does who has logged in. */
  const setup = async (...words: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await lab.run([FULLMON, 'setup', ...words, '--config', CONFIG])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    return stdout
  }
  const struck = async (): Promise<void> => {
    const program = await strike(lab)
    await agent.waitFor(`the report of ${program}`, () => isTold(program, agent))
  }
  const reload = async (): Promise<void> => {
    const before = agent.stderr().length
    agent.send('SIGHUP')
    await agent.waitFor('another session', () => agent.stderr().slice(before).includes('monitoring'))
  }

  beforeAll(async () => {
    install()
    lab = await startAuditd({
      logFormat: 'RAW',
      rules: shippedRules(DIRECTORY),
      plugins: { 'fullmon.conf': confOf('no') },
    })
    stop.push(() => lab.stop())
    conf = join(dirname(lab.logFile), '../plugins.d/fullmon.conf')
    const db = join(DIRECTORY, 'switched.db')
    writeFileSync(
      CONFIG,
      `# where from
auditd: ${lab.logFile} # of the lab
db: ${db}
baseline: 0
monitor: 3600
scan: { interval: 0 }
# The checkout may be anywhere.
rules: { folders: [${DIRECTORY}/rules], disabled: [exec-from-temporary] }
`,
    )
    agent = startAgent(['run', '--config', CONFIG, '--json'])
    stop.unshift(() => agent.end('SIGKILL'))
    await agent.waitFor('monitoring', () => agent.stderr().includes('monitoring'))
  })

  afterAll(async () => {
    for (const each of stop) await each()
    rmSync(DIRECTORY, { recursive: true, force: true })
  })

  test('goes from the log to the plugin and back, and nothing is missed or taken for an attack', async () => {
    const before = readFileSync(CONFIG, 'utf8')
    await struck()
    expect(await setup('plugin', '--dry-run')).toMatch(
      /^would be: .*active = yes\nwould be: auditd .*\nwould be: .*auditd: relay\n$/,
    )
    expect([readFileSync(CONFIG, 'utf8'), readFileSync(conf, 'utf8')]).toEqual([before, confOf('no')])

    await setup('plugin')
    expect(readFileSync(conf, 'utf8')).toBe(confOf('yes'))
    expect(readFileSync(CONFIG, 'utf8')).toContain('# where from\nauditd: relay # of the lab\n')
    expect(await setup('plugin')).toBe('it is so already\n')
    const missed = await strike(lab)
    await reload()
    await agent.waitFor('what was between', () => isTold(missed, agent))
    expect(relays()).toHaveLength(1)
    const { stdout } = spawnSync(FULLMON, ['doctor', '--config', CONFIG], { encoding: 'utf8' })
    expect(stdout).toContain(
      `plugin        pid ${relays()[0]} brings the records of auditd to /run/fullmon/events\n`,
    )
    await struck()

    await setup('tail')
    expect([readFileSync(CONFIG, 'utf8'), readFileSync(conf, 'utf8')]).toEqual([before, confOf('no')])
    expect(await setup('tail')).toBe('it is so already\n')
    const between = await strike(lab)
    await reload()
    await agent.waitFor('what was between', () => isTold(between, agent))
    await struck()
    expect(relays()).toEqual([])
    expect(
      agent.reports.map((report) =>
        'rule' in report
          ? report.rule
          : 'detail' in report
            ? `${report.reason}: ${report.detail}`
            : report.kind,
      ),
    ).toEqual(Array.from({ length: 5 }, (_, index) => `strike-${programs - 4 + index}`))
  })

  test('is refused for anybody but root', () => {
    const { status, stderr } = spawnSync(
      'setpriv',
      ['--reuid', '65534', '--clear-groups', FULLMON, 'setup', 'plugin'],
      {
        encoding: 'utf8',
      },
    )
    expect(status).toBe(2)
    expect(stderr).toMatch(/root|cannot/)
  })
})
