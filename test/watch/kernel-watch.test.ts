import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { KernelNews } from '../../agent/watch/kernel-judge.ts'
import { KernelWatch } from '../../agent/watch/kernel-watch.ts'
import { auditctl, auditdMissing, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'

const STATE = '/var/lib/fullmon'
/** That the watch asks is recorded, though it has no login uid of the lab. */
const PROBE = '-a always,exit -F arch=b64 -S execve -F exe=/usr/bin/perl -F key=probe'
const PATIENCE_MS = 20_000

/** Becomes the receiver of the records: AUDIT_SET with AUDIT_STATUS_PID, <linux/audit.h>. */
const USURPER = `
import os, socket, struct, time
audit = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
status = struct.pack('=11I', 4, 0, 0, os.getpid(), 0, 0, 0, 0, 0, 0, 0)
audit.send(struct.pack('=IHHII', 16 + len(status), 1001, 5, 1, 0) + status)
while True: audit.recv(65536)
`

const unavailable = auditdMissing('kernel-watch.test.ts: left out')

describe.skipIf(unavailable !== undefined)('beside a real auditd', () => {
  const stateExisted = existsSync(STATE)
  const rules = shippedRules()
  let lab: Lab
  let watch: KernelWatch
  let timeMs: number

  beforeEach(async () => {
    mkdirSync(STATE, { recursive: true, mode: 0o700 })
    lab = await startAuditd({ logFormat: 'RAW', rules: [PROBE, ...rules] })
    const found = await KernelWatch.over(lab.logFile)
    if (!found.ok) throw new Error(found.error)
    watch = found.value
    timeMs = 0
  })

  afterEach(async () => {
    await lab.stop()
    if (!stateExisted) rmSync(STATE, { recursive: true })
  })

  const look = async (): Promise<string[]> => (await watch.look((timeMs += 1000), false)).map(told)
  const told = ({ report: { reason, isOngoing } }: KernelNews): string =>
    `${isOngoing === true ? 'goes on' : 'over'}: ${reason}`

  const status = (): { pid: number; lost: number; backlog: number } => {
    const text = auditctl('-s')
    const word = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
    return { pid: word('pid'), lost: word('lost'), backlog: word('backlog') }
  }
  const until = async (isSo: () => boolean): Promise<void> => {
    const deadlineMs = performance.now() + PATIENCE_MS
    while (!isSo()) {
      if (performance.now() > deadlineMs) throw new Error(`it did not come: ${isSo.toString()}`)
      await sleep(20)
    }
  }
  const execs = (count: number): Promise<unknown> =>
    lab.run(`i=0; while [ $i -lt ${count} ]; do /bin/true; i=$((i+1)); done`)

  /** As the engine does with each exec event. */
  const readExecs = async (): Promise<void> => {
    await lab.settle()
    const log = readFileSync(lab.logFile, 'latin1')
    for (const [, pid] of log.matchAll(/^type=SYSCALL .* pid=(\d+) .* key="probe"/gm))
      watch.sawExec(Number(pid))
  }

  test('nothing is wrong with rules that the lab has narrowed, until one is removed', async () => {
    expect(await look()).toEqual([])
    const rule = rules.find((each) => each.includes('execve')) ?? ''
    auditctl(...rule.replace('-a', '-d').split(/\s+/))
    expect(await look()).toEqual(['goes on: rules-missing'])
    auditctl(...rule.split(/\s+/))
    expect(await look()).toEqual(['over: rules-missing'])
    auditctl('-A', 'never,exit', '-F', 'arch=b64', '-S', 'execve', '-F', 'auid=4242')
    expect(await look()).toEqual(['goes on: rules-missing'])
  })

  test('audit is switched off and on, and a rule hides new processes', async () => {
    await look()
    auditctl('-e', '0')
    auditctl('-a', 'never,task', '-F', 'auid=4242')
    expect(await look()).toEqual(['goes on: audit-disabled', 'goes on: never-task'])
    auditctl('-e', '1')
    auditctl('-d', 'never,task', '-F', 'auid=4242')
    expect(await look()).toEqual(['over: audit-disabled', 'over: never-task'])
  })

  test('records that a rate limit threw away are counted', async () => {
    const before = status().lost
    await look()
    auditctl('-r', '1')
    await execs(20)
    auditctl('-r', '0')
    const news = await watch.look(2000, false)
    const lost = status().lost - before
    expect(lost).toBeGreaterThan(0)
    expect(news.map(({ report }) => report)).toMatchObject([
      { reason: 'kernel-lost', fromMs: 1000, toMs: 2000, count: lost },
    ])
  })

  test('an auditd that is stopped lets records wait, and one that goes on takes them', async () => {
    auditctl('-b', '200')
    await look()
    const { pid } = status()
    process.kill(pid, 'SIGSTOP')
    try {
      await execs(300)
      await until(() => status().backlog >= 150)
      expect(await look()).toContain('goes on: kernel-backlog')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await until(() => status().backlog === 0)
    expect(await look()).toContain('over: kernel-backlog')
  })

  test('auditd ends, and another program takes its place', async () => {
    await look()
    process.kill(status().pid, 'SIGTERM')
    await until(() => status().pid === 0)
    expect(await look()).toEqual(['goes on: auditd-stopped'])
    const usurper = lab.start(['/usr/bin/python3', '-c', USURPER])
    await until(() => status().pid === usurper.pid)
    expect(await look()).toEqual(['over: auditd-stopped', 'goes on: auditd-replaced'])
    usurper.kill()
    await usurper.done
  })

  test('auditd is told to write elsewhere', async () => {
    await look()
    const conf = join(dirname(dirname(lab.logFile)), 'auditd.conf')
    writeFileSync(conf, readFileSync(conf, 'utf8').replace(lab.logFile, `${lab.logFile}.elsewhere`))
    const [news] = await watch.look(2000, false)
    expect(news?.report).toMatchObject({ reason: 'auditd-replaced' })
    expect(news?.report.detail).toContain(`${lab.logFile}.elsewhere`)
  })

  test('its own asking is expected to arrive once it has, unless the log is not read so far', async () => {
    // Never seen: not expected.
    for (let count = 0; count < 4; count++) expect(await look()).toEqual([])
    await readExecs()
    expect(await look()).toEqual([])
    await readExecs()
    auditctl(...PROBE.replace('-a', '-d').split(/\s+/))
    expect(await look()).toEqual([])
    expect(await look()).toEqual([])
    expect(await look()).toEqual(['goes on: nothing-arrives'])
    expect(await look()).toEqual([])
    auditctl(...PROBE.split(/\s+/))
    expect(await look()).toEqual([])
    await readExecs()
    expect(await look()).toEqual(['over: nothing-arrives'])
    auditctl(...PROBE.replace('-a', '-d').split(/\s+/))
    for (let count = 0; count < 4; count++)
      expect((await watch.look((timeMs += 1000), true)).map(told)).toEqual([])
  })

  test('only its own asking is its own', async () => {
    await look()
    expect(watch.sawExec(process.pid)).toBe(false)
  })

  test('the log of another host is not watched', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fullmon-watch-'))
    const log = join(folder, 'audit.log')
    writeFileSync(log, '')
    expect(await KernelWatch.over(log)).toMatchObject({
      ok: false,
      error: expect.stringContaining(log) as string,
    })
    expect(await KernelWatch.over('-')).toMatchObject({ ok: false })
    rmSync(folder, { recursive: true })
  })
})
