import { hash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Where dpkg says which files a package has: one `NAME.list` for each, dpkg(1). */
const DPKG_INFO = '/var/lib/dpkg/info'
const OWN_LIST = `${DPKG_INFO}/fullmon.list`
/** Where apk says it for all together: apk(5), lines `F:` for directories and `R:` for files. */
const APK_INSTALLED = '/lib/apk/db/installed'
/** What was read is believed for so long, and then as long as nothing has changed. */
const GOOD_FOR_MS = 10_000

/**
 * Files that packages own on this host, as the databases of dpkg and apk say. rpm keeps its own in SQLite or Berkeley DB,
 * which only rpm reads: there nothing is known but what the log shows.
 *
 * Nothing is read before somebody asks, and again only what has changed.
 */
export class PackageFiles {
  private readonly packages = new Map<string, OwnedBy>()
  private files = new Map<number, number>()
  private lookedMs = Number.NEGATIVE_INFINITY
  private stamp = ''
  private readonly dpkgInfo: string
  private readonly apkInstalled: string

  constructor(dpkgInfo = DPKG_INFO, apkInstalled = APK_INSTALLED) {
    this.dpkgInfo = dpkgInfo
    this.apkInstalled = apkInstalled
  }

  /** When the package changed last that owns a file, Unix time in milliseconds; undefined when none owns it. */
  changedMs(path: string): number | undefined {
    if (performance.now() - this.lookedMs > GOOD_FOR_MS) this.refresh()
    return this.files.get(hashOf(path)) ?? this.files.get(hashOf(withoutUsr(path)))
  }

  private refresh(): void {
    this.lookedMs = performance.now()
    const stamp = `${changedMs(this.dpkgInfo) ?? ''} ${changedMs(this.apkInstalled) ?? ''}`
    if (stamp === this.stamp) return
    this.stamp = stamp
    const lists = [...dpkgLists(this.dpkgInfo), this.apkInstalled]
    for (const path of this.packages.keys()) if (!lists.includes(path)) this.packages.delete(path)
    for (const path of lists) this.readList(path)
    this.files = new Map()
    // A file may have been taken over by another package: the newest counts.
    for (const { timeMs, files } of [...this.packages.values()].sort(
      (one, other) => one.timeMs - other.timeMs,
    ))
      for (const file of files) this.files.set(file, timeMs)
  }

  private readList(path: string): void {
    const timeMs = changedMs(path)
    if (timeMs === undefined) this.packages.delete(path)
    if (timeMs === undefined || this.packages.get(path)?.timeMs === timeMs) return
    try {
      const text = readFileSync(path, 'utf8')
      const files = path === this.apkInstalled ? parseApkInstalled(text) : text.split('\n')
      this.packages.set(path, { timeMs, files: Float64Array.from(files, hashOf) })
    } catch {
      // It was removed in between: dpkg tells of that in the directory, which is looked at again.
    }
  }
}

/** Whether dpkg says that a file is of our own package. */
export function isOfOwnPackage(path: string): boolean {
  try {
    return readFileSync(OWN_LIST, 'utf8').split('\n').includes(path)
  } catch {
    return false
  }
}

/** Hashes of the paths of a package: a host has some hundred thousand. */
interface OwnedBy {
  readonly timeMs: number
  readonly files: Float64Array
}

/** Paths from the text of `/lib/apk/db/installed`. */
export function parseApkInstalled(text: string): string[] {
  const paths: string[] = []
  let directory = ''
  for (const line of text.split('\n')) {
    if (line.startsWith('F:')) directory = line.slice(2)
    else if (line.startsWith('R:')) paths.push(`/${directory === '' ? '' : `${directory}/`}${line.slice(2)}`)
  }
  return paths
}

/** Packages of before /usr was merged name their files without it, and the kernel with it. */
const withoutUsr = (path: string): string => path.replace(/^\/usr(?=\/(?:s?bin|lib\w*)\/)/, '')

function dpkgLists(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.list'))
      .map((name) => join(directory, name))
  } catch {
    return []
  }
}

const changedMs = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.mtimeMs

/** 52 bits of SHA-256: whoever chooses the name of a file cannot choose one that has the hash of another. */
const hashOf = (path: string): number => Number.parseInt(hash('sha256', path).slice(0, 13), 16)
