import type { ProcessHabits, SurpriseSource } from '../domain/scan.ts'
import { processOf } from '../detect/nodes.ts'
import { isKind } from '../detect/programs.ts'
import { habitName, type Likeness, strangenessOf } from './habits.ts'
import type { SeenProcess } from './processes.ts'

/** How strange a process is, from 0 to 1, and why. */
export interface Surprise {
  readonly surprise: number
  readonly reasons: readonly string[]
}

/** What was learned of processes from the log, and by looking at them. */
export interface Learned {
  readonly habits: ReadonlyMap<string, ProcessHabits>
  /** Undefined when the log was not learned from. */
  readonly normal: ReadonlySet<string> | undefined
  readonly executes: (parent: string, child: string) => boolean
  readonly isExecuted: (child: string) => boolean
}

const NOTHING: Learned = {
  ...{ habits: new Map(), normal: undefined },
  executes: () => false,
  isExecuted: () => false,
}
const INIT = 1
const NOT_STRANGE: Surprise = { surprise: 0, reasons: [] }

/** Compares processes with what was learned of them. */
export class Model {
  /** What there is to compare with. */
  readonly sources: readonly SurpriseSource[]
  /** Why there is nothing; undefined when there is something. */
  readonly missing: string | undefined
  private readonly learned: Learned
  /** Programs with their scripts, of whoever ran them. */
  private readonly programs: ReadonlySet<string>
  private readonly executables: ReadonlySet<string>

  constructor(learned: Learned = NOTHING, missing?: string) {
    this.learned = learned
    this.missing = missing
    const { normal, habits } = learned
    const known = [...(normal ?? [])].flatMap((name) => processOf(name) ?? [])
    this.programs = new Set(known.map(({ exe, script }) => `${exe}<${script}`))
    this.executables = new Set(known.map(({ exe }) => exe))
    this.sources = [
      ...(normal === undefined ? [] : (['baseline'] as const)),
      ...(habits.size === 0 ? [] : (['processes'] as const)),
    ]
  }

  /** Undefined when there is nothing to compare with. */
  surpriseOf(
    process: SeenProcess,
    parent: SeenProcess | undefined,
    likeness: Likeness,
    isPackaged: (path: string) => boolean,
  ): Surprise | undefined {
    const { normal, habits } = this.learned
    // Who it is could not be read.
    if (process.exe === '?') return undefined
    const isNormal = normal?.has(process.name) === true
    const known = habits.get(habitName(process))
    const byLog = isNormal ? this.strangeStart(process, parent) : undefined
    const byHabit = known === undefined ? undefined : summed(strangenessOf(known, likeness))
    // Who is known to one of the two is known.
    if (byLog !== undefined || byHabit !== undefined)
      return (byHabit?.surprise ?? 0) > (byLog?.surprise ?? 0) ? byHabit : (byLog ?? byHabit)
    return normal === undefined && habits.size === 0 ? undefined : this.unknown(process, isPackaged)
  }

  /** Whether it is normal that one process, by its name, executes the other. */
  isUsualParent(parent: string, child: string): boolean {
    return this.learned.normal !== undefined && this.learned.executes(parent, child)
  }

  /** Who has lost its parent does not tell any more who started it, and a fork is what its parent is. */
  private strangeStart(process: SeenProcess, parent: SeenProcess | undefined): Surprise {
    const { executes, isExecuted } = this.learned
    const isAsItsParent = parent?.exe === process.exe && parent.script === process.script
    if (parent === undefined || parent.pid === INIT || isKind(parent, 'init') || isAsItsParent)
      return NOT_STRANGE
    if (executes(parent.name, process.name) || !isExecuted(process.name)) return NOT_STRANGE
    return { surprise: 0.5, reasons: [`${parent.name} did not start it in the training`] }
  }

  private unknown({ name, container, user }: SeenProcess, isPackaged: (path: string) => boolean): Surprise {
    const { exe = '', script = '' } = processOf(name) ?? {}
    if (this.programs.has(`${exe}<${script}`))
      return container === ''
        ? { surprise: 0.7, reasons: [`${user} did not run it in the training`] }
        : { surprise: 0.5, reasons: ['it was not seen in this container in the training'] }
    if (script !== '' && this.executables.has(exe))
      return { surprise: 0.9, reasons: ['its script was not seen in the training'] }
    // What a package has brought is less of a surprise, but not in a container, which has packages of its own.
    return container === '' && isPackaged(exe)
      ? { surprise: 0.8, reasons: ['it was not seen in the training; a package has brought its program'] }
      : { surprise: 1, reasons: ['it was not seen in the training'] }
  }
}

const summed = (strange: ReturnType<typeof strangenessOf>): Surprise => ({
  surprise: Math.min(
    1,
    strange.reduce((sum, [surprise]) => sum + surprise, 0),
  ),
  reasons: strange.map(([, reason]) => reason),
})
