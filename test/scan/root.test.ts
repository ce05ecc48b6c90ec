import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { lookAtRoot } from '../../agent/scan/root.ts'
import { containerForTest } from '../support/container.ts'
import { folderForTest } from '../support/folder.ts'
import { mountUnavailable } from '../support/mount.ts'

const unavailable = mountUnavailable()
if (unavailable !== undefined) process.stderr.write(`root.test.ts: left out: ${unavailable}\n`)

describe.skipIf(unavailable !== undefined)('a root file system', () => {
  test('is told while it may be written', async () => {
    const script = `mount -o remount,bind,ro / && echo && read -r go && mount -o remount,bind,rw / && echo && read -r go`
    const words = ['--mount', '--propagation', 'private', '/bin/sh', '-c', script]
    const child = spawn('unshare', words, { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await ended
    })
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    const mounts = `/proc/${child.pid ?? 0}/mountinfo`
    await lines.next()
    expect(lookAtRoot(mounts)).toEqual([])
    child.stdin.write('\n')
    await lines.next()
    expect(lookAtRoot(mounts)).toMatchObject([{ source: 'root', key: 'root', severity: 'high' }])
  })

  test('is read-only when its file system is, whatever the mount says', async () => {
    const container = await containerForTest(`${folderForTest()}/diff`)
    const mounts = container
      .processes('it', 0)
      .filter((each) => each.container === 'it')
      .map(({ pid }) => `/proc/${pid}/mountinfo`)
      .find((path) => / \/ \/ \S+( \S+)* - overlay /.test(readFileSync(path, 'latin1')))
    expect(lookAtRoot(mounts)).toHaveLength(1)
    await container.run('mount -o remount,ro /')
    expect(lookAtRoot(mounts)).toEqual([])
  })

  test('that nobody tells of is no good sign', () => {
    expect(() => lookAtRoot('/proc/self/status')).toThrow('no root file system')
    expect(() => lookAtRoot('/proc/self/nothing')).toThrow('ENOENT')
  })
})
