/** The account that the service runs as, and root at work on what belongs to it. */
import { readFileSync, type Stats, statSync } from 'node:fs'

const NAME = 'fullmon'
const PASSWD = '/etc/passwd'
const ROOT = 0

/** Its uid; undefined where there is no such account. */
export function serviceUid(): number | undefined {
  try {
    const line = readFileSync(PASSWD, 'latin1')
      .split('\n')
      .find((each) => each.startsWith(`${NAME}:`))
    const uid = line?.split(':')[2] ?? ''
    return /^\d+$/.test(uid) ? Number(uid) : undefined
  } catch {
    return undefined
  }
}

/**
 * Does `work` as the account of the service, when root does it in a folder of that: what is made there can be written by the
 * service, and no link that lies there leads root anywhere. Nothing else of the process may be under way meanwhile.
 */
export function asItsOwner<T>(folder: string, work: () => T): T {
  const found = process.geteuid?.() === ROOT ? ownerOf(folder) : undefined
  if (found === undefined || found.uid === ROOT || found.uid !== serviceUid()) return work()
  const gid = process.getegid?.() ?? ROOT
  process.setegid?.(found.gid)
  process.seteuid?.(found.uid)
  try {
    return work()
  } finally {
    process.seteuid?.(ROOT)
    process.setegid?.(gid)
  }
}

function ownerOf(folder: string): Stats | undefined {
  try {
    return statSync(folder, { throwIfNoEntry: false })
  } catch {
    // What is wrong with it is told by whoever works there.
    return undefined
  }
}
