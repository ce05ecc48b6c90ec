import type { Observation } from '../domain/alert.ts'
import { baseName } from '../detect/nodes.ts'
import type { ProcessScan, ScannedProcess } from '../domain/scan.ts'
import { printable } from '../graph/names.ts'
import { globExpression } from '../support/glob.ts'

/** Looks in a row that a process must be missing: a service that starts anew is away for a moment. */
const PATIENCE_LOOKS = 2
const DELETED = / \(deleted\)$/
/** Programs that are many, by the name they are called by. */
const MANY = /^(?:busybox|toybox|coreutils)/

/** What a process is known by: a name of a program or script, a path or a glob of one; or several of these together. */
export type ProcessPattern =
  | string
  | {
      readonly exe?: string | undefined
      readonly user?: string | undefined
      readonly argv?: string | undefined
      readonly min?: number | undefined
    }

/** What a pattern is compared with. */
type Known = Pick<ScannedProcess, 'argv' | 'exe' | 'forged' | 'script' | 'uid' | 'user'>

/** Whether a process is what a pattern describes. @throws SyntaxError when it is no glob */
export function processMatcher(pattern: ProcessPattern): (process: Known) => boolean {
  if (typeof pattern === 'string') return programMatcher(pattern)
  const isExe = pattern.exe === undefined ? anything : programMatcher(pattern.exe)
  // Words have slashes, and are no folders.
  const words = globExpression((pattern.argv ?? '*').replace(/\*+/g, '**'))
  const { user } = pattern
  return (process) =>
    isExe(process) &&
    (user === undefined || user === process.user || user === String(process.uid)) &&
    words.test(process.argv.join(' '))
}

const anything = (): boolean => true

/** What has a slash is compared with whole paths. A process chooses its own argv, so that is not asked, nor are paths that its user has made up. */
function programMatcher(pattern: string): (process: Known) => boolean {
  const expression = globExpression(pattern)
  const isPath = pattern.includes('/')
  return ({ argv, exe, forged, script }) => {
    if (forged !== null) return false
    const program = exe.replace(DELETED, '')
    const paths = [program, ...(script === null || script === '' ? [] : [script])]
    if (isPath) return paths.some((path) => expression.test(path))
    const names = MANY.test(baseName(program)) ? [...paths, argv[0] ?? ''] : paths
    return names.some((path) => path !== '' && expression.test(baseName(path)))
  }
}

/** What a scan has found besides the processes that are expected. @throws SyntaxError when a pattern is no glob */
export function withoutExpected(scan: ProcessScan, expected: readonly ProcessPattern[]): ProcessScan {
  const matchers = expected.map(processMatcher)
  const processes = scan.processes.filter((process) => !matchers.some((matches) => matches(process)))
  return { ...scan, processes, suspicious: processes.filter(({ isSuspicious }) => isSuspicious).length }
}

/** Since when which processes are missing, by what describes them. Unix time in milliseconds. */
export type Absences = Readonly<Record<string, { readonly sinceMs: number; readonly looks: number }>>

/** Which processes must run, and do not. */
export class RequiredProcesses {
  private readonly required: readonly Required[]

  constructor(patterns: readonly ProcessPattern[]) {
    this.required = patterns.map((pattern) => ({
      name: printable(typeof pattern === 'string' ? pattern : nameOf(pattern)),
      least: typeof pattern === 'string' ? 1 : (pattern.min ?? 1),
      matches: processMatcher(pattern),
    }))
  }

  /**
   * What is wrong now, and what must be remembered for the next look.
   * @param before what the look before this one remembered
   */
  look(
    processes: readonly Known[],
    before: Absences,
    nowMs: number,
  ): { readonly observations: readonly Observation[]; readonly absences: Absences } {
    const absences: Record<string, Absences[string]> = {}
    const observations: Observation[] = []
    for (const { least, matches, name } of this.required) {
      const count = processes.filter(matches).length
      if (count >= least) continue
      const known = Object.hasOwn(before, name) ? before[name] : undefined
      const absence = {
        sinceMs: known?.sinceMs ?? nowMs,
        looks: Math.min((known?.looks ?? 0) + 1, PATIENCE_LOOKS),
      }
      absences[name] = absence
      if (absence.looks >= PATIENCE_LOOKS) observations.push(missing(name, count, least, absence.sinceMs))
    }
    return { observations, absences }
  }
}

interface Required {
  readonly name: string
  readonly least: number
  readonly matches: (process: Known) => boolean
}

const nameOf = ({ exe, user, argv }: Exclude<ProcessPattern, string>): string =>
  [
    exe ?? 'a process',
    ...(user === undefined ? [] : [`of ${user}`]),
    ...(argv === undefined ? [] : [`(${argv})`]),
  ].join(' ')

function missing(name: string, count: number, least: number, sinceMs: number): Observation {
  const since = new Date(sinceMs).toISOString()
  return {
    source: 'missing',
    key: name,
    severity: 'high',
    title:
      least === 1
        ? `${name} does not run, since ${since} at the latest`
        : `${name} runs ${count} times instead of ${least}, since ${since} at the latest`,
    reasons: ['the configuration says that it must run (processes.required)'],
    next: [
      'why it ended: journalctl --since, systemctl status, fullmon incidents',
      'start it, or take it out of processes.required',
    ],
    subject: { name, count, least, sinceMs },
  }
}
