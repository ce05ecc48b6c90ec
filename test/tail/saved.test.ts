import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { UsageError } from '../../agent/domain/result.ts'
import { findCommand, outputOf } from '../../agent/support/command.ts'
import { savedLogsOf } from '../../agent/tail/rotation.ts'
import { readSaved, sizeOf } from '../../agent/tail/saved.ts'
import { folderForTest, openIn } from '../support/folder.ts'

const MIB = 1024 * 1024

/** Compressed by the program itself, so that what is read was not written by the code that reads it. */
const pack = {
  '': (content: Buffer) => content,
  '.gz': (content: Buffer) => execFileSync('gzip', ['-c'], { input: content, maxBuffer: 64 * MIB }),
  '.xz': (content: Buffer) => execFileSync('xz', ['-0c'], { input: content, maxBuffer: 64 * MIB }),
}
type Suffix = keyof typeof pack
const suffixes = (Object.keys(pack) as Suffix[]).filter((suffix) => suffix !== '.xz' || findCommand('xz'))
if (!suffixes.includes('.xz')) process.stderr.write('xz is not installed: not tested\n')

async function contentOf(paths: readonly string[], onBytes?: (count: number) => void): Promise<string> {
  const copies: Buffer[] = []
  for await (const { bytes } of readSaved(paths, undefined, onBytes)) copies.push(Buffer.from(bytes))
  return Buffer.concat(copies).toString('latin1')
}

/** Some MiB in which no two lines are alike, cut at a byte that ends no line. */
const big = Buffer.from(Array.from({ length: 300_000 }, (_, line) => `line ${line}\n`).join('') + 'cut')

test('law: logs one after the other, however they are packed, with nothing in between', async () => {
  const logs = fc.array(
    fc.record({ content: fc.uint8Array({ maxLength: 40 }), suffix: fc.constantFrom(...suffixes) }),
    {
      maxLength: 5,
    },
  )
  await fc.assert(
    fc.asyncProperty(logs, async (logs) => {
      const folder = folderForTest()
      const paths = logs.map(({ content, suffix }, index) => {
        const path = join(folder, `log.${index}${suffix}`)
        writeFileSync(path, pack[suffix](Buffer.from(content)))
        return path
      })
      const all = Buffer.concat(logs.map(({ content }) => content))
      let progress = 0
      expect(await contentOf(paths, (count) => (progress += count))).toBe(all.toString('latin1'))
      expect(progress).toBe(sizeOf(paths))
      await expect.poll(() => openIn(folder)).toEqual([])
    }),
    { numRuns: 50 },
  )
})

test.each(suffixes)(
  'a big log (%s) comes whole, and the progress adds up to its size on disk',
  async (suffix) => {
    const path = join(folderForTest(), `audit.log${suffix}`)
    writeFileSync(path, pack[suffix](big))
    const copies: Buffer[] = []
    const progress: number[] = []
    for await (const { bytes } of readSaved([path], undefined, (count) => progress.push(count))) {
      // The chunk is still what it was after everything else had its turn.
      await sleep(1)
      copies.push(Buffer.from(bytes))
    }
    expect(Buffer.concat(copies).equals(big)).toBe(true)
    expect(Math.max(...copies.map(({ length }) => length))).toBeLessThanOrEqual(MIB)
    expect(Math.min(...progress)).toBeGreaterThanOrEqual(0)
    expect(progress.reduce((sum, count) => sum + count, 0)).toBe(statSync(path).size)
    expect(sizeOf([path, '-', path])).toBe(2 * statSync(path).size)
  },
)

test('the chunks of a plain log know where they are; the others cannot be found again', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, big)
  writeFileSync(`${path}.gz`, gzipSync('one\n'))
  const fingerprint = createHash('sha256').update('line 0').digest('hex')
  const positions = []
  for await (const { at } of readSaved([path, `${path}.gz`])) positions.push(at)
  const place = { path, inode: statSync(path).ino, fingerprint }
  const offsets = Array.from({ length: Math.ceil(big.length / MIB) }, (_, index) => index * MIB)
  expect(positions).toEqual([...offsets.map((offset) => ({ ...place, offset })), undefined])
})

test('a pipe in place of a file is read, without positions', async () => {
  const path = join(folderForTest(), 'pipe')
  execFileSync('mkfifo', [path])
  const writer = spawn('sh', ['-c', `printf 'one\\ntwo\\n' > ${path}`])
  for await (const { bytes, at } of readSaved([path])) {
    expect(bytes.toString()).toBe('one\ntwo\n')
    expect(at).toBeUndefined()
  }
  expect(writer.exitCode ?? (await once(writer, 'exit'))[0]).toBe(0)
})

test('the saved logs of a log: numbers in order, oldest first, each once, and the live one last', () => {
  const folder = folderForTest()
  const names = [
    'audit.log.10',
    'audit.log.9.xz',
    'audit.log.3',
    'audit.log.3.gz',
    'audit.log.2.gz',
    'audit.log.1',
  ]
  for (const name of ['audit.log', ...names]) writeFileSync(join(folder, name), '')
  for (const other of [
    'audit.log.0',
    'audit.log.bak',
    'audit.log.20260101',
    'xaudit.log.4',
    'audit.log.5.bz2',
    'auditXlog.6',
  ])
    writeFileSync(join(folder, other), '')
  const path = join(folder, 'audit.log')
  expect(savedLogsOf(path)).toEqual(
    ['audit.log.10', 'audit.log.9.xz', 'audit.log.3', 'audit.log.2.gz', 'audit.log.1', 'audit.log'].map(
      (name) => join(folder, name),
    ),
  )
  expect(savedLogsOf(join(folder, 'no', 'audit.log'))).toEqual([])
})

