/** The package for arm64 runs: its runtime, its native module and Debian's own libraries, on an emulated processor. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { FULLMON } from '../support/agent.ts'
import { findMirror, must } from '../support/debian.ts'
import { builtPackage, isThere, noPackages } from '../support/package.ts'

const FIXTURE = join(import.meta.dirname, '../fixtures/packages/audit.log.gz')
const EMULATOR = 'qemu-aarch64-static'
const MINUTES_MS = 600_000
/** What debian/control names, and no more. */
const LIBRARIES = ['libc6', 'libgcc-s1', 'libstdc++6']

const mirror = findMirror()
const root = mkdtempSync(join(tmpdir(), 'fullmon-arm64-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

async function bytesOf(path: string): Promise<Buffer> {
  const answer = await fetch(`${mirror}/${path}`)
  if (!answer.ok) throw new Error(`${mirror}/${path}: ${answer.status}`)
  return Buffer.from(await answer.arrayBuffer())
}

/** The libraries of Debian 12 for arm64, unpacked in `host`. */
async function unpackLibraries(host: string): Promise<void> {
  const packed = await bytesOf('dists/bookworm/main/binary-arm64/Packages.xz')
  const list = spawnSync('xz', ['--decompress', '--stdout'], { input: packed, maxBuffer: 1 << 28 }).stdout
  for (const paragraph of list.toString().split('\n\n')) {
    const name = /^Package: (.*)$/m.exec(paragraph)?.[1] ?? ''
    const path = /^Filename: (.*)$/m.exec(paragraph)?.[1] ?? ''
    if (!LIBRARIES.includes(name)) continue
    const archive = join(root, basename(path))
    writeFileSync(archive, await bytesOf(path))
    must('dpkg-deb', '--extract', archive, host)
  }
}

async function findObstacle(): Promise<string | undefined> {
  const missing = [EMULATOR, 'aarch64-linux-gnu-strip', 'npm', 'xz'].find((program) => !isThere(program))
  if (missing !== undefined) return `needs ${missing}`
  const answer = await fetch(`${mirror}/dists/bookworm/Release`, { method: 'HEAD' }).catch(() => undefined)
  return answer?.ok === true ? noPackages() : `needs the Debian mirror ${mirror}`
}

const obstacle = await findObstacle()
if (obstacle !== undefined) process.stderr.write(`arm64.test.ts: left out: ${obstacle}\n`)

test.skipIf(obstacle !== undefined)(
  'says on arm64 of a recording what a checkout says of it here',
  async () => {
    const host = join(root, 'host')
    mkdirSync(host)
    await unpackLibraries(host)
    must('dpkg-deb', '--extract', builtPackage({ arch: 'arm64' }), host)
    const lib = join(host, 'usr/lib/fullmon')
    const config = join(root, 'empty.yaml')
    writeFileSync(config, '')
    // The shipped rules are links to /etc, which is that of this machine.
    const words = ['replay', FIXTURE, '--train', '20', '--no-rules', '--json', '--config', config]
    const program = join(lib, 'dist/agent/main.js')
    const emulated = [EMULATOR, '-L', host, join(lib, 'bin/node'), program] as const
    const { stdout } = must(...emulated, ...words, '--db', join(root, 'arm64.db'))
    expect(stdout.split('\n').length).toBeGreaterThan(10)
    expect(stdout).toBe(must(FULLMON, ...words, '--db', join(root, 'checkout.db')).stdout)
  },
  MINUTES_MS,
)
