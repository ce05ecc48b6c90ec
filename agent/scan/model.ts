import type { SurpriseSource } from '../domain/scan.ts'
import type { SeenProcess } from './processes.ts'

/** How strange a process is, from 0 to 1, and why. */
export interface Surprise {
  readonly surprise: number
  readonly reasons: readonly string[]
}

/** What was learned of processes. */
export interface Model {
  /** Empty when nothing was learned. */
  readonly sources: readonly SurpriseSource[]
  /** Undefined when nothing was learned. */
  readonly surpriseOf: (
    process: SeenProcess,
    parent: SeenProcess | undefined,
    cpuPercent: number,
  ) => Surprise | undefined
  /** Whether it is normal that one process, by its name, executes the other. */
  readonly isUsualParent: (parent: string, child: string) => boolean
}

export const NO_MODEL: Model = {
  sources: [],
  surpriseOf: () => undefined,
  isUsualParent: () => false,
}