test('a broken archive, a missing log, a folder: one sentence with its name', async () => {
  const folder = folderForTest()
  const sentence = async (name: string, content?: Buffer): Promise<unknown> => {
    const path = join(folder, name)
    if (content !== undefined) writeFileSync(path, content)
    const error = await contentOf([path]).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(UsageError)
    const { message } = error as UsageError
    expect(message).not.toContain('\n')
    return message.replace(path, 'LOG')
  }
  const cut = (packed: Buffer): Buffer => packed.subarray(0, packed.length >> 1)
  expect(await sentence('junk.gz', Buffer.from('junk'))).toBe('cannot unpack LOG: incorrect header check')
  expect(await sentence('cut.gz', cut(pack['.gz'](big)))).toBe('cannot unpack LOG: unexpected end of file')
  if (suffixes.includes('.xz')) {
    expect(await sentence('junk.xz', Buffer.from('junk'))).toBe(
      'cannot unpack LOG: xz: (stdin): File format not recognized',
    )
    expect(await sentence('cut.xz', cut(pack['.xz'](big)))).toBe(
      'cannot unpack LOG: xz: (stdin): Unexpected end of input',
    )
  }
  for (const suffix of suffixes) {
    expect(await sentence(`missing${suffix}`)).toBe('cannot read LOG: no such file or directory')
  }
  mkdirSync(join(folder, 'folder'))
  expect(await sentence('folder')).toBe('cannot read LOG: illegal operation on a directory')
  expect(() => sizeOf([join(folder, 'missing')])).toThrow(
    new UsageError(`cannot read ${join(folder, 'missing')}: no such file or directory`),
  )
  await expect.poll(() => openIn(folder)).toEqual([])
})

test('a command that is not installed, fails or is left is told or stopped', async () => {
  const all = async (output: AsyncIterable<Buffer>): Promise<string> => {
    let text = ''
    for await (const bytes of output) text += bytes.toString()
    return text
  }
  expect(await all(outputOf('printf', ['%s', '$HOME `id` a b']))).toBe('$HOME `id` a b')
  await expect(all(outputOf('no-such-command', []))).rejects.toThrow('no-such-command is not installed')
  await expect(all(outputOf('false', []))).rejects.toThrow('false ended with 1')
  for await (const bytes of outputOf('yes', [])) {
    expect(bytes.toString()).toMatch(/^y/)
    break
  }
})

test.each(suffixes)('a consumer that leaves (%s), or a signal, leaves nothing open', async (suffix) => {
  const path = join(folderForTest(), `audit.log${suffix}`)
  writeFileSync(path, pack[suffix](big))
  for await (const { bytes } of readSaved([path])) {
    expect(bytes[0]).toBe('l'.charCodeAt(0))
    break
  }
  const stop = new AbortController()
  const chunks = readSaved([path, path], stop.signal)
  expect((await chunks.next()).done).toBe(false)
  stop.abort()
  expect((await chunks.next()).done).toBe(true)
  await expect.poll(() => openIn(path)).toEqual([])
})

/** A process that copies standard input to standard output through `readSaved`. */
const copier = `
  import { readSaved } from ${JSON.stringify(new URL('../../agent/tail/saved.ts', import.meta.url).href)}
  const stop = new AbortController()
  process.on('SIGTERM', () => stop.abort())
  for await (const { bytes, at } of readSaved(['-'], stop.signal)) {
    if (at !== undefined) throw new Error('a position in standard input')
    process.stdout.write(Buffer.from(bytes))
  }
  process.stdout.write('end')`

const copy = () =>
  spawn(process.execPath, ['--input-type=module', '-e', copier], { stdio: ['pipe', 'pipe', 'inherit'] })

test('standard input, as auditd gives it to a plugin: records cut anywhere, until its end', async () => {
  const process = copy()
  process.stdout.setEncoding('latin1')
  let text = ''
  process.stdout.on('data', (piece: string) => (text += piece))
  for (const piece of ['type=SYSC', 'ALL msg=a\n', '\x1d\xff', '\ntype=EOE']) {
    process.stdin.write(piece, 'latin1')
    const expected = text.length + piece.length
    await expect.poll(() => text.length).toBe(expected)
  }
  process.stdin.end()
  expect(await once(process, 'exit')).toEqual([0, null])
  expect(text).toBe('type=SYSCALL msg=a\n\x1d\xff\ntype=EOEend')
})

test('the signal ends the wait for standard input', async () => {
  const process = copy()
  process.stdin.write('one\n')
  process.stdout.setEncoding('latin1')
  expect(await once(process.stdout, 'data')).toEqual(['one\n'])
  process.kill('SIGTERM')
  expect(await once(process.stdout, 'data')).toEqual(['end'])
  expect(await once(process, 'exit')).toEqual([0, null])
})
