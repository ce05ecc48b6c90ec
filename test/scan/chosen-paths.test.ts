import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ChosenPaths } from '../../agent/scan/chosen-paths.ts'
import { claimedProgram } from '../../agent/scan/claims.ts'
import { folderForTest } from '../support/folder.ts'
import { FOREVER, noMounts, noPython, python, running } from '../support/running.ts'

const SELF = '/proc/self'
const isRoot = process.getuid?.() === 0
const cannotMount = noMounts()

/** A write lease keeps whoever opens the file waiting, for 45 seconds as a rule, until its owner lets go. */
const LEASE = [
  'import fcntl, os, signal, sys, time',
  'signal.signal(signal.SIGIO, signal.SIG_IGN)',
  'fd = os.open(sys.argv[1], os.O_RDWR)',
  'fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)',
  'print("ready", flush=True); time.sleep(1000)',
].join('\n')

function identityOf(path: string): object {
  const { dev, ino } = statSync(path)
  return { dev, ino, isFile: true }
}

describe('a path that somebody else chose', () => {
  test('leads to a file, links followed', () => {
    const folder = folderForTest()
    copyFileSync('/bin/true', join(folder, 'program'))
    writeFileSync(join(folder, 'script'), '#!/bin/sh\n')
    symlinkSync('program', join(folder, 'beside'))
    symlinkSync(join(folder, 'beside'), join(folder, 'absolute'))
    symlinkSync('circle', join(folder, 'circle'))
    const paths = new ChosenPaths()
    for (const name of ['program', 'beside', 'absolute', `../${folder.split('/').at(-1)}/program`]) {
      expect(paths.fileAt(SELF, join(folder, '.', name))).toEqual(identityOf(join(folder, 'program')))
      expect(paths.isElfAt(SELF, `${folder}/${name}`)).toBe(true)
    }
    expect(paths.isElfAt(SELF, join(folder, 'script'))).toBe(false)
    expect(paths.fileAt(SELF, join(folder, 'circle'))).toBeUndefined()
    expect(paths.fileAt(SELF, join(folder, 'nothing'))).toBeUndefined()
    expect(paths.programOf(SELF, process.execPath)).toEqual(identityOf(process.execPath))
  })

  test('is not waited for when it leads to a FIFO that nobody writes to', () => {
    const fifo = join(folderForTest(), 'fifo')
    spawnSync('mkfifo', [fifo])
    expect(new ChosenPaths().isElfAt(SELF, fifo)).toBe(false)
    expect(new ChosenPaths().fileAt(SELF, fifo)).toMatchObject({ isFile: false })
  })

  test.skipIf(noPython !== undefined)('is not waited for when somebody has a lease on the file', async () => {
    const file = join(folderForTest(), 'claimed')
    copyFileSync('/bin/true', file)
    const { pid } = await running('/usr/bin/python3', ['-c', LEASE, file])
    expect(new ChosenPaths().isElfAt(SELF, file)).toBe(false)
    expect(new ChosenPaths().fileAt(SELF, file)).toEqual(identityOf(file))
    const argv = [`${file} x`, '60']
    expect(claimedProgram(`/proc/${pid}`, '/usr/bin/python3.11', argv, new ChosenPaths())).toBeUndefined()
  })

  test.skipIf(!isRoot || noPython !== undefined)('never leaves the root of the process', async () => {
    const root = folderForTest()
    mkdirSync(join(root, 'etc'))
    writeFileSync(join(root, 'etc/passwd'), 'of its own')
    symlinkSync('/etc/passwd', join(root, 'absolute'))
    symlinkSync('../../../../etc/passwd', join(root, 'upwards'))
    const { pid } = await python(`import os; os.chroot(${JSON.stringify(root)}); ${FOREVER}`)
    for (const path of ['/etc/passwd', '/absolute', '/upwards', '/../../../etc/passwd'])
      expect(new ChosenPaths().fileAt(`/proc/${pid}`, path)).toEqual(identityOf(join(root, 'etc/passwd')))
  })

  test.skipIf(cannotMount !== undefined || noPython !== undefined)(
    'is not looked at in what asks others with the rights of who mounted it',
    async () => {
      const folder = folderForTest()
      for (const name of ['lower', 'upper', 'work', 'merged', 'plain']) mkdirSync(join(folder, name))
      copyFileSync('/bin/true', join(folder, 'lower/program'))
      const overlay = `mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged`
      const script = `${overlay} && mount -t tmpfs none plain && cp lower/program plain && exec /usr/bin/python3 -c '${FOREVER}'`
      const { pid } = await running('unshare', ['-Urm', 'sh', '-c', script], { cwd: folder })
      const paths = new ChosenPaths()
      expect(paths.isElfAt(`/proc/${pid}`, join(folder, 'plain/program'))).toBe(true)
      expect(paths.fileAt(`/proc/${pid}`, join(folder, 'merged/program'))).toBeUndefined()
      // Seen from elsewhere nothing is mounted there.
      expect(paths.fileAt(SELF, join(folder, 'plain/program'))).toBeUndefined()
    },
  )
})
if (noPython !== undefined) process.stderr.write(`chosen-paths.test.ts: 3 left out: ${noPython}\n`)
if (!isRoot) process.stderr.write('chosen-paths.test.ts: 1 left out: only root changes its root\n')
if (cannotMount !== undefined) process.stderr.write(`chosen-paths.test.ts: 1 left out: ${cannotMount}\n`)
