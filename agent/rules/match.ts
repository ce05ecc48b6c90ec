import { isPrivate } from '../detect/escapes.ts'
import {
  filePathOf,
  isLoopback,
  isNameless,
  isOutside,
  networkPeerOf,
  type NamedProcess,
  processOf,
} from '../detect/nodes.ts'
import { isKind, programOf } from '../detect/programs.ts'
import type { EdgeKind } from '../domain/edge.ts'
import type { Severity } from '../domain/report.ts'
import { Expression } from '../support/expression.ts'
import { anyGlob } from '../support/glob.ts'
import { type Fits, prefixOrGlobOf } from './glob.ts'
import {
  FAR_ENDS,
  type ProgramPattern,
  type Rule,
  type SkipPattern,
  type TargetPattern,
  WATCHED,
} from './schema.ts'

/** Kinds of edges, and what makes none. */
export type DeedKind = EdgeKind | 'escalation' | 'end' | 'exec-failed'

/** What was done by whom to what: the same each time it is done. Names as they are printed: see graph/names.ts. */
export interface Scene {
  readonly kind: DeedKind
  /** From the oldest ancestor known to the process that did it; made only where some rule is about this kind. */
  readonly chain: readonly string[] | (() => readonly string[])
  readonly to: string
}

/** What may differ from one time to the next. */
export interface Sighting {
  readonly argv: readonly string[]
  /** Undefined when no login led to it. */
  readonly auid: number | undefined
  /** Permissions that were given to a file. */
  readonly mode: () => number | undefined
  readonly succeeded: boolean
  /** How somebody became root, or tried to. */
  readonly how: string | undefined
  readonly status: number | undefined
  readonly signal: number | undefined
  /** The far end, by its name where DNS told one. */
  readonly peer: () => string
  /** Whether who did it takes connections, or is below one who does. */
  readonly isOfService: () => boolean
}

/** Characters of the arguments that are looked at. */
const MOST_ARGUMENTS = 16_384
/** Kinds of what each type of rules is about; those of an edge rule are its own. */
const KINDS_OF_TYPE: Readonly<Record<Exclude<Rule['type'], 'edge'>, readonly DeedKind[]>> = {
  'bin-execution': ['exec', 'exec-failed'],
  'root-escalation': ['escalation'],
  'termination-failure': ['end'],
}

/** A scene, taken apart once for all rules, as far as any of them asks. */
class Parts {
  readonly to: string
  private readonly chain: () => readonly string[]
  private knownProcess: NamedProcess | undefined
  private knownAncestors: readonly NamedProcess[] | undefined
  private knownTarget: { readonly process: NamedProcess | undefined } | undefined
  private knownPath: { readonly path: string | undefined } | undefined

  constructor({ chain, to }: Scene) {
    this.to = to
    this.chain = typeof chain === 'function' ? chain : () => chain
  }

  get process(): NamedProcess {
    return (this.knownProcess ??= processOf(this.chain().at(-1) ?? '') ?? NOBODY)
  }

  get ancestors(): readonly NamedProcess[] {
    return (this.knownAncestors ??= this.chain()
      .slice(0, -1)
      .flatMap((name) => processOf(name) ?? []))
  }

  get target(): NamedProcess | undefined {
    return (this.knownTarget ??= { process: processOf(this.to) }).process
  }

  get path(): string | undefined {
    return (this.knownPath ??= { path: filePathOf(this.to) }).path
  }
}

const NOBODY: NamedProcess = { container: '', user: '', exe: '?', script: '' }

type FitsParts = (parts: Parts) => boolean

/** Rules over what is seen. What can be said of a scene is said once: see `candidatesFor`. */
export class RuleBook {
  private readonly byKind = new Map<DeedKind, CompiledRule[]>()
  private readonly isSkipped: FitsParts

  /**
   * @param rules all of them valid
   * @param skip what no rule is about
   * @param watched ports that `$watched` stands for
   */
  constructor(rules: readonly Rule[], skip: SkipPattern, watched: readonly number[]) {
    this.isSkipped = skipping(skip)
    for (const rule of rules) {
      if (!rule.enabled) continue
      const compiled = new CompiledRule(rule, watched)
      for (const kind of compiled.kinds) {
        const others = this.byKind.get(kind)
        if (others === undefined) this.byKind.set(kind, [compiled])
        else others.push(compiled)
      }
    }
  }

  /** The rules that may fire for this scene, by what does not change from one time to the next. */
  candidatesFor(scene: Scene): readonly CompiledRule[] {
    const rules = this.byKind.get(scene.kind)
    if (rules === undefined) return NONE
    const parts = new Parts(scene)
    const found = rules.filter((rule) => rule.mayFireFor(parts))
    return found.length === 0 || this.isSkipped(parts) ? NONE : found
  }
}

