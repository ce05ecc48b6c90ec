import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { follow } from '../../agent/tail/follow.ts'
import { savedLogsOf } from '../../agent/tail/rotation.ts'
import { auditctl, auditdUnavailable, ensureAuditd, startAuditd } from '../support/auditd.ts'

ensureAuditd()
const reason = auditdUnavailable()
if (reason !== undefined) process.stderr.write(`no test with auditd's own rotation: ${reason}\n`)

const ROTATIONS = 30
const MESSAGES = 10

test.skipIf(reason !== undefined)(
  "auditd's own rotation: what it wrote, once and in order",
  { timeout: 360_000 },
  async () => {
    const lab = await startAuditd({ logFormat: 'RAW', rules: [] })
    onTestFinished(() => lab.stop())
    const daemon = Number(/^pid (\d+)$/m.exec(auditctl('-s'))?.[1])
    const logHas = async (text: string): Promise<void> => {
      while (!readFileSync(lab.logFile, 'latin1').includes(text)) await sleep(10)
    }

    const conf = join(dirname(dirname(lab.logFile)), 'auditd.conf')
    const rotating = readFileSync(conf, 'utf8').replace('= IGNORE', '= ROTATE') + 'num_logs = 50\n'
    writeFileSync(conf, rotating)
    process.kill(daemon, 'SIGHUP')
    await logHas('DAEMON_CONFIG')

    const stop = new AbortController()
    let text = ''
    const blind: string[] = []
    const reading = (async () => {
      for await (const item of follow(lab.logFile, {
        startAt: 'beginning',
        pollMs: 10,
        signal: stop.signal,
      })) {
        if ('kind' in item) blind.push(item.detail)
        else text += item.bytes.toString('latin1')
      }
    })()
    for (let rotation = 0; rotation < ROTATIONS; rotation++) {
      for (let message = 0; message < MESSAGES; message++) auditctl('-m', `fullmon-${rotation}-${message}.`)
      process.kill(daemon, 'SIGUSR1')
      // Signals that come together are one.
      while (savedLogsOf(lab.logFile).length < rotation + 2) await sleep(1)
    }
    await lab.settle()
    const logs = savedLogsOf(lab.logFile)
    const written = logs.map((log) => readFileSync(log, 'latin1')).join('')
    while (text.length < written.length) await sleep(10)
    stop.abort()
    await reading

    expect(logs).toHaveLength(ROTATIONS + 1)
    expect(text).toBe(written)
    expect(blind).toEqual([])
    const messages = [...text.matchAll(/fullmon-(\d+)-(\d+)\./g)].map(
      ([, rotation, message]) => Number(rotation) * MESSAGES + Number(message),
    )
    expect(messages).toEqual(Array.from({ length: ROTATIONS * MESSAGES }, (_, index) => index))
  },
)
