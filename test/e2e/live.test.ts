import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Finding } from '../../agent/domain/report.ts'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import {
  auditdUnavailable,
  ensureAuditd,
  type Lab,
  rulesForLoginuid,
  startAuditd,
} from '../support/auditd.ts'

const RULES = readFileSync(join(import.meta.dirname, '../../audit.rules'), 'utf8')
const PYTHON = realpathSync('/usr/bin/python3')
const SHELL = realpathSync('/bin/sh')
const TRAINING_S = 6

ensureAuditd()
const unavailable = auditdUnavailable()
if (unavailable !== undefined) process.stderr.write(`live.test.ts: left out: ${unavailable}\n`)

describe.skipIf(unavailable !== undefined).each(['ENRICHED', 'RAW'] as const)(
  'the live agent, %s log',
  (logFormat) => {
    const directory = mkdtempSync(join(tmpdir(), 'fullmon-live-'))
    const db = join(directory, 'state', 'baseline.db')
    const known = join(directory, 'known.sh')
    const intruder = join(directory, 'intruder.py')
    const loot = join(directory, 'loot')
    let lab: Lab
    let agent: RunningAgent

    const start = (): RunningAgent =>
      startAgent(
        `run --auditd ${lab.logFile} --db ${db} --baseline ${TRAINING_S} --monitor 2 --wait 0.1 --json`.split(
          ' ',
        ),
      )
    const findings = (): Finding[] => agent.reports.filter((report) => report.kind === 'finding')
    const work = (): Promise<unknown> => lab.run(['/bin/sh', known], { addresses: ['203.0.113.66/32'] })

    beforeAll(async () => {
      chmodSync(directory, 0o755)
      writeFileSync(
        known,
        `ls / >${directory}/listing\ncat /etc/hostname >/dev/null\nrm ${directory}/listing\n`,
      )
      writeFileSync(
        intruder,
        `#!/usr/bin/python3
import socket
with socket.socket() as listener:
    pass
try: socket.create_connection(('203.0.113.66', 4444), 1)
except OSError: pass
open('${loot}', 'w').write('secret')
`,
      )
      chmodSync(intruder, 0o755)
      lab = await startAuditd({ logFormat, rules: rulesForLoginuid(RULES) })
      agent = start()
      await agent.waitFor('the training', () => agent.stderr().includes('training until'))
      await work()
      await work()
      await lab.settle()
      await agent.waitFor('the end of the training', () => agent.stderr().includes('monitoring'))
    })

    afterAll(async () => {
      await agent.end('SIGTERM')
      await lab.stop()
      rmSync(directory, { recursive: true, force: true })
    })

    test('says nothing about what it was trained on', async () => {
      await work()
      await lab.settle()
      // Reports come at the end of a window, so something unseen marks that the window with the known work has ended.
      await lab.run(`exec /usr/bin/true`)
      await agent.waitFor('the mark', () => findings().length > 0)
      expect(findings().map(({ edge }) => edge.to)).toEqual(['proc::root:/usr/bin/true'])
    })

    test('reports exactly what a new program does, with its chain', async () => {
      const before = findings().length
      await lab.run(['/bin/sh', known.replace('known', 'known'), intruder], {
        addresses: ['203.0.113.66/32'],
      })
      await lab.run(`${intruder}; exit 0`, { addresses: ['203.0.113.66/32'] })
      await lab.settle()
      const program = `proc::root:${PYTHON}<${intruder}`
      await agent.waitFor('the findings', () => findings().some(({ edge }) => edge.kind === 'create'))
      const fresh = findings().slice(before)
      expect(fresh.map(({ edge }) => edge)).toEqual([
        { kind: 'exec', from: `proc::root:${SHELL}`, to: program },
        { kind: 'connect', from: program, to: 'host:203.0.113.66:4444' },
        { kind: 'create', from: program, to: `file:create:${loot}` },
      ])
      const tail = `proc::root:${SHELL}->${program}`
      expect(fresh[0]?.path.endsWith(tail)).toBe(true)
      expect(fresh[1]?.path.endsWith(`${tail}->host:203.0.113.66:4444`)).toBe(true)
      expect(fresh[2]?.path.endsWith(`${tail}->file:create:${loot}`)).toBe(true)
      expect(fresh[0]?.evidence).toMatchObject({
        syscall: 'execve',
        auid: 4242,
        argv: ['/usr/bin/python3', intruder],
      })
    })

    test('a restart uses the baseline of yesterday and does not report again', async () => {
      const before = findings().length
      expect(await agent.end('SIGTERM')).toBe(0)
      const summary = agent.reports.at(-1)
      expect(summary).toMatchObject({ kind: 'summary', unreadable: 0, lost: 0, unseen: before })
      agent = start()
      await agent.waitFor('monitoring at once', () => agent.stderr().includes('monitoring'))
      expect(agent.stderr()).not.toContain('training')
      await lab.run(`${intruder}; exit 0`, { addresses: ['203.0.113.66/32'] })
      await lab.run('exec /usr/bin/false')
      await lab.settle()
      await agent.waitFor('the mark', () => findings().length > 0)
      expect(findings().map(({ edge }) => edge.to)).toEqual(['proc::root:/usr/bin/false'])
    })

    test('the baseline is readable for its owner only', () => {
      expect(statSync(db).mode & 0o777).toBe(0o600)
    })
  },
)
