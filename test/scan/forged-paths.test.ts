import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Config } from '../../agent/config/config.ts'
import type { ScannedProcess } from '../../agent/domain/scan.ts'
import { processMatcher } from '../../agent/scan/expected.ts'
import { ProcessScanner } from '../../agent/scan/scanner.ts'
import { AS_NOBODY, FOREVER, noPython, noStranger, running } from '../support/running.ts'

/** A program that every system has, and that is not what runs. */
const INNOCENT = '/usr/bin/env'
const APART = [...AS_NOBODY, 'unshare', '--user', '--map-root-user', '--mount']
const cannot = noPython ?? noStranger() ?? noUserMounts()

function noUserMounts(): string | undefined {
  const [program, ...words] = [...APART, 'mount', '--bind', '/usr/bin/true', INNOCENT]
  return spawnSync(program, words).status === 0 ? undefined : 'users may not make name spaces here'
}

async function scanned(pid: number, words: object = {}): Promise<ScannedProcess> {
  const { processes } = await new ProcessScanner(Config.parse(words)).look()
  const found = processes.find((each) => each.pid === pid)
  if (found === undefined) throw new Error(`the scan has not found ${pid}`)
  return found
}

/** Where others may look, too. */
function openFolder(): string {
  const folder = realpathSync(mkdtempSync('/var/tmp/fullmon-forged-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  chmodSync(folder, 0o755)
  return folder
}

function copyOfPython(): string {
  const copy = join(openFolder(), 'evil')
  copyFileSync(realpathSync('/usr/bin/python3'), copy)
  chmodSync(copy, 0o755)
  return copy
}

/** A process of nobody in a name space of his own, in which this was done before. */
function apart(before: string, words: readonly string[]): ReturnType<typeof running> {
  const [program = '', ...rest] = [...APART, 'sh', '-c', `${before} && exec "$@"`, 'sh', ...words]
  return running(program, rest)
}

const named = ({ marks }: ScannedProcess): string[] => marks.map(({ heuristic }) => heuristic)

describe.skipIf(cannot !== undefined)('a program that its user has mounted over another', () => {
  test('is not that one, and no name or path excuses it', async () => {
    const evil = copyOfPython()
    const { pid } = await apart(`mount --bind ${evil} ${INNOCENT}`, [INNOCENT, '-c', FOREVER])
    const allowlist = { names: ['env'], paths: [INNOCENT], patterns: ['/usr/**'] }
    const found = await scanned(pid, { allowlist })
    expect(named(found)).toEqual(['disguised'])
    expect(found).toMatchObject({ exe: INNOCENT, forged: INNOCENT, score: 4, isSuspicious: true })
    expect(found.allowlistedBy).toBeNull()
    expect(processMatcher('env')(found)).toBe(false)
    expect(processMatcher(INNOCENT)(found)).toBe(false)
    expect(processMatcher(INNOCENT)({ ...found, forged: null })).toBe(true)
    const sha256 = createHash('sha256').update(readFileSync(evil)).digest('hex')
    expect(await scanned(pid, { allowlist: { sha256: [sha256] } })).toMatchObject({ score: 1, sha256 })
  })

  test('is found when somebody else executes it there', async () => {
    const evil = copyOfPython()
    const { pid } = await apart(`mount --bind ${evil} ${INNOCENT}`, [INNOCENT, '-c', FOREVER])
    const [program, ...words] = [...AS_NOBODY, `/proc/${pid}/root${INNOCENT}`, '-c', FOREVER]
    const other = await running(program, words)
    expect(await scanned(other.pid)).toMatchObject({ exe: INNOCENT, forged: INNOCENT, isSuspicious: true })
  })

  test('is found when it lies where nobody else sees anything', async () => {
    const evil = copyOfPython()
    const place = `mount -t tmpfs none /mnt && cp ${evil} /mnt/env`
    const { pid } = await apart(place, ['/mnt/env', '-S', '-c', FOREVER])
    expect(await scanned(pid)).toMatchObject({ exe: '/mnt/env', forged: '/mnt/env', isSuspicious: true })
  })

  test('is found when it is a script', async () => {
    const folder = openFolder()
    writeFileSync(join(folder, 'good.py'), '')
    writeFileSync(join(folder, 'evil.py'), FOREVER)
    const script = join(folder, 'good.py')
    const { pid } = await apart(`mount --bind ${join(folder, 'evil.py')} ${script}`, [
      '/usr/bin/python3',
      script,
    ])
    const found = await scanned(pid, { allowlist: { paths: [script] } })
    expect(found).toMatchObject({ script, forged: script, allowlistedBy: null, isSuspicious: true })
  })
})

test.skipIf(cannot !== undefined)(
  'a name space of its own is no sign while paths in it are true',
  async () => {
    const before = 'mount -t tmpfs none /mnt'
    const { pid } = await apart(before, ['/usr/bin/python3', '-c', FOREVER])
    const allowlist = { paths: [realpathSync('/usr/bin/python3')] }
    expect(await scanned(pid, { allowlist })).toMatchObject({
      ...{ marks: [], forged: null, allowlistedBy: `paths: ${allowlist.paths[0]}` },
    })
  },
)
test.skipIf(cannot !== undefined)(
  'a service with mounts of its own that locks itself into a folder hides nothing',
  async () => {
    const mounts = 'mount --bind /usr /usr && mount -o remount,ro,bind /usr'
    const locked = `import os; os.chroot('${openFolder()}'); os.chdir('/'); os.setgid(65534); os.setuid(65534); ${FOREVER}`
    const { pid } = await running('unshare', [
      ...['--mount', 'sh', '-c', `${mounts} && exec /usr/bin/python3 -c "$1"`, 'sh', locked],
    ])
    expect(await scanned(pid)).toMatchObject({ uid: 65534, marks: [], forged: null })
  },
)
if (cannot !== undefined) process.stderr.write(`forged-paths.test.ts: all left out: ${cannot}\n`)
