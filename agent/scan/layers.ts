import { hash } from 'node:crypto'
import { z } from 'zod'
import type { Observation } from '../domain/alert.ts'
import { SEVERITIES, type Severity } from '../domain/report.ts'
import { printable } from '../graph/names.ts'
import type { ContainerName } from './container-names.ts'
import { type FileGrade, gradeOf, type LayerFile } from './layer-files.ts'

/** How late a file may be dated that was changed before: the kernel's clock for files moves with its ticks. */
const COARSE_MS = 20
/** What a container is made of before its first process begins, and what it makes for itself when it does. */
const PREPARING_MS = 10_000
const STARTING_MS = 120_000
/** Files that are named for one group, and remembered to know whether any is still there. */
const MOST_NAMED = 20
/** Groups of one container and kind in one look; above, they are one. */
const MOST_PLACES = 3
/** Groups in all; above, what appears together in a container is one. */
const MOST_GROUPS = 200
/** New files of a layer that are looked at one by one; more are counted. */
const MOST_FRESH = 10_000
const MOST_LEARNED = 20_000
const MOST_LATEST = 10_000
const MOST_REASONS = 3
/** Folders that make a group: `/usr/bin`, `/etc`. */
const DEPTH = 2

/** Files of one kind that appeared together in a container. */
const Group = z.object({
  key: z.string(),
  layer: z.string(),
  container: z.string(),
  folder: z.string(),
  names: z.array(z.string()),
  kind: z.string(),
  severity: z.enum(SEVERITIES),
  reasons: z.array(z.string()),
  place: z.string(),
  paths: z.array(z.string()),
  count: z.int(),
})
type Group = z.infer<typeof Group>

const Memory = z.object({
  /** When the last look began; Unix time in milliseconds. */
  lookedMs: z.number(),
  /** What it has seen that the next look might take for new. */
  latest: z.array(z.number()),
  groups: z.array(Group),
})

const Lessons = z.array(z.number())
const NOTHING = { lookedMs: undefined, latest: [], groups: [] } as const

/** A layer, and who it belongs to. */
export interface NamedLayer {
  readonly id: string
  /** As the agent opens it, made printable. */
  readonly folder: string
  /** Id of the container, or empty. */
  readonly container: string
  readonly name: ContainerName
  /** When the oldest process in it began; undefined when that is not known. Unix time in milliseconds. */
  readonly startMs: number | undefined
}

/**
 * What appears in the writable layers of containers, from one look to the next. What the first look finds, and what is
 * found while the agent learns, is normal for all containers of that image.
 *
 * Little is remembered: when the last look began (what is new was changed later, and nobody in a container can date a
 * change back), what was learned as hashes, and what was told and may be there still.
 */
export class LayerBook {
  private lookedMs: number | undefined
  private learned = new Set<number>()
  private latest = new Set<number>()
  private groups = new Map<string, Group>()

  /** What must be remembered over a restart besides what was learned, as JSON; undefined before the first look. */
  get memory(): unknown {
    const { lookedMs, latest, groups } = this
    return lookedMs === undefined
      ? undefined
      : { lookedMs, latest: [...latest], groups: [...groups.values()] }
  }

  /** What was learned, as hashes. It only grows. */
  get lessons(): ReadonlySet<number> {
    return this.learned
  }

  /** Goes on where `memory` and `lessons` were taken, or anew when that is neither. */
  restore(memory: unknown, lessons: unknown): void {
    const { lookedMs, latest, groups } = Memory.safeParse(memory).data ?? NOTHING
    this.lookedMs = lookedMs
    this.learned = new Set(Lessons.safeParse(lessons).data)
    this.latest = new Set(latest)
    this.groups = new Map(groups.map((group) => [group.key, group]))
  }

  /** Begins a look at all layers. @param isLearning whether nothing that is new is wrong */
  begin(nowMs: number, isLearning: boolean): LayerLook {
    const { lookedMs, learned, groups, latest: before } = this
    const latest = new Set<number>()
    // A clock that was set back dates what is made now before the last look.
    const sinceMs = lookedMs === undefined ? undefined : Math.min(lookedMs, nowMs) - COARSE_MS
    // One that fails has looked at nothing.
    const onEnd = (): void => {
      this.lookedMs = nowMs
      this.latest = latest
    }
    return new LayerLook({ learned, groups, before, latest, sinceMs, nowMs, isLearning, onEnd })
  }
}

