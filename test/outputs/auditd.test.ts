/** A real auditd records an agent that tells syslog and a server by name: none of that is reported as somebody's deed. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { auditdMissing, shippedRules, startAuditd } from '../support/auditd.ts'
import { folderForTest } from '../support/folder.ts'
import { datagramServerAt } from './datagram-server.ts'
import { OK, serverForTest } from './server.ts'

const ROOT = join(import.meta.dirname, '../..')
const MAIN = join(ROOT, 'agent/main.ts')
const PATIENCE = { timeout: 60_000, interval: 50 }

const unavailable = auditdMissing('outputs/auditd.test.ts: left out')

test.skipIf(unavailable !== undefined)(
  'what the agent does to tell others is nobody’s deed',
  { timeout: 180_000 },
  async () => {
    const folder = folderForTest()
    const state = join(folder, 'state')
    mkdirSync(state, { mode: 0o700 })
    const [db, report, config] = ['baseline.db', 'fullmon.log', 'config.yaml'].map((name) =>
      join(state, name),
    )
    const socket = join(folder, 'log')
    const syslogd = await datagramServerAt(socket)
    const { port, posts } = await serverForTest([OK])
    const outputs = [
      `syslog: { enabled: true, socket: ${socket} }`,
      `webhook: { url: "http://localhost:${port}/", body: json, min_severity: low }`,
    ]
    writeFileSync(config ?? '', `scan: { interval: 0 }\noutputs: { ${outputs.join(', ')} }\n`, {
      mode: 0o600,
    })
    const lab = await startAuditd({
      logFormat: 'RAW',
      rules: shippedRules(state),
    })
    onTestFinished(() => lab.stop())
    const words = `run --auditd ${lab.logFile} --db ${db} --log ${report} --config ${config} --baseline 2 --monitor 2 --wait 0.1 --alerts-per-day 1000000`
    const agent = lab.start([process.execPath, MAIN, ...words.split(' ')])
    onTestFinished(() => agent.kill())
    const said = (): string => (existsSync(report ?? '') ? readFileSync(report ?? '', 'utf8') : '')
    await vi.waitFor(() => expect(said()).toContain('monitoring: '), PATIENCE)
    // Reports come at the end of a window: a program that was never seen tells that it is over.
    for (const program of ['true', 'false', 'uptime']) {
      await lab.run([`/usr/bin/${program}`])
      await lab.settle()
      await vi.waitFor(() => {
        expect(JSON.stringify(posts.map(({ body }) => body))).toContain(`/usr/bin/${program}`)
        expect(Buffer.concat(syslogd.messages).toString()).toContain(`/usr/bin/${program}`)
      }, PATIENCE)
    }
    const log = readFileSync(lab.logFile, 'latin1')
    const inHex = port.toString(16).padStart(4, '0').toUpperCase()
    for (const trace of ['exe="/usr/bin/perl"', `saddr=0200${inHex}7F000001`])
      expect(log.includes(trace)).toBe(true)
    expect(said()).not.toContain('perl')
    expect(said()).not.toContain(`:${port}`)
    expect(said()).not.toMatch(/ connect | tamper /)
    process.kill(agent.pid, 'SIGTERM')
    expect((await agent.done).status).toBe(0)
    const known = execFileSync(process.execPath, [MAIN, 'baseline', 'show', '--db', db ?? ''], {
      encoding: 'utf8',
    })
    expect(known).not.toMatch(/perl|connect/)
  },
)
