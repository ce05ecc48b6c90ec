import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DEFAULT_LOG } from '../config/places.ts'
import { fail, ok, type Result } from '../domain/result.ts'
import { readProcess } from '../support/procfs.ts'
import { sourceOf } from '../tail/source.ts'
import { KernelJudge, type KernelLook, type KernelNews } from './kernel-judge.ts'
import { isAuditd, isLogOf, readAudit, receiverOf, wantedRules } from './kernel.ts'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'
/** A pid is used again; the exec of a probe that old has long been read, or never will be. */
const MOST_PROBES = 64
/** A probe is missed when it has not arrived at the look after the next one. */
const PATIENCE_LOOKS = 2

interface Probe {
  readonly pid: number
  readonly timeMs: number
  readonly look: number
}

/**
 * Looks at the kernel's audit every so often, and tells what keeps records from reaching the log.
 *
 * Asking is a probe, too: the rules record that a program is started for it. Where that was seen to arrive once it is expected to.
 */
export class KernelWatch {
  /** Where auditd wrote when the watch began, as its settings have it. */
  readonly auditdLog: string | undefined
  private readonly log: string | undefined
  private readonly judge: KernelJudge
  private looks = 0
  private isLooking = false
  private probes: Probe[] = []
  /** The first one that did not arrive in time, until another one arrives. */
  private missed: Probe | undefined
  private hasArrived = false

  private constructor(log: string | undefined, auditdLog: string | undefined) {
    this.log = log
    this.auditdLog = auditdLog
    const wanted = wantedRules()
    const id = createHash('sha256')
    for (const { text } of wanted) id.update(`${text}\n`)
    this.judge = new KernelJudge(wanted, id.digest('hex'))
  }

  /**
   * A watch over this host's kernel; the error is a sentence on why there is none: the log is that of another host, or
   * the kernel does not answer.
   * @throws UsageError when the rules file is missing
   */
  static async over(auditd: string): Promise<Result<KernelWatch, string>> {
    let pid = 0
    const { status } = await readAudit((child) => (pid = child))
    if (!status.ok) return fail(`the kernel's audit is not watched: ${status.error}`)
    const source = sourceOf(auditd)
    const { conf } = receiverOf(status.value.pid)
    if (source.kind === 'stdin' && !isAuditd(readProcess(process.ppid)?.exe ?? ''))
      return fail("the kernel's audit is not watched: the records do not come from an auditd of this host")
    if (source.kind === 'log' && auditd !== DEFAULT_LOG && !isLogOf(conf, auditd))
      return fail(`the kernel's audit is not watched: no auditd of this host writes to ${auditd}`)
    const auditdLog = conf.ok ? conf.value.log_file : undefined
    const watch = new KernelWatch(source.kind === 'log' ? source.path : undefined, auditdLog)
    watch.started(pid, Date.now())
    return ok(watch)
  }

  /**
   * What has begun, changed or ended since the last look. Nothing while another look goes on.
   *
   * @param isBehind whether the log has not been read to its end: what was not read cannot have arrived
   */
  async look(nowMs: number, isBehind: boolean): Promise<readonly KernelNews[]> {
    if (this.isLooking) return []
    this.isLooking = true
    try {
      this.looks++
      // Taken before the new probe starts.
      const silence = this.silence(isBehind)
      const { status, loaded } = await readAudit((pid) => this.started(pid, nowMs))
      const diverted = status.ok ? this.divertedBy(status.value.pid) : undefined
      return this.judge.judge({ timeMs: nowMs, bootId: bootId(), status, loaded, diverted, silence })
    } finally {
      this.isLooking = false
    }
  }

  /** Must be told of each exec event by its pid. True when it was the watch's own asking, which is nobody's deed. */
  sawExec(pid: number): boolean {
    const index = this.probes.findIndex((probe) => probe.pid === pid)
    if (index < 0) return false
    this.hasArrived = true
    this.missed = undefined
    // Those before it were lost on the way, which the serial numbers tell.
    this.probes = this.probes.slice(index + 1)
    return true
  }

  /** What must be remembered over a restart, as JSON; undefined before the first look. */
  get memory(): unknown {
    return this.judge.memory
  }

  /** Goes on where `memory` was taken: the next look tells anew what lasts. */
  restore(memory: unknown): void {
    this.judge.restore(memory)
  }

  private started(pid: number, timeMs: number): void {
    this.probes = [...this.probes, { pid, timeMs, look: this.looks }].slice(-MOST_PROBES)
  }

  private silence(isBehind: boolean): KernelLook['silence'] {
    if (!this.hasArrived) return 'unknown'
    if (this.missed === undefined) {
      if (isBehind || !this.judge.isRecording) {
        this.probes = []
        return 'unknown'
      }
      const [oldest] = this.probes
      if (oldest === undefined || this.looks - oldest.look < PATIENCE_LOOKS) return 'none'
      this.missed = oldest
    }
    const { pid, timeMs } = this.missed
    return {
      sinceMs: timeMs,
      detail: `the kernel was asked by pid ${pid}, and no record of its start has arrived`,
    }
  }

  private divertedBy(pid: number): string | undefined {
    const { exe, conf } = receiverOf(pid)
    if (exe === undefined) return undefined
    if (!isAuditd(exe)) return `pid ${pid} (${printable(exe)}) receives the records instead of auditd`
    if (this.log === undefined || !conf.ok || isLogOf(conf, this.log)) return undefined
    return `auditd writes to ${printable(conf.value.log_file)}, not to ${printable(this.log)}`
  }
}

const bootId = (): string => readFileSync(BOOT_ID, 'latin1').trim()

const printable = (text: string): string => text.replace(/\p{Cc}/gu, '?')
