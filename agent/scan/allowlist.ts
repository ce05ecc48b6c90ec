import { baseName } from '../detect/nodes.ts'
import { anyGlob } from '../support/glob.ts'
import type { SeenProcess } from './processes.ts'
import { programPathOf } from './program-path.ts'

/** Section `allowlist` of the configuration. */
export interface AllowlistSettings {
  readonly names: readonly string[]
  readonly users: readonly (string | number)[]
  readonly patterns: readonly string[]
  readonly paths: readonly string[]
  readonly sha256: readonly string[]
}

/** Processes that somebody knows to be good. */
export class Allowlist {
  private readonly names: ReadonlySet<string>
  private readonly users: ReadonlySet<string>
  private readonly patterns: readonly (readonly [glob: string, fits: (path: string) => boolean])[]
  private readonly paths: ReadonlySet<string>
  private readonly digests: ReadonlySet<string>

  constructor({ names, users, patterns, paths, sha256 }: AllowlistSettings) {
    this.names = new Set(names)
    this.users = new Set(users.map(String))
    this.patterns = patterns.map((glob) => [glob, anyGlob([glob])])
    this.paths = new Set(paths)
    this.digests = new Set(sha256.map((digest) => digest.toLowerCase()))
  }

  /** Whether it asks for digests at all. */
  get hasDigests(): boolean {
    return this.digests.size > 0
  }

  /**
   * The entry that a process fits, as `names: sshd`, the hardest to forge first; undefined when there is none.
   * @param sha256 of its executable; undefined when that is not known
   */
  entryFor(process: SeenProcess, sha256: string | undefined): string | undefined {
    const { comm, exe, forged, script, uid, user } = process
    const path = programPathOf(exe)
    const isTrue = forged === undefined
    const places = isTrue ? [path, script].filter((place) => place.startsWith('/')) : []
    if (sha256 !== undefined && this.digests.has(sha256)) return `sha256: ${sha256}`
    const known = places.find((place) => this.paths.has(place))
    if (known !== undefined) return `paths: ${known}`
    const pattern = this.patterns.find(([, fits]) => places.some(fits))
    if (pattern !== undefined) return `patterns: ${pattern[0]}`
    const owner = [user, String(uid)].find((each) => this.users.has(each))
    if (owner !== undefined) return `users: ${owner}`
    if (!isTrue) return undefined
    const name = [baseName(path), baseName(script), comm].find((each) => this.names.has(each))
    return name === undefined ? undefined : `names: ${name}`
  }
}