interface LookOptions {
  readonly learned: Set<number>
  readonly groups: Map<string, Group>
  readonly before: ReadonlySet<number>
  readonly latest: Set<number>
  readonly sinceMs: number | undefined
  readonly nowMs: number
  readonly isLearning: boolean
  readonly onEnd: () => void
}

/** One look at all layers: each file is seen, each layer is left, and at the end it is known what is wrong. */
class LayerLook {
  private readonly options: LookOptions
  private readonly isLearning: boolean
  /** By layer and path. */
  private readonly told = new Map<string, Group>()
  private readonly present = new Set<string>()
  private readonly unfinished = new Set<string>()
  /** Of the layer that is looked at, by kind. */
  private fresh = new Map<FileGrade['kind'], Fresh>()

  constructor(options: LookOptions) {
    this.options = options
    this.isLearning = options.isLearning || options.sinceMs === undefined
    for (const group of options.groups.values())
      for (const path of group.paths) this.told.set(`${group.layer} ${path}`, group)
  }

  see(layer: NamedLayer, file: LayerFile): void {
    const grade = gradeOf(file)
    if (grade === undefined) return
    const path = printable(file.path)
    const known = this.told.get(`${layer.id} ${path}`)
    if (known !== undefined) this.present.add(known.key)
    if (known !== undefined && rank(grade.severity) <= rank(known.severity)) return
    const isChanged = this.isChanged(layer, path, file.changedMs)
    if (this.isLearning) this.learn(layer, grade, path, isChanged)
    else if (isChanged && !this.isNormal(layer, grade, path, file.changedMs)) this.note(grade, path)
  }

  /**
   * All of a layer has been seen.
   * @param isWhole false when only a part of it was: what is not seen may be there still
   */
  leave(layer: NamedLayer, isWhole: boolean): void {
    if (!isWhole) this.unfinished.add(layer.id)
    for (const fresh of this.fresh.values()) this.gather(layer, fresh)
    this.fresh.clear()
  }

  /** What is wrong now. */
  end(): Observation[] {
    this.options.onEnd()
    for (const [key, { layer }] of this.options.groups)
      if (!this.present.has(key) && !this.unfinished.has(layer)) this.options.groups.delete(key)
    return [...this.options.groups.values()].map(observationOf)
  }

  private isChanged({ id }: NamedLayer, path: string, changedMs: number): boolean {
    const { before, latest, nowMs, sinceMs = Number.POSITIVE_INFINITY } = this.options
    const isLatest = changedMs >= nowMs - COARSE_MS
    if (changedMs < sinceMs && !isLatest) return false
    const sight = hashOf([id, path, String(changedMs)])
    if (isLatest && latest.size < MOST_LATEST) latest.add(sight)
    return changedMs >= sinceMs && !before.has(sight)
  }

  private note(grade: FileGrade, path: string): void {
    const fresh = this.fresh.get(grade.kind) ?? { grade, reasonOf: new Map<string, string>(), count: 0 }
    this.fresh.set(grade.kind, fresh)
    fresh.count++
    if (fresh.reasonOf.size < MOST_FRESH) fresh.reasonOf.set(path, grade.reason)
  }

  private learn({ name }: NamedLayer, grade: FileGrade, path: string, isChanged: boolean): void {
    if (this.options.learned.size >= MOST_LEARNED) return
    this.options.learned.add(
      idOf(name.label, isChanged || grade.kind === 'file' ? 'changes' : 'has', grade, path),
    )
  }

  private isNormal(layer: NamedLayer, grade: FileGrade, path: string, changedMs: number): boolean {
    const { label } = layer.name
    if (this.options.learned.has(idOf(label, 'changes', grade, path))) return true
    const { startMs } = layer
    const isOfStart =
      startMs !== undefined && changedMs > startMs - PREPARING_MS && changedMs < startMs + STARTING_MS
    return isOfStart && (grade.isOfStart || this.options.learned.has(idOf(label, 'has', grade, path)))
  }

