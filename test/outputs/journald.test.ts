/** A real systemd-journald, in a namespace of its own, reads what the agent writes. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { OutputsConfig } from '../../agent/config/outputs.ts'
import { openOutputs } from '../../agent/outputs/outputs.ts'
import { folderForTest } from '../support/folder.ts'
import { HOSTILE_INCIDENT, INCIDENT } from './reports.ts'

const JOURNALD = '/lib/systemd/systemd-journald'
const NAMESPACE = `fullmon-test-${process.pid}`
const SOCKET = `/run/systemd/journal.${NAMESPACE}/socket`
const PATIENCE = { timeout: 20_000, interval: 50 }

/** Why there can be no journal; undefined when there can. */
function unavailable(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may start a journal'
  if (!existsSync(JOURNALD)) return `there is no ${JOURNALD}`
  if (spawnSync('journalctl', ['--version']).status !== 0) return 'there is no journalctl'
  if (!existsSync('/etc/machine-id')) return 'this host has no id'
  return spawnSync('unshare', ['--mount', 'true']).status === 0 ? undefined : 'nobody may mount here'
}

/** Starts one, whose files stand in a folder of the test. Returns what finds entries as journalctl prints them. */
async function startJournal(): Promise<(match: string) => Record<string, string>[]> {
  const folder = folderForTest()
  const script = `mount --bind ${folder} /var/log && exec ${JOURNALD} ${NAMESPACE}`
  const child = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: 'ignore' })
  const ended = new Promise((resolve) => child.once('close', resolve))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(`/run/systemd/journal.${NAMESPACE}`, { recursive: true, force: true })
  })
  await vi.waitFor(() => expect(existsSync(SOCKET)).toBe(true), PATIENCE)
  return (match) =>
    globSync(join(folder, '**/system.journal'))
      .flatMap((file) =>
        spawnSync('journalctl', ['--file', file, '--output=json', '--all', match], {
          encoding: 'utf8',
        }).stdout.split('\n'),
      )
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, string>)
}

const reason = unavailable()
test.skipIf(reason !== undefined)(`the journal finds an incident by its fields ${reason ?? ''}`, async () => {
  const entriesWith = await startJournal()
  const said: string[] = []
  const outputs = openOutputs({
    config: OutputsConfig.parse({ journald: { enabled: true, socket: SOCKET } }),
    ...{ folder: join(folderForTest(), 'outputs'), configFile: undefined, pid: process.pid },
    origin: { host: 'web-1', version: '0.1.0' },
    say: (text) => said.push(text),
  })
  onTestFinished(() => outputs.close())
  outputs.offer(INCIDENT)
  outputs.offer(HOSTILE_INCIDENT)
  await vi.waitFor(() => expect(entriesWith('SYSLOG_IDENTIFIER=fullmon')).toHaveLength(2), PATIENCE)
  expect(entriesWith('FULLMON_INCIDENT=7')).toMatchObject([
    {
      ...{ MESSAGE: INCIDENT.title, PRIORITY: '3', FULLMON_TARGET: 'host:203.0.113.66:4444' },
      FULLMON_WHY: INCIDENT.reasons.join('\n'),
      FULLMON_NEXT: INCIDENT.next.join('\n'),
    },
  ])
  expect(said).toEqual([])
})
