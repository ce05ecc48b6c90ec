import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { CapturedNames } from '../../agent/dns/capture.ts'

const hasTcpdump = spawnSync('tcpdump', ['--version']).error === undefined
const unavailable = hasTcpdump
  ? process.getuid?.() === 0
    ? undefined
    : 'not root'
  : 'tcpdump is not installed'
if (unavailable !== undefined) process.stderr.write(`capture.test.ts: left out: ${unavailable}\n`)

test.skipIf(unavailable !== undefined)(
  'an interface that is not there is said, and is nobody to wait for',
  async () => {
    const names = new CapturedNames('nosuch0')
    onTestFinished(() => names.close())
    await names.start()
    expect(names.deafness?.detail).toMatch(
      /^DNS answers on nosuch0 are not captured: tcpdump: nosuch0: \P{Cc}+$/u,
    )
    expect(names.deafness?.isStanding).toBe(true)
    expect(names.unread).toBe(0)
  },
)

test.skipIf(unavailable !== undefined)(
  'what is captured can be heard from the start on, until it is closed',
  async () => {
    const names = new CapturedNames('lo')
    await names.start()
    expect(names.deafness).toBeUndefined()
    await names.close()
    await sleep(50)
    const children = spawnSync('ps', ['-o', 'comm=', '--ppid', String(process.pid)], { encoding: 'utf8' })
    expect(children.stdout).not.toContain('tcpdump')
  },
)
