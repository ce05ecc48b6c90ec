import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Config } from '../../agent/config/config.ts'
import type { ScannedProcess } from '../../agent/domain/scan.ts'
import { ProcessScanner } from '../../agent/scan/scanner.ts'
import { folderForTest } from '../support/folder.ts'
import { FOREVER, noPython, python, running } from '../support/running.ts'

async function childOf(pid: number): Promise<ScannedProcess | undefined> {
  const { processes } = await new ProcessScanner(Config.parse({})).look()
  return processes.find(({ ppid }) => ppid === pid)
}

const named = (process: ScannedProcess | undefined): string[] =>
  (process?.marks ?? []).map(({ heuristic }) => heuristic).sort()

describe.skipIf(noPython !== undefined)('a shell', () => {
  test('whose input is a connection is one that somebody else commands', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const code = [
      'import os, socket, subprocess, time',
      `s = socket.create_connection(("127.0.0.1", ${port}))`,
      'p = subprocess.Popen(["/bin/sh"], stdin=s, stdout=s, stderr=s, start_new_session=True)',
      'print(p.pid, flush=True)',
      'p.wait()',
    ].join('\n')
    const connected = once(server, 'connection')
    const { pid } = await python(code)
    const [socket] = (await connected) as [{ destroy: () => void }]
    onTestFinished(() => socket.destroy())
    const shell = await childOf(pid)
    // Who runs the tests may be a service, or a person.
    expect(named(shell)).toEqual(expect.arrayContaining(['no_tty', 'shell_socket']))
    expect(shell?.marks[0]?.reason).toContain(`127.0.0.1:${port} commands it`)
    expect(shell).toMatchObject({ connections: 1, isSuspicious: true })
  })

  test('below what calls itself a server is unusual', async () => {
    const server = join(folderForTest(), 'nginx')
    copyFileSync(realpathSync('/usr/bin/python3'), server)
    chmodSync(server, 0o755)
    const code = [
      'import subprocess',
      'p = subprocess.Popen(["/bin/sh", "-c", "read x; echo done"], stdin=subprocess.PIPE)',
      'print("ready", flush=True)',
      'p.wait()',
    ].join('\n')
    const { pid } = await running(server, ['-c', code])
    expect(named(await childOf(pid))).toEqual(['unusual_parent'])
  })

  test('that runs a script for its service is not', async () => {
    const { pid } = await python(
      `import subprocess; p = subprocess.Popen(["/bin/sh", "-c", "read x; echo done"], stdin=subprocess.PIPE); ${FOREVER}`,
    )
    expect(named(await childOf(pid))).toEqual([])
  })
})

describe.skipIf(noPython !== undefined)('a program without a file of its own in a temporary place', () => {
  const folder = (): string => {
    const made = realpathSync(mkdtempSync('/tmp/fullmon-shells-'))
    onTestFinished(() => rmSync(made, { recursive: true }))
    return made
  }
  const marksOf = async (pid: number): Promise<[string, number][]> => {
    const { processes } = await new ProcessScanner(Config.parse({})).look()
    const found = processes.find((each) => each.pid === pid)
    return (found?.marks ?? []).map(({ heuristic, points }) => [heuristic, points])
  }

  test('is found when the loader of all programs runs it', async () => {
    const loader = /\S*\/ld-\S+$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0] ?? ''
    const evil = join(folder(), 'evil')
    copyFileSync(realpathSync('/usr/bin/python3'), evil)
    const { pid } = await running(loader, [evil, '-c', FOREVER])
    expect(await marksOf(pid)).toEqual([['tmp_exe', 4]])
  })

  test('is found when it was loaded into another', async () => {
    const libm = /\S*\/libm\S+$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0] ?? ''
    const evil = join(folder(), 'evil.so')
    copyFileSync(libm, evil)
    const { pid } = await python(FOREVER, { env: { LD_PRELOAD: evil } })
    expect(await marksOf(pid)).toEqual([['tmp_exe', 2]])
  })

  test('is found when it is the input of an interpreter', async () => {
    const script = join(folder(), 'x.py')
    writeFileSync(script, FOREVER)
    const input = openSync(script, 'r')
    onTestFinished(() => closeSync(input))
    const { pid } = await running('/usr/bin/python3', [], { stdio: [input, 'pipe', 'inherit'] })
    expect(await marksOf(pid)).toEqual([['tmp_exe', 2]])
  })
})
if (noPython !== undefined) process.stderr.write(`shells.test.ts: all left out: ${noPython}\n`)
