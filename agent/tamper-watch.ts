import type { Baseline } from './baseline/baseline.ts'
import type { Claimant } from './core.ts'
import { AgentRuns, type RunsState } from './detect/runs.ts'
import {
  AUDITD,
  type GuardedPlaces,
  isBesideConfiguration,
  tamperOfFile,
  TamperSigns,
} from './detect/tamper.ts'
import { isEdited, OWN_PACKAGE, type TamperDeed, TamperGravity } from './detect/tamper-gravity.ts'
import { Tampering, type TamperingState } from './detect/tampering.ts'
import type { Ancestor, Boot, Deed, ProcessImage } from './domain/activity.ts'
import type { Edge } from './domain/edge.ts'
import type { AuditEvent } from './domain/event.ts'
import type { Tamper, TamperReason } from './domain/report.ts'
import { evidenceOf } from './findings.ts'
import type { SeenEdge } from './graph/edges.ts'
import { chainOf } from './graph/names.ts'
import { callName } from './interpret/calls.ts'
import { attackOn } from './interpret/signals.ts'
import type { Reach } from './outputs/sink.ts'
import { ASKER_ARGV } from './watch/kernel-answers.ts'

/** What is loaded in this time behind a boot, by nobody who has logged in, is how the host is set up. */
const BOOTING_MS = 120_000
const NOBODY = 0xffffffff

/** What the agent loads its rules with, and listens to DNS with, wherever a host has it: see support/command.ts. */
const OWN_TOOLS = /^(?:\/usr)?\/s?bin\/(?:auditctl|tcpdump)$/

/** What sends datagrams, asks the kernel, and is the plugin: see outputs/datagrams.ts and watch/kernel-answers.ts. */
const PERL = /^(?:\/usr)?\/bin\/perl[\d.]*$/
/** Services of this host that the C library asks for addresses. */
const RESOLVERS: ReadonlySet<string> = new Set(
  ['/var/run/nscd/socket', '/run/nscd/socket', '/run/systemd/resolve/io.systemd.Resolve'].map(
    (path) => `host:unix:${path}`,
  ),
)

const NONE: ReadonlySet<number> = new Set()
/** What SQLite has beside a database that is in use. */
const BESIDE = ['-wal', '-shm']

/** What is kept of it. */
export interface TamperWatchState {
  readonly tampered: TamperingState
  /** When a shutdown was seen to begin, which the agent itself does not outlive. Unix time in milliseconds. */
  readonly shutdownMs?: number
}

/** The agent itself, in a live agent. */
export interface OwnProcess {
  readonly pid: number
  readonly boot: Boot
  /** When it was started, which may be long before it begins its work. Unix time in milliseconds. */
  readonly startMs?: number
  /** What would otherwise report itself, when this process changes it; when another one does, that is tampering. */
  readonly places: GuardedPlaces
  /** Whether a file is of our own package, as far as dpkg says. */
  readonly isPackaged: (path: string) => boolean
  /** Its baseline, and whose that is. */
  readonly database?: { readonly path: string; readonly uid: number }
  /** Directory that it makes besides them, where it is missing. */
  readonly directory?: string | undefined
  /** Port that it answers at. */
  readonly port?: number | undefined
  /** How its reports leave it. */
  readonly reach?: Reach | undefined
  /** The plugin that auditd starts for it. */
  readonly plugin?: string
  /** Told of each exec by its pid: whether the agent itself started that program to ask the kernel. */
  readonly sawExec: (pid: number) => boolean
}

/** Tells what is done against the agent from what it does itself, now or before a restart. */
export class TamperWatch {
  private readonly own: OwnProcess | undefined
  private readonly kept: Baseline['kept']
  private readonly vouched: Baseline['vouchedWrites']
  private readonly post: (tamper: Tamper) => void
  private readonly runs: AgentRuns | undefined
  private readonly signs = new TamperSigns()
  private readonly tampering = new Tampering()
  private readonly gravity: TamperGravity
  private readonly lineageOf: (event: AuditEvent) => readonly Ancestor[]
  private isOwnChild = false

