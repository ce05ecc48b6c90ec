import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { follow } from '../../agent/tail/follow.ts'
import { savedLogsOf } from '../../agent/tail/rotation.ts'
import { TEST_LOGINUID, auditctl, auditdUnavailable, ensureAuditd, startAuditd } from '../support/auditd.ts'

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

const EVENTS_ROTATIONS = 6

/** Stamp and serial of the first and of the last record. */
function eventsAtTheEnds(log: string): {
  readonly first: string | undefined
  readonly last: string | undefined
} {
  const ids = [...readFileSync(log, 'latin1').matchAll(/^type=\S+ msg=audit\(([\d.:]+)\)/gm)].map(
    ([, id]) => id,
  )
  return { first: ids[0], last: ids.at(-1) }
}

test.skipIf(reason !== undefined)(
  "auditd's own rotation in the middle of an event: what it wrote, once and in order",
  { timeout: 360_000 },
  async () => {
    const lab = await startAuditd({
      logFormat: 'ENRICHED',
      rules: [`-a always,exit -F arch=b64 -S openat -F auid=${TEST_LOGINUID}`],
      settings: { max_log_file: '1', max_log_file_action: 'ROTATE', num_logs: '20' },
    })
    onTestFinished(() => lab.stop())
    const stop = new AbortController()
    let text = ''
    const told: string[] = []
    const reading = (async () => {
      for await (const item of follow(lab.logFile, {
        startAt: 'beginning',
        pollMs: 10,
        signal: stop.signal,
      })) {
        if ('kind' in item) told.push(item.detail)
        else text += item.bytes.toString('latin1')
      }
    })()
    // Whether a rotation falls between two records of one event is chance, and most do.
    const isSplit = (): boolean => {
      const ends = savedLogsOf(lab.logFile).map(eventsAtTheEnds)
      return ends.some(({ first }, index) => index > 0 && first === ends[index - 1]?.last)
    }
    while (savedLogsOf(lab.logFile).length <= EVENTS_ROTATIONS || !isSplit()) {
      if (savedLogsOf(lab.logFile).length > 18) throw new Error('no rotation in the middle of an event')
      await lab.run('for i in 1 2 3 4 5 6 7 8; do cat /etc/passwd /etc/group /no/such/file; done')
    }
    await lab.settle()
    const written = savedLogsOf(lab.logFile)
      .map((log) => readFileSync(log, 'latin1'))
      .join('')
    while (text.length < written.length) await sleep(10)
    stop.abort()
    await reading
    expect(text === written).toBe(true)
    expect(told).toEqual([])
  },
)