  private gather(layer: NamedLayer, { grade, reasonOf, count }: Fresh): void {
    const paths = [...reasonOf.keys()].sort()
    const owner = `${layer.container === '' ? layer.folder : layer.container} ${grade.kind}`
    const places = new Set(paths.map(placeOf))
    const tell = (some: readonly string[], place: string, key: string, total = some.length): void => {
      const reasons = [...new Set(some.map((path) => reasonOf.get(path) ?? ''))].slice(0, MOST_REASONS)
      this.tell(layer, { ...grade, key, place, reasons, paths: some, count: total })
    }
    const isOne = places.size > MOST_PLACES
    if (this.options.groups.size + (isOne ? 1 : places.size) > MOST_GROUPS)
      tell(paths, 'several folders', owner, count)
    else if (isOne) tell(paths, `${places.size} folders`, `${owner} ${paths[0] ?? ''}`, count)
    else
      for (const place of places) {
        const there = paths.filter((path) => placeOf(path) === place)
        // A new program is told beside those that somebody knows of already; that another file appears is no news.
        tell(there, place, `${owner} ${grade.kind === 'file' ? place : (there[0] ?? '')}`)
      }
  }

  private tell({ id, folder, container, name }: NamedLayer, fresh: Told): void {
    const { count, key, kind, place, reasons, severity } = fresh
    const paths = [...new Set([...(this.options.groups.get(key)?.paths ?? []), ...fresh.paths])]
    this.present.add(key)
    this.options.groups.set(key, {
      ...{ key, kind, severity, place, layer: id, folder, container },
      ...{ names: [...name.names], reasons: [...reasons] },
      ...{ paths: paths.slice(0, MOST_NAMED), count: Math.max(paths.length, count) },
    })
  }
}

type Told = Pick<FileGrade, 'kind' | 'severity'> &
  Pick<Group, 'key' | 'place' | 'count'> & {
    readonly paths: readonly string[]
    readonly reasons: readonly string[]
  }

/** New files of one kind. */
interface Fresh {
  /** Of any of them; the kind decides of all but the reason. */
  readonly grade: FileGrade
  /** By path. */
  readonly reasonOf: Map<string, string>
  count: number
}

const rank = (severity: Severity): number => SEVERITIES.indexOf(severity)

/** The first folders that a file lies in: `/usr/bin` of `/usr/bin/env`, `/etc` of `/etc/passwd`. */
const placeOf = (path: string): string =>
  path
    .split('/')
    .slice(0, -1)
    .slice(0, DEPTH + 1)
    .join('/') || '/'

/** Of files that are nothing special the place counts, else the path. */
function idOf(label: string, what: 'has' | 'changes', { kind }: FileGrade, path: string): number {
  return hashOf([label, what, kind, kind === 'file' ? placeOf(path) : path])
}

/** 52 bits of SHA-256: who names files cannot choose one that has the hash of another. */
const hashOf = (words: readonly string[]): number =>
  Number.parseInt(hash('sha256', words.join('\n')).slice(0, 13), 16)

function observationOf({ key, kind, severity, reasons, place, ...group }: Group): Observation {
  const { container, count, folder, names, paths } = group
  const [path = ''] = paths
  const what = count === 1 ? `the ${kind} ${path}` : `${count} ${kind}s in ${place}`
  const who = [names[0] ?? container, ...names.slice(1).map((name) => `(${name})`)].join(' ')
  const owner = who === '' ? `the layer ${folder}` : `the container ${who}`
  return {
    ...{ source: 'layer', key, severity },
    title: `${what} ${count === 1 ? 'was' : 'were'} made or changed in ${owner}`,
    reasons,
    next: [
      container === '' ? `look at ${folder}${path}` : `docker diff ${container}, or look at ${folder}${path}`,
      'if it belongs there: add it to containers.allowlist (fullmon allow), or make it part of the image',
      'else stop the container, keep its layer as evidence, and start it anew from its image',
    ],
    subject: { container, names, paths, folder, count },
  }
}