  constructor(
    own: OwnProcess | undefined,
    { kept, vouchedWrites }: Pick<Baseline, 'kept' | 'vouchedWrites'>,
    post: (tamper: Tamper) => void,
    lineageOf: (event: AuditEvent) => readonly Ancestor[],
  ) {
    this.own = own
    this.gravity = new TamperGravity(own?.isPackaged ?? (() => false))
    this.lineageOf = lineageOf
    this.kept = kept
    this.vouched = vouchedWrites
    this.post = post
    this.runs = own && new AgentRuns(own.pid, own.boot.id)
  }

  /** The agent begins its work. */
  beginRun(nowMs: number): void {
    if (this.runs === undefined) return
    const before = (this.kept.memory('agents') ?? []) as RunsState
    const news = this.runs.begin(before, Math.min(nowMs, this.own?.startMs ?? nowMs))
    this.kept.remember('agents', this.runs.memory)
    if (news !== undefined) this.post(tamperOf('agent-stopped', nowMs, news))
  }

  endRun(nowMs: number): void {
    if (this.runs !== undefined) this.kept.remember('agents', this.runs.endedAt(nowMs))
  }

  /** Whether just this was noted last. */
  isAsBefore(tamper: Tamper): boolean {
    return this.tampering.isAsBefore(tamper)
  }

  /** Reported at once, and again in each window in which it goes on. */
  note(tamper: Tamper): void {
    if (this.tampering.isFirst(tamper)) this.post(tamper)
  }

  /** The agent was told to stop. Upgrades do that, and it was no signal of somebody: that would be told besides. */
  stopped(why: string, nowMs: number): Tamper {
    const stop = tamperOf('agent-stopped', nowMs, why)
    return this.gravity.isUpgrading(nowMs) ? { ...stop, severity: 'low' } : stop
  }

  /** What came in a window on top of what was reported at once. */
  endWindow(endMs: number): readonly Tamper[] {
    return this.tampering.end(endMs)
  }

  /** An event begins: whose doing its edges are. */
  beginEvent(event: AuditEvent): void {
    this.isOwnChild = this.isByOwnChild(event)
    if (this.isOwnChild && event.argv.length > 0) this.own?.sawExec(event.syscall?.pid ?? -1)
  }

  /** Signs in an event, besides its edges. */
  noteSigns(event: AuditEvent, actor: ProcessImage | undefined): void {
    if (this.isOwnChild) return
    const attack = event.targets.length === 0 ? undefined : attackOn(event, this.pidsAt(event.id.timeMs))
    if (attack !== undefined) this.noteDeed('agent-signalled', attack, event, actor)
    for (const { reason, detail, by, isShutdown } of this.signs.of(event)) {
      const evidence = evidenceOf(event)
      if (this.isRoutine(reason, event.id.timeMs, evidence.auid)) continue
      // The host did shut down: it has been booted since.
      if (isShutdown === true && this.own !== undefined && event.id.timeMs < this.own.boot.startMs) continue
      // A person has had fullmon switch the plugin, and auditd tells who sent the signal.
      if (reason === 'audit-changed' && by !== undefined && this.vouched.isOf(by.pid, event.id.timeMs))
        continue
      this.noteDeed(reason, detail, event, actor, by === undefined ? evidence : { ...evidence, ...by })
    }
  }

  noteForgery(event: AuditEvent, actor: ProcessImage | undefined, claimant?: Claimant): void {
    const evidence = evidenceOf(event)
    this.noteDeed(
      'forged-lines',
      'an address of a socket holds newlines, to put lines into the audit log',
      event,
      actor,
      claimant === undefined ? evidence : { ...evidence, pid: claimant.pid, auid: claimant.auid },
    )
  }

