import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { LayerWatch } from '../../agent/scan/layer-watch.ts'
import { snapshot } from '../../agent/support/procfs.ts'
import { folderForTest } from '../support/folder.ts'

const NOBODY = 65534

/** What is in the first folder below the root that a path lies in is hidden, and its folders are made anew. */
const HIDE = `top=/$(echo "$1" | cut -d/ -f2); mount -t tmpfs tmpfs "$top"; mkdir -p "$1"`
const MOUNT = `cd "$1"; mkdir -p diff work merged image
mount -t overlay overlay -o "lowerdir=$1/image,upperdir=$1/diff,workdir=$1/work,userxattr" merged`

/** Somebody without rights in name spaces of his own. */
const USER = { uid: NOBODY, gid: NOBODY, cwd: '/' }
const words = (script: string, folder: string): string[] => ['-Urm', '/bin/sh', '-ec', script, 'sh', folder]

/** Does this, and then waits until the test has ended. @returns what went wrong */
async function asNobody(script: string, folder: string): Promise<string> {
  const waiting = `${script}\nexec >/dev/null 2>&1; exec sleep 600`
  const child = spawn('unshare', words(waiting, folder), { ...USER, stdio: ['ignore', 'ignore', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return text(child.stderr)
}

function userUnavailable(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may become another user'
  const { status, stderr } = spawnSync('unshare', words(`${HIDE}; ${MOUNT}`, '/tmp/any'), {
    ...{ ...USER, encoding: 'utf8' },
  })
  return status === 0 ? undefined : `no user may mount an overlay: ${stderr.trim()}`
}

const unavailable = userUnavailable()
if (unavailable !== undefined) process.stderr.write(`layer-users.test.ts: left out: ${unavailable}\n`)

describe.skipIf(unavailable !== undefined)('a layer that an ordinary user has mounted', () => {
  const put = (...path: readonly string[]): void => {
    copyFileSync('/bin/true', join(...path))
    chmodSync(join(...path), 0o755)
  }
  const look = async (watch: LayerWatch, folder: string): Promise<{ titles: string[]; unseen: string[] }> => {
    const { observations, unseen } = await watch.look(snapshot(), Date.now(), false)
    return {
      titles: observations.map(({ title }) => title).filter((title) => title.includes(folder)),
      unseen: unseen.filter((sentence) => sentence.includes(folder)),
    }
  }

  test('is looked at, as that of a container without root is', async () => {
    const folder = folderForTest()
    chmodSync(folder, 0o755)
    chownSync(folder, NOBODY, NOBODY)
    expect(await asNobody(MOUNT, folder)).toBe('')
    const watch = new LayerWatch([])
    expect(await look(watch, folder)).toEqual({ titles: [], unseen: [] })
    put(folder, 'diff/tool')
    expect(await look(watch, folder)).toEqual({
      titles: [`the program /tool was made or changed in the layer ${folder}/diff`],
      unseen: [],
    })
  })

  test('is no folder of the host, whatever he calls it', async () => {
    const folder = folderForTest()
    mkdirSync(join(folder, 'diff'))
    expect(await asNobody(`${HIDE}; ${MOUNT}`, folder)).toBe('')
    const watch = new LayerWatch([])
    await look(watch, folder)
    put(folder, 'diff/tool')
    expect(await look(watch, folder)).toEqual({ titles: [], unseen: [] })
  })

  test('is no folder of the host when it can be found nowhere else, and that is told', async () => {
    const folder = folderForTest()
    mkdirSync(join(folder, 'diff'))
    // It is still mounted where no container was hidden, and its name means the same to him as to the host.
    const leave = 'mount --bind merged /mnt; cd /; umount --lazy "$top"'
    expect(await asNobody(`${HIDE}; ${MOUNT}; ${leave}`, folder)).toBe('')
    const watch = new LayerWatch([])
    await look(watch, folder)
    put(folder, 'diff/tool')
    expect(await look(watch, folder)).toEqual({
      titles: [],
      unseen: [`${folder}/diff does not belong to who mounted it`],
    })
  })

  test('ends where something else is mounted, for him alone', async () => {
    const folder = folderForTest()
    const [mine, host] = [join(folder, 'mine'), join(folder, 'host')]
    for (const each of [mine, host]) mkdirSync(each)
    for (const each of [folder, host]) chmodSync(each, 0o755)
    chownSync(mine, NOBODY, NOBODY)
    // His folder is known by this name to nobody else, and so is what he mounts in it later.
    const elsewhere = `mkdir -p "$1/diff/host"; mount -t tmpfs tmpfs /mnt; mkdir /mnt/own; mount --bind "$1" /mnt/own
      set -- /mnt/own "$1/../host"`
    const mountMore = 'mount --bind "$2" /mnt/own/diff/host'
    expect(await asNobody(`${elsewhere}; ${MOUNT}; ${mountMore}`, mine)).toBe('')
    const watch = new LayerWatch([])
    await look(watch, '')
    put(host, 'planted-by-host')
    put(mine, 'diff/planted-by-him')
    const { titles } = await look(watch, 'planted-by-')
    expect(titles).toEqual([expect.stringContaining('the program /planted-by-him was made or changed')])
  })
})
