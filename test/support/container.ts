import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import type { FoundProcess } from '../../agent/domain/activity.ts'
import { snapshot } from '../../agent/support/procfs.ts'
import { folderForTest } from './folder.ts'

/** A shell whose root is an overlay, in name spaces of its own, as every runtime makes it. */
export interface TestContainer {
  /** Its writable layer. */
  readonly upper: string
  /** Runs a line of the shell in it, and waits for its end. */
  readonly run: (script: string) => Promise<void>
  readonly stop: () => Promise<void>
  /** The processes of this host, as /proc shows them, but those in here are of this container and this old. */
  readonly processes: (container: string, ageMs: number) => FoundProcess[]
}

const OF_HOST = ['bin', 'sbin', 'lib', 'lib64', 'usr'].filter((name) => readdirSync('/').includes(name))

/** @param upper a folder to be made, whose parent is free for whatever else an overlay needs */
export async function containerForTest(upper: string): Promise<TestContainer> {
  const image = join(folderForTest(), 'image')
  for (const name of ['proc', 'dev', 'etc', 'tmp', 'srv', ...OF_HOST])
    mkdirSync(join(image, name), { recursive: true })
  writeFileSync(join(image, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n')
  // What runs in the background reads it.
  writeFileSync(join(image, 'dev/null'), '')
  const beside = dirname(upper)
  for (const folder of [upper, join(beside, 'work'), join(beside, 'merged')])
    mkdirSync(folder, { recursive: true })
  // As mount(2) wants it: a comma ends an option, a colon a layer.
  const [up, work] = [upper, join(beside, 'work')].map((path) => path.replace(/[\\,:]/g, '\\$&'))
  const options = `lowerdir=${image},upperdir=${up ?? ''},workdir=${work ?? ''}`
  const script = `mount -t overlay overlay -o "$1" "$2" && cd "$2" || exit
for folder in ${OF_HOST.join(' ')}; do mount --bind /$folder $folder; done
mount -t proc proc proc
exec chroot . /bin/sh -c 'echo ready; while read -r line; do eval "$line"; echo done; done'`
  const words = ['--mount', '--pid', '--fork', '--kill-child', '/bin/sh', '-c', script, 'sh', options]
  const child = spawn('unshare', [...words, join(beside, 'merged')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(stop)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  if ((await lines.next()).done === true) throw new Error('the container did not start')
  const run = async (text: string): Promise<void> => {
    child.stdin.write(`${text.replaceAll('\n', ';')}\n`)
    await lines.next()
  }
  const processes = (container: string, ageMs: number): FoundProcess[] => {
    const space = spaceOf(child.pid ?? 0)
    const startMs = Date.now() - ageMs
    return snapshot().map((each) => (spaceOf(each.pid) === space ? { ...each, container, startMs } : each))
  }
  return { upper, run, stop, processes }
}

function spaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`)
  } catch {
    return ''
  }
}