  /** An edge goes by, whoever made it: our own package may be upgraded. */
  watch({ edge }: SeenEdge, event: AuditEvent): void {
    if (edge.kind === 'exec' && edge.to.includes(`<${OWN_PACKAGE}.`))
      this.gravity.noteExec(event.id.timeMs, this.lineageOf(event))
  }

  /** Whether an upgrade of our own package changes a file. */
  isUpgrade({ edge, filePath }: SeenEdge, event: AuditEvent): boolean {
    const { timeMs } = event.id
    return (
      filePath !== undefined &&
      this.gravity.isUpgrade(this.lineageOf(event), { kind: edge.kind, path: filePath }, timeMs)
    )
  }

  /** Whether a person edits the configuration. */
  isEdit({ filePath }: SeenEdge, event: AuditEvent): boolean {
    const { own } = this
    if (own === undefined || filePath === undefined || !isBesideConfiguration(filePath, own.places))
      return false
    return isEdited(event.syscall?.auid ?? -1, this.lineageOf(event))
  }

  /** Somebody else has changed a file of the log or of the agent, and has not always done so. */
  noteFile({ edge, filePath, source }: SeenEdge, event: AuditEvent): void {
    const { own } = this
    if (own === undefined || filePath === undefined) return
    const sign = tamperOfFile(edge, filePath, own.places)
    if (sign === undefined) return
    const file = { kind: edge.kind, path: filePath, isConfiguration: sign.isConfiguration === true }
    this.noteDeed(sign.reason, sign.detail, event, source, evidenceOf(event), file)
  }

  /** Whether an edge of this event is the doing of the agent, of what it started, or of a person by fullmon itself. */
  isOwn(seen: SeenEdge, event: AuditEvent): boolean {
    const { edge, filePath } = seen
    if (this.isOwnChild) return true
    const { own } = this
    const pid = event.syscall?.pid
    if (own === undefined || pid === undefined) return false
    if (this.isSending(seen, event) || this.isPlugin(seen, event) || this.isKeptByOwner(seen, event))
      return true
    const isWanted =
      filePath === undefined
        ? isAnswering(edge, own.port)
        : filePath === own.directory ||
          tamperOfFile(edge, filePath, { ...own.places, log: undefined }) !== undefined
    const { timeMs } = event.id
    if (!isWanted || this.pidsAt(timeMs).has(pid)) return isWanted
    return filePath !== undefined && this.vouched.has(pid, filePath, timeMs)
  }

  /** Whether a file beside the baseline is given to whom that belongs to, as SQLite does in whatever program of root opens it. */
  private isKeptByOwner({ edge, filePath }: SeenEdge, { syscall }: AuditEvent): boolean {
    const { database } = this.own ?? {}
    if (database === undefined || syscall === undefined || edge.kind !== 'attribute') return false
    const isBeside = BESIDE.some((suffix) => filePath === database.path + suffix)
    return isBeside && callName(syscall.arch, syscall.syscall) === 'fchown' && syscall.a1 === database.uid
  }

  /** Whether auditd starts the plugin that brings the agent its records. */
  private isPlugin({ edge, source }: SeenEdge, { argv, syscall }: AuditEvent): boolean {
    if (edge.kind !== 'exec' || argv[1] === undefined || argv[1] !== this.own?.plugin) return false
    return source.container === '' && AUDITD.test(source.exe) && PERL.test(syscall?.exe ?? '')
  }

  /** Whether the agent, or the program that it has started for that, sends a report where it is to be sent, and nowhere else. */
  private isSending({ edge, peer }: SeenEdge, { id, syscall, argv }: AuditEvent): boolean {
    const { sockets = [], program = [], port } = this.own?.reach ?? {}
    const pids = this.pidsAt(id.timeMs)
    if (syscall === undefined) return false
    const { kind, to } = edge
    if (kind === 'connect' && pids.has(syscall.pid))
      return port !== undefined && (peer?.port === port || isResolving(to, peer?.port))
    if (!pids.has(syscall.ppid) || !PERL.test(syscall.exe ?? '')) return false
    if (kind === 'connect') return sockets.some((socket) => to === `host:unix:${socket}`)
    return kind === 'exec' && isSame(argv.slice(0, -1), program) && sockets.includes(argv.at(-1) ?? '')
  }