const NONE: readonly CompiledRule[] = []

/** One rule, ready to be asked. */
export class CompiledRule {
  readonly rule: Rule
  readonly kinds: readonly DeedKind[]
  private readonly fits: readonly FitsParts[]
  /** All of them together; empty when there is none. */
  private readonly exceptions: readonly FitsParts[]
  private readonly isSkipped: FitsParts
  /** Undefined for a rule that wants no peer. */
  private readonly isPeer: Fits | undefined
  private readonly argv: readonly Expression[]
  private readonly notArgv: readonly Expression[]
  private readonly modeBits: number
  /** Programs are run with the same arguments again and again, and these are the same objects then. */
  private readonly judged = new WeakMap<readonly string[], boolean>()

  constructor(rule: Rule, watched: readonly number[]) {
    const { type, when, skip } = rule
    this.rule = rule
    this.kinds = type === 'edge' ? (when.kind ?? []) : KINDS_OF_TYPE[type]
    const { target, unless } = when
    this.fits = checksOf(when, watched)
    this.exceptions = unless === undefined ? [] : checksOf(unless, watched)
    this.isSkipped = skipping(skip)
    this.isPeer = peerFits(target)
    this.argv = (when.argv ?? []).map((source) => new Expression(source))
    this.notArgv = (when.not_argv ?? []).map((source) => new Expression(source))
    this.modeBits = Number.parseInt(when.mode ?? '0', 8)
  }

  /** Whether everything that does not change from one time to the next fits. */
  mayFireFor(parts: Parts): boolean {
    const { fits, exceptions } = this
    if (!fits.every((each) => each(parts)) || this.isSkipped(parts)) return false
    return exceptions.length === 0 || !exceptions.every((each) => each(parts))
  }

  /** How grave a candidate is this time; undefined when it does not fit, or is not to be told. */
  severityOf(sighting: Sighting): Severity | undefined {
    const { severity } = this.rule
    const { succeeded } = sighting
    const told =
      severity === null || typeof severity === 'string'
        ? severity
        : succeeded
          ? severity.success
          : severity.failure
    return told !== null && this.fitsSighting(sighting) ? told : undefined
  }

  private fitsSighting({ auid, mode, how, status, signal, peer, argv, isOfService }: Sighting): boolean {
    const { when } = this.rule
    if (when.login !== undefined && when.login !== (auid !== undefined)) return false
    if (this.modeBits !== 0 && ((mode() ?? 0) & this.modeBits) === 0) return false
    if (when.how !== undefined && !when.how.some((each) => each === how)) return false
    if (!isAmong(when.status, status) || !isAmong(when.signal, signal)) return false
    if (this.isPeer?.(peer()) === false) return false
    if (when.service !== undefined && when.service !== isOfService()) return false
    return this.fitsArguments(argv)
  }

  private fitsArguments(argv: readonly string[]): boolean {
    if (this.argv.length + this.notArgv.length === 0) return true
    const known = this.judged.get(argv)
    if (known !== undefined) return known
    const fits = this.matchArguments(joined(argv))
    this.judged.set(argv, fits)
    return fits
  }

  private matchArguments(words: string): boolean {
    if (this.notArgv.some((expression) => expression.test(words))) return false
    return this.argv.length === 0 || this.argv.some((expression) => expression.test(words))
  }
}

const isAmong = (wanted: readonly number[] | undefined, number: number | undefined): boolean =>
  wanted === undefined || (number !== undefined && wanted.includes(number))

/** One execve may carry 2 MiB of arguments: joined as far as they are looked at. */
function joined(argv: readonly string[]): string {
  let text = argv[0] ?? ''
  for (let index = 1; index < argv.length && text.length < MOST_ARGUMENTS; index++)
    text += ` ${argv[index] ?? ''}`
  return text.slice(0, MOST_ARGUMENTS)
}

function checksOf(
  { process, ancestor, target }: Pick<Rule['when'], 'process' | 'ancestor' | 'target'>,
  watched: readonly number[],
): readonly FitsParts[] {
  return [
    ...(target === undefined ? [] : [targetFits(target, watched)]),
    ...(process === undefined ? [] : [processFits(process)]),
    ...(ancestor === undefined ? [] : [ancestorFits(ancestor)]),
  ]
}

type FitsProgram = (process: NamedProcess) => boolean

function processFits(pattern: ProgramPattern): FitsParts {
  const fits = programFits(pattern)
  const not = pattern.not === undefined ? undefined : programFits(pattern.not)
  return ({ process }) => fits(process) && not?.(process) !== true
}

