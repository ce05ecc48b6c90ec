import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Config } from '../../agent/config/config.ts'
import type { ProcessScan, ScannedProcess, UnreadCounts } from '../../agent/domain/scan.ts'
import { ProcessScanner } from '../../agent/scan/scanner.ts'
import { AS_NOBODY, FOREVER, noMounts, noPython, noStranger, python, running } from '../support/running.ts'

const ROOT = join(import.meta.dirname, '../..')
const isRoot = process.getuid?.() === 0
const cannotHide = noStranger() ?? noMounts()

/** What a scan says of one process, with this configuration. */
async function scanned(pid: number, words: object = {}): Promise<ScannedProcess> {
  const { processes } = await new ProcessScanner(Config.parse(words)).look()
  const found = processes.find((each) => each.pid === pid)
  if (found === undefined) throw new Error(`the scan has not found ${pid}`)
  return found
}

const named = ({ marks }: ScannedProcess): string[] => marks.map(({ heuristic }) => heuristic)

/** A place that is temporary wherever the tests are. */
function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync('/tmp/fullmon-scan-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

function copyOfPython(folder: string, name: string): string {
  const copy = join(folder, name)
  copyFileSync(realpathSync('/usr/bin/python3'), copy)
  chmodSync(copy, 0o755)
  return copy
}

describe.skipIf(noPython !== undefined)('a scan of real processes', () => {
  test('says nothing of one that just waits, and what it is', async () => {
    const { pid } = await python(FOREVER)
    const found = await scanned(pid)
    expect(found).toMatchObject({
      ...{ pid, ppid: process.pid, uid: process.getuid?.(), exe: realpathSync('/usr/bin/python3') },
      ...{ argv: ['/usr/bin/python3', '-c', FOREVER], script: null, marks: [], score: 0 },
      ...{ isSuspicious: false, surprise: null, listens: [], connections: 0, sha256: null },
    })
    expect(found.rssBytes).toBeGreaterThan(1_000_000)
  })

  test('knows a program in /tmp', async () => {
    const { pid } = await running(copyOfPython(temporaryFolder(), 'worker'), ['-c', FOREVER])
    const found = await scanned(pid)
    expect(named(found)).toEqual(['tmp_exe'])
    expect(found).toMatchObject({ score: 4, isSuspicious: true })
  })

  test('knows a script in /tmp, which alone is not suspicious', async () => {
    const script = join(temporaryFolder(), 'job.py')
    writeFileSync(script, FOREVER)
    const { pid } = await running('/usr/bin/python3', [script])
    expect(await scanned(pid)).toMatchObject({ script, score: 2, isSuspicious: false })
  })

  test('knows a program whose file was removed', async () => {
    const copy = copyOfPython(temporaryFolder(), 'worker')
    const { pid } = await running(copy, ['-c', FOREVER])
    unlinkSync(copy)
    const found = await scanned(pid)
    expect(named(found).sort()).toEqual(['deleted_exe', 'tmp_exe'])
    expect(found).toMatchObject({ exe: `${copy} (deleted)`, score: 8 })
  })

  test('has found what it cannot have found in a file: it was executed from memory', async () => {
    const code = [
      'import os',
      `m = os.memfd_create("x")`,
      `os.sendfile(m, os.open("/proc/self/exe", os.O_RDONLY), 0, os.stat("/proc/self/exe").st_size)`,
      `os.execve(m, ["python3", "-c", ${JSON.stringify(FOREVER)}], {})`,
    ].join('; ')
    const { pid } = await python(code)
    const found = await scanned(pid)
    expect(named(found)).toEqual(['memfd_exe'])
    expect(found).toMatchObject({ exe: '/memfd:x (deleted)', score: 5 })
  })

  test('knows memory that may be written and executed', async () => {
    const { pid } = await python(`import mmap; m = mmap.mmap(-1, 12288, prot=7, flags=34); ${FOREVER}`)
    const found = await scanned(pid)
    expect(found.marks).toMatchObject([
      { heuristic: 'wx_mem', points: 2, reason: expect.stringContaining('12 KiB') as string },
    ])
  })

  test('knows who is traced, and by whom', async () => {
    const tracer = await python(
      [
        'import ctypes, os, time',
        'child = os.fork()',
        'child or time.sleep(1000)',
        'ctypes.CDLL(None).ptrace(0x4206, child, None, None)', // PTRACE_SEIZE
        'print(child, flush=True); time.sleep(1000)',
      ].join('\n'),
    )
    const { processes } = await new ProcessScanner(Config.parse({})).look()
    const child = processes.find(({ ppid }) => ppid === tracer.pid)
    onTestFinished(() => void process.kill(child?.pid ?? 0, 'SIGKILL'))
    expect(child?.marks).toMatchObject([
      { heuristic: 'ptraced', points: 3, reason: expect.stringContaining(`pid ${tracer.pid}`) as string },
    ])
  })

  test('knows who listens on a watched port, and what else it listens on', async () => {
    const code =
      'import socket; a = socket.create_server(("127.0.0.1", 0)); print(a.getsockname()[1], flush=True)'
    const { pid } = await python(`${code}; import time; time.sleep(1000)`)
    const { listens } = await scanned(pid)
    expect(listens).toEqual([expect.stringMatching(/^tcp 127\.0\.0\.1:\d+$/)])
    const port = Number(listens[0]?.split(':')[1])
    expect(named(await scanned(pid, { ports: { watched: [port] } }))).toEqual(['watched_port'])
    expect(named(await scanned(pid, { ports: { watched: [port - 1] } }))).toEqual([])
  })

  test.each([
    ['[kworker/0:1-events]', ['disguised']],
    ['[kthreadd]', ['disguised']],
    ['[celeryd: worker@host]', []],
    ['nginx: master process', []],
  ])('knows who calls itself %s', async (name, marks) => {
    const { pid } = await running('/usr/bin/python3', ['-c', FOREVER], { argv0: name })
    expect(named(await scanned(pid))).toEqual(marks)
  })

  test.each([
    ['/usr/bin/env -k start', ['disguised']],
    ['/usr/bin/python3 -k start', []],
    ['/nonexistent/apache2 -k start', []],
    // A script, as many start a program under their name.
    ['/usr/bin/ldd', []],
    ['/usr/bin', []],
  ])('knows who calls itself by the path of another program: %s', async (name, marks) => {
    const { pid } = await running('/usr/bin/python3', ['-c', FOREVER], { argv0: name })
    expect(named(await scanned(pid))).toEqual(marks)
  })

  test('knows who has called itself like a thread of the kernel later, and has wiped its command line', async () => {
    // PR_SET_NAME is 15; the command line is what stands between arg_start and arg_end.
    const code = [
      'import ctypes, re',
      'ctypes.CDLL(None).prctl(15, b"kworker/1:0", 0, 0, 0)',
      'f = open("/proc/self/stat").read().rsplit(")", 1)[1].split()',
      'start, end = int(f[45]), int(f[46])',
      'ctypes.memset(start, 0, end - start)',
      FOREVER,
    ].join('\n')
    const { pid } = await python(code)
    const found = await scanned(pid)
    expect(found.comm).toBe('kworker/1:0')
    expect(named(found).sort()).toEqual(['disguised', 'empty_cmdline'])
  })

  test('looks again at who has no command line: in the midst of an exec nobody has one', async () => {
    const code = [
      'import os, signal',
      'signal.signal(signal.SIGUSR1, lambda *_: os.execv("/bin/sleep", ["/bin/sleep", "1000"]))',
      'f = open("/proc/self/stat").read().rsplit(")", 1)[1].split()',
      'start, end = int(f[45]), int(f[46])',
      'import ctypes',
      'ctypes.memset(start, 0, end - start)',
      FOREVER,
    ].join('\n')
    const { pid } = await python(code)
    expect(named(await scanned(pid))).toContain('empty_cmdline')
    const settle = async (): Promise<void> => {
      process.kill(pid, 'SIGUSR1')
      await vi.waitUntil(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8') === '/bin/sleep\x001000\x00')
    }
    const { processes } = await new ProcessScanner(Config.parse({}), settle).look()
    expect(processes.find((each) => each.pid === pid)).toMatchObject({
      argv: ['/bin/sleep', '1000'],
      marks: [],
    })
  })

  test('is not confused by the name of a process', async () => {
    const code = `import ctypes; ctypes.CDLL(None).prctl(15, b"a) R 1 (\\n\\x1b[2J", 0, 0, 0); ${FOREVER}`
    const { pid } = await python(code)
    expect(await scanned(pid)).toMatchObject({ comm: 'a) R 1 (\n\u001b[2J', ppid: process.pid })
  })

  test('sees nothing in what has ended and was not asked for', async () => {
    const parent = await python(
      'import os, time\npid = os.fork()\nif pid == 0: os._exit(0)\ntime.sleep(0.1)\nprint("ready", flush=True)\ntime.sleep(1000)',
    )
    const { processes } = await new ProcessScanner(Config.parse({})).look()
    const zombie = processes.find(({ ppid }) => ppid === parent.pid)
    expect(zombie).toMatchObject({ exe: '?', argv: [], marks: [], rssBytes: 0 })
  })

  test('sees a program whose first thread has ended', async () => {
    const code = [
      'import ctypes, threading, time',
      'def work():',
      '  time.sleep(0.2)',
      '  print("ready", flush=True)',
      '  time.sleep(1000)',
      'threading.Thread(target=work).start()',
      'ctypes.CDLL(None).pthread_exit(None)',
    ].join('\n')
    const copy = copyOfPython(temporaryFolder(), 'worker')
    const { pid } = await running(copy, ['-c', code])
    const found = await scanned(pid)
    expect(found.exe).toBe(copy)
    expect(named(found)).toEqual(['tmp_exe'])
  })

  test('has one look at a command line of any length', async () => {
    const { pid } = await running('/usr/bin/python3', ['-c', FOREVER, 'x'.repeat(100_000)])
    const { argv } = await scanned(pid)
    expect(argv.join(' ').length).toBeLessThanOrEqual(4096)
    expect(argv.slice(0, 3)).toEqual(['/usr/bin/python3', '-c', FOREVER])
  })

  test('knows who works much, between two looks', async () => {
    const { pid } = await python('print("ready", flush=True)\nwhile True: pass')
    const scanner = new ProcessScanner(Config.parse({ scan: { cpu_high: 5 } }))
    await scanner.look()
    await new Promise((resolve) => setTimeout(resolve, 700))
    const { processes } = await scanner.look()
    const found = processes.find((each) => each.pid === pid)
    expect(found?.marks.map(({ heuristic }) => heuristic)).toEqual(['high_cpu'])
  })

  test('judges by weights, of which 0 is none', async () => {
    const { pid } = await running(copyOfPython(temporaryFolder(), 'worker'), ['-c', FOREVER])
    expect(await scanned(pid, { scan: { weights: { tmp_exe: 0 } } })).toMatchObject({ marks: [], score: 0 })
    expect(await scanned(pid, { scan: { weights: { tmp_exe: 2.9 } } })).toMatchObject({
      score: 2.9,
      isSuspicious: false,
    })
  })

  test('believes the digest of an executable, whatever it is called', async () => {
    const { pid } = await running(copyOfPython(temporaryFolder(), 'worker'), ['-c', FOREVER])
    const sha256 = createHash('sha256').update(readFileSync('/usr/bin/python3')).digest('hex')
    expect(await scanned(pid, { allowlist: { sha256: [sha256.toUpperCase()] } })).toMatchObject({
      ...{ sha256, score: 1, isSuspicious: false, allowlistedBy: `sha256: ${sha256}` },
    })
    const other = sha256.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
    expect(await scanned(pid, { allowlist: { sha256: [other] } })).toMatchObject({
      ...{ sha256, score: 4, isSuspicious: true, allowlistedBy: null },
    })
  })

  test.skipIf(cannotHide !== undefined)('says that /proc hides the processes of others', () => {
    const words = [process.execPath, 'agent/main.ts', 'scan', '--json', '--db', '/nonexistent/none.db']
    const script = `mount -t proc -o hidepid=2 proc /proc && exec ${[...AS_NOBODY, ...words].join(' ')}`
    const { stdout } = spawnSync('unshare', ['--mount', 'sh', '-c', script], {
      ...{ cwd: ROOT, encoding: 'utf8', env: { ...process.env, HOME: '/nonexistent' } },
    })
    const { unread, processes } = JSON.parse(stdout) as ProcessScan
    expect(unread.isHidden).toBe(true)
    expect(processes.filter(({ uid }) => uid === 0)).toEqual([])
  })

  test.skipIf(!isRoot)('says what it was not allowed to see', async () => {
    const { pid } = await python(FOREVER)
    const code = `
      const { ProcessScanner } = await import(process.argv[1] + '/agent/scan/scanner.ts')
      const { Config } = await import(process.argv[1] + '/agent/config/config.ts')
      process.setgroups([]); process.setgid(65534); process.setuid(65534)
      const { unread, processes } = await new ProcessScanner(Config.parse({})).look()
      console.log(JSON.stringify({ unread, found: processes.find(({ pid }) => pid === ${pid}) }))`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code, ROOT], {
      encoding: 'utf8',
    })
    const { unread, found } = JSON.parse(stdout) as { unread: UnreadCounts; found: ScannedProcess }
    expect(found).toMatchObject({ exe: '?', argv: ['/usr/bin/python3', '-c', FOREVER], marks: [] })
    expect(Math.min(unread.exe, unread.memory, unread.sockets)).toBeGreaterThan(0)
  })
})
if (noPython !== undefined) process.stderr.write(`scanner.test.ts: all left out: ${noPython}\n`)
if (!isRoot) process.stderr.write('scanner.test.ts: 1 left out: only root can be somebody else\n')
if (cannotHide !== undefined) process.stderr.write(`scanner.test.ts: 1 left out: ${cannotHide}\n`)