  /** The same for what makes no edge. */
  isOwnDeed({ event, pid }: Deed): boolean {
    return this.isOwnChild || this.pidsAt(event.id.timeMs).has(pid)
  }

  /** What `resume` takes. */
  get memory(): TamperWatchState {
    const { shutdownMs } = this.signs
    const isShutdown = Number.isFinite(shutdownMs)
    return { tampered: this.tampering.memory, ...(isShutdown ? { shutdownMs } : {}) }
  }

  resume({ tampered, shutdownMs }: TamperWatchState): void {
    this.tampering.resume(tampered)
    if (shutdownMs !== undefined) this.signs.shutdownMs = shutdownMs
  }

  private noteDeed(
    reason: TamperReason,
    detail: string,
    event: AuditEvent,
    actor: ProcessImage | undefined,
    evidence = evidenceOf(event),
    file?: TamperDeed['file'],
  ): void {
    const chain = actor === undefined ? [] : chainOf(actor)
    const { timeMs } = event.id
    const process = chain.at(-1) ?? ''
    const deed = { reason, timeMs, auid: evidence.auid, lineage: this.lineageOf(event) }
    const severity = this.gravity.of(file === undefined ? deed : { ...deed, file })
    const grade = severity === undefined ? {} : { severity }
    this.note({ kind: 'tamper', reason, ...grade, timeMs, process, chain, detail, evidence })
  }

  /** What happens at each boot: rules and settings are loaded, of which the watch over the kernel tells whether they are right. */
  private isRoutine(reason: TamperReason, timeMs: number, auid: number): boolean {
    const { own } = this
    if (own === undefined) return false
    // Reported by the agent itself when it stopped.
    if (reason === 'agent-stopped') return this.runs?.hasStoppedAt(timeMs) === true
    if (reason !== 'rules-changed' && reason !== 'audit-changed') return false
    const sinceMs = timeMs - own.boot.startMs
    return auid === NOBODY && sinceMs >= 0 && sinceMs < BOOTING_MS
  }

  /** Of the agent, now or before a restart. */
  private pidsAt(timeMs: number): ReadonlySet<number> {
    return this.runs?.pidsAt(timeMs) ?? NONE
  }

  /** Whether this is the doing of a program that the agent started to ask the kernel, to load its rules, or to capture DNS. */
  private isByOwnChild({ id, syscall, argv }: AuditEvent): boolean {
    if (syscall?.exe === undefined || !this.pidsAt(id.timeMs).has(syscall.ppid)) return false
    return OWN_TOOLS.test(syscall.exe) || (PERL.test(syscall.exe) && isSame(argv, ASKER_ARGV))
  }
}

const isSame = (argv: readonly string[], words: readonly string[]): boolean =>
  argv.length === words.length && words.every((word, at) => argv[at] === word)

/** Whether somebody asks a resolver, as the C library does: also which of its answers can be reached, at no port. */
const isResolving = (to: string, port: number | undefined): boolean =>
  port === 53 || port === 0 || RESOLVERS.has(to)

/** Who asks is seen where it connects, if on this host. */
const isAnswering = ({ kind, to }: Edge, port: number | undefined): boolean =>
  port !== undefined && (kind === 'accept' || (kind === 'listen' && to.endsWith(`:${port}`)))

/** Of nobody in particular. */
export const tamperOf = (reason: TamperReason, timeMs: number, detail: string): Tamper => ({
  kind: 'tamper',
  reason,
  timeMs,
  process: '',
  chain: [],
  detail,
})