function ancestorFits(pattern: ProgramPattern): FitsParts {
  const fits = programFits(pattern)
  const not = pattern.not === undefined ? undefined : programFits(pattern.not)
  return ({ ancestors }) => ancestors.some((ancestor) => fits(ancestor) && not?.(ancestor) !== true)
}

/** All but hosts, whose names are not known once for all. */
function targetFits(pattern: TargetPattern, watched: readonly number[]): FitsParts {
  const fits = targetFitsPlainly(pattern, watched)
  const { not: unwanted } = pattern
  const isOnlyHost = unwanted === undefined || Object.keys(unwanted).every((key) => key === 'host')
  const not = isOnlyHost ? undefined : targetFitsPlainly(unwanted, watched)
  return (parts) => fits(parts) && not?.(parts) !== true
}

const OF_PROGRAM = ['name', 'is', 'exe', 'script', 'file', 'user', 'container'] as const

function targetFitsPlainly(pattern: Omit<TargetPattern, 'not'>, watched: readonly number[]): FitsParts {
  const { path, port } = pattern
  const isProgram = OF_PROGRAM.some((key) => pattern[key] !== undefined) ? programFits(pattern) : undefined
  const isPath = path === undefined ? undefined : anyGlob(path)
  const isPort = port === undefined ? undefined : portFits(port, watched)
  return ({ target, path: changed, to }) => {
    if (isProgram !== undefined && (target === undefined || !isProgram(target))) return false
    if (isPath !== undefined && (changed === undefined || !isPath(changed))) return false
    return isPort === undefined || isPort(Number(networkPeerOf(to)?.port))
  }
}

function programFits({
  name,
  is,
  exe,
  script,
  file,
  user,
  container,
}: Omit<ProgramPattern, 'not'>): FitsProgram {
  const checks: FitsProgram[] = []
  if (is !== undefined) checks.push((process) => is.some((kind) => isKind(process, kind)))
  if (user !== undefined) checks.push((process) => user.includes(process.user))
  const globs = (given: readonly string[] | undefined, textOf: (process: NamedProcess) => string): void => {
    if (given === undefined) return
    const fits = anyGlob(given)
    checks.push((process) => fits(textOf(process)))
  }
  globs(name, programOf)
  globs(exe, (process) => process.exe)
  globs(script, (process) => process.script)
  globs(file, (process) => (process.script.startsWith('/') ? process.script : process.exe))
  globs(container, (process) => process.container)
  return (process) => checks.every((check) => check(process))
}

function portFits(
  ports: readonly (number | string)[],
  watched: readonly number[],
): (port: number) => boolean {
  const ranges = ports.flatMap((port): (readonly [number, number])[] => {
    if (port === WATCHED) return watched.map((each) => [each, each])
    const [from = '', to = from] = String(port).split('-')
    return [[Number(from), Number(to)]]
  })
  return (port) => ranges.some(([from, to]) => port >= from && port <= to)
}

/** Whether the name of a peer is one that the pattern wants; undefined when it wants none. */
function peerFits(target: TargetPattern | undefined): Fits | undefined {
  const wanted = target?.host === undefined ? undefined : hostFits(target.host)
  const unwanted = target?.not?.host === undefined ? undefined : hostFits(target.not.host)
  if (wanted === undefined && unwanted === undefined) return undefined
  return (name) => (wanted === undefined || wanted(name)) && unwanted?.(name) !== true
}

function hostFits(hosts: readonly string[]): Fits {
  const isGlob = anyGlob(hosts.filter((host) => !FAR_ENDS.some((each) => each === host)))
  return (name) => {
    const peer = networkPeerOf(name)
    if (peer === undefined) return false
    if (hosts.includes('$this_host') && isLoopback(peer)) return true
    const outside = isOutside(peer)
    if (hosts.includes('$outside') && outside) return true
    if (hosts.includes('$public') && outside && !isPrivate(peer.host) && peer.host !== 'private') return true
    if (hosts.includes('$nameless') && outside && isNameless(peer)) return true
    return isGlob(peer.host)
  }
}

/** Whether a scene is none of a rule's business. */
function skipping({ commands, paths, users }: SkipPattern): FitsParts {
  if (commands.length + paths.length + users.length === 0) return () => false
  const fits = paths.map(prefixOrGlobOf)
  const isPath = (path: string): boolean => path !== '' && fits.some((each) => each(path))
  const isProgram = (process: NamedProcess | undefined): boolean =>
    process !== undefined &&
    (commands.includes(programOf(process)) || isPath(process.exe) || isPath(process.script))
  return ({ process, target, path = '' }) =>
    users.includes(process.user) || isProgram(process) || isProgram(target) || isPath(path)
}
