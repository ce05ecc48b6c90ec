/** The configuration of an agent that runs: which file it is read from, and what reading it again says. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished, expect, test } from 'vitest'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import { folderForTest } from '../support/folder.ts'
import { LogBuilder } from '../support/log-builder.ts'

interface Host {
  readonly log: string
  /** Where the configuration is looked for before the one of the whole host. */
  readonly config: string
  readonly start: (...words: readonly string[]) => RunningAgent
}

function newHost(): Host {
  const folder = folderForTest()
  const [log, db, home] = [join(folder, 'audit.log'), join(folder, 'b.db'), join(folder, 'home')]
  writeFileSync(log, '')
  mkdirSync(join(home, 'fullmon'), { recursive: true })
  const start: Host['start'] = (...words) => {
    const agent = startAgent(
      ['run', '--json', '--auditd', log, '--db', db, '--baseline', '0', '--set', 'http.socket=', ...words],
      { XDG_CONFIG_HOME: home, SUDO_USER: '' },
    )
    onTestFinished(() => void agent.end('SIGKILL'))
    return agent
  }
  return { log, config: join(home, 'fullmon/config.yaml'), start }
}

const says = (agent: RunningAgent, what: string): Promise<void> =>
  agent.waitFor(what, () => agent.stderr().includes(what))

test('a new configuration is named key by key, of a profile too; what --set says stays', async () => {
  const { config, start } = newHost()
  writeFileSync(config, 'scan: {interval: 0, min_score: 5}\n')
  const agent = start('--set', 'scan.interval=0')
  await says(agent, 'monitoring')
  writeFileSync(config, 'profile: development\nscan: {interval: 30, min-score: 6}\n')
  agent.send('SIGHUP')
  await says(agent, 'the configuration was read again: ')
  const said = /read again: (.*)/.exec(agent.stderr())?.[1]?.split(', ') ?? []
  expect(said).toEqual(
    expect.arrayContaining([
      'alerts.min_severity is high (was medium)',
      'monitor is 300 (was 60)',
      'profile is development (was not given)',
      'scan.min_score is 6 (was 5)',
      'scan.weights.ptraced is 0 (was 3)',
    ]),
  )
  expect(said.filter((each) => /^(scan\.interval|baseline|http\.socket) /.test(each))).toEqual([])
  expect(await agent.end('SIGTERM')).toBe(0)
})

test('whoever makes a configuration that would win over the one that is read is reported', async () => {
  const { log, config, start } = newHost()
  const agent = start('--set', 'scan.interval=0')
  await says(agent, 'monitoring')
  const written = new LogBuilder(Date.now())
  // The log is followed from its end on, a moment after that is said.
  await agent.waitFor('a sign of tampering', () => {
    written.text = ''
    appendFileSync(log, written.create({ pid: 4000, ppid: 3999, exe: '/usr/bin/tee' }, config).text)
    return agent.reports.some(({ kind }) => kind === 'tamper')
  })
  expect(JSON.stringify(agent.reports.filter(({ kind }) => kind === 'tamper'))).toContain(config)
  expect(await agent.end('SIGTERM')).toBe(0)
})
