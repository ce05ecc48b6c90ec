import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { folderForTest } from './folder.ts'

/** A file system of the test's own, which is gone after it. */
export interface Mounted {
  readonly folder: string
  /** Changes the options of the mount, such as `size=1m`. */
  readonly remount: (options: string) => void
}

/** Why this host lets a test mount nothing; undefined when it does. */
export function mountUnavailable(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may mount'
  const words = ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]
  const { status, stderr } = spawnSync('unshare', words, { encoding: 'utf8' })
  return status === 0 ? undefined : ((stderr as string | null)?.trim() ?? 'there is no unshare')
}

/** One in memory, of so many KiB. */
export function tmpfsForTest(sizeKiB: number): Mounted {
  const folder = folderForTest()
  mount('-t', 'tmpfs', '-o', `mode=700,size=${sizeKiB}k`, 'tmpfs', folder)
  return mounted(folder)
}

/** One on a disk that can fail: undefined where there are no loop devices, or no ext4. */
export function diskForTest(): (Mounted & { readonly fail: () => void }) | undefined {
  const outside = folderForTest()
  const [image, folder] = [join(outside, 'image'), join(outside, 'disk')]
  writeFileSync(image, Buffer.alloc(8_388_608))
  mkdirSync(folder, { mode: 0o700 })
  if (spawnSync('mkfs.ext4', ['-q', '-F', image]).status !== 0) return undefined
  if (spawnSync('mount', ['-o', 'loop,errors=remount-ro', image, folder]).status !== 0) return undefined
  const device = execFileSync('findmnt', ['--noheadings', '--output', 'SOURCE', folder], { encoding: 'utf8' })
  const trigger = `/sys/fs/ext4/${basename(device.trim())}/trigger_fs_error`
  return { ...mounted(folder), fail: () => writeFileSync(trigger, '1') }
}

function mounted(folder: string): Mounted {
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', folder])
  })
  return { folder, remount: (options) => mount('-o', `remount,${options}`, folder) }
}

const mount = (...words: readonly string[]): void => {
  execFileSync('mount', words, { stdio: ['ignore', 'ignore', 'inherit'] })
}
