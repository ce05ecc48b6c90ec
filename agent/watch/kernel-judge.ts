import { z } from 'zod'
import type { BlindReason, BlindSpot } from '../domain/report.ts'
import type { Result } from '../domain/result.ts'
import { type AuditRule, hides, hidesTasks, isNarrower, isSame, records } from './audit-rules.ts'
import type { AuditStatus } from './audit-status.ts'

/** What was found at one look at the kernel. */
export interface KernelLook {
  /** Unix time in milliseconds. */
  readonly timeMs: number
  /** Another one after each boot: counters begin anew. */
  readonly bootId: string
  readonly status: Result<AuditStatus, string>
  readonly loaded: Result<readonly AuditRule[], string>
  /** Why the records do not reach the log that is followed, though somebody receives them. */
  readonly diverted: string | undefined
  /**
   * Since when nothing has arrived though it should: Unix time in milliseconds, and what should have. `unknown` when that
   * cannot be told now.
   */
  readonly silence: { readonly sinceMs: number; readonly detail: string } | 'none' | 'unknown'
}

export interface KernelNews {
  readonly report: BlindSpot
  /** It was so at the first look with this baseline, in training too: nothing to stop learning for. */
  readonly isStanding: boolean
}

/** Judged at every look, and lasting until a look finds otherwise. */
const LASTING = [
  'kernel-unknown',
  'audit-disabled',
  'auditd-stopped',
  'auditd-replaced',
  'rules-missing',
  'never-task',
  'kernel-backlog',
  'nothing-arrives',
] as const satisfies readonly BlindReason[]

type Lasting = (typeof LASTING)[number]

interface Condition {
  readonly count: number
  readonly detail: string
  readonly isStanding?: boolean
}

/** Why records cannot be expected to arrive. */
const STOPS_RECORDS: readonly Lasting[] = [
  'kernel-unknown',
  'audit-disabled',
  'auditd-stopped',
  'auditd-replaced',
  'rules-missing',
  'never-task',
]

/** Undefined: this look does not tell, so that it stays as it was. `none`: it is not so. */
type Verdict = Condition | 'none' | undefined

const BACKLOG_FULL = 0.75
const WRAP = 2 ** 32

const Memory = z.object({
  bootId: z.string(),
  timeMs: z.number(),
  lost: z.number(),
  /** Which rules were wanted: others are others, of which this does not tell. */
  wanted: z.string(),
  /** Rules of others that stood beside or instead of ours at the first look. */
  accepted: z.array(z.string()),
  /** Rules of ours that were missing at the first look, and have been since. */
  standing: z.array(z.string()),
  ongoing: z.array(
    z.object({
      reason: z.enum(LASTING),
      fromMs: z.number(),
      count: z.number(),
      detail: z.string(),
      isStanding: z.boolean(),
    }),
  ),
})
type Memory = z.infer<typeof Memory>
type Ongoing = Memory['ongoing'][number]

/** Compares each look at the kernel with what should be, and with the looks before. */
export class KernelJudge {
  /** Rules of ours that record, and those that hide. */
  private readonly wanted: readonly AuditRule[]
  private readonly hiding: readonly AuditRule[]
  private readonly wantedId: string
  private before: Memory | undefined
  /** Whether the next look must tell what goes on, though it is no news to the memory. */
  private isRestored = false

  /** @param rulesId tells one set of rules from another */
  constructor(rules: readonly AuditRule[], rulesId: string) {
    this.wanted = rules.filter(records)
    this.hiding = rules.filter(hides)
    this.wantedId = rulesId
  }

  /** What must be remembered over a restart, as JSON. */
  get memory(): unknown {
    return this.before
  }

  /** Goes on where `memory` was taken; what lasts is told anew. What is not of this kind is no memory. */
  restore(memory: unknown): void {
    this.isRestored = true
    this.before = Memory.safeParse(memory).data
  }

  /** Whether what the rules record must arrive, as far as the last look told. */
  get isRecording(): boolean {
    return !(this.before?.ongoing ?? []).some(
      ({ reason, isStanding }) => !isStanding && STOPS_RECORDS.includes(reason),
    )
  }

  /** What has begun, changed or ended since the last look, and what was lost. */
  judge(look: KernelLook): KernelNews[] {
    const { before } = this
    const rules = this.judgeRules(look)
    const news = lostNews(look, before)
    const ongoing: Ongoing[] = []
    for (const reason of LASTING) {
      const was = before?.ongoing.find((each) => each.reason === reason)
      const now = reason === 'rules-missing' ? rules.verdict : verdictOf(reason, look)
      const next =
        now === undefined ? was : now === 'none' ? undefined : continued(reason, now, was, look, before)
      if (next !== undefined) ongoing.push(next)
      news.push(...change(was, next, look.timeMs, this.isRestored))
    }
    this.isRestored = false
    this.before = {
      timeMs: look.timeMs,
      ...(look.status.ok || before === undefined
        ? { bootId: look.bootId, lost: look.status.ok ? look.status.value.lost : 0 }
        : { bootId: before.bootId, lost: before.lost }),
      wanted: this.wantedId,
      accepted: rules.accepted,
      standing: rules.standing,
      ongoing,
    }
    return news
  }

  private judgeRules({ loaded }: KernelLook): Pick<Memory, 'accepted' | 'standing'> & { verdict: Verdict } {
    const known = this.before?.wanted === this.wantedId ? this.before : undefined
    if (!loaded.ok)
      return { accepted: known?.accepted ?? [], standing: known?.standing ?? [], verdict: undefined }
    const { value: rules } = loaded
    const accepted =
      known?.accepted ?? rules.filter((rule) => this.isAcceptable(rule)).map(({ text }) => text)
    const isThere = (rule: AuditRule): boolean =>
      rules.some((other) => isSame(rule, other) || (accepted.includes(other.text) && isNarrower(rule, other)))
    const absent = this.wanted.filter((rule) => !isThere(rule))
    const standing = absent.map(({ text }) => text).filter((text) => known?.standing.includes(text) ?? true)
    // What was left out is no loss; what was there is one when it is gone.
    const missing = absent
      .filter(({ isOptional, text }) => !isOptional || !standing.includes(text))
      .map(({ text }) => text)
    const hiding = rules.filter((rule) => this.isForeign(rule) && !accepted.includes(rule.text))
    const isStanding = missing.every((text) => standing.includes(text)) && hiding.length === 0
    const count = missing.length + hiding.length
    const all = this.wanted.length
    const verdict =
      count === 0
        ? 'none'
        : {
            count,
            isStanding,
            detail: rulesText(
              missing,
              hiding.map(({ text }) => text),
              all,
            ),
          }
    return { accepted, standing, verdict }
  }

  /** What a first look takes for the will of the administrator. */
  private isAcceptable(rule: AuditRule): boolean {
    return this.isForeign(rule) || this.wanted.some((ours) => isNarrower(ours, rule))
  }

  /** Whether it hides something, and not by our will. */
  private isForeign(rule: AuditRule): boolean {
    return hides(rule) && !this.hiding.some((ours) => isSame(ours, rule))
  }
}

function rulesText(missing: readonly string[], hiding: readonly string[], all: number): string {
  const [firstMissing] = missing
  const [firstHiding] = hiding
  return [
    ...(firstMissing === undefined
      ? []
      : [`${missing.length} of ${all} rules are not loaded, as ${firstMissing}`]),
    ...(firstHiding === undefined ? [] : [`${hiding.length} new rules hide events, as ${firstHiding}`]),
  ].join('; ')
}

function verdictOf(reason: Exclude<Lasting, 'rules-missing'>, look: KernelLook): Verdict {
  const { status, loaded } = look
  if (reason === 'kernel-unknown') {
    const failed = !status.ok ? status : !loaded.ok ? loaded : undefined
    return failed === undefined ? 'none' : { count: 0, detail: `the kernel cannot be asked: ${failed.error}` }
  }
  if (reason === 'nothing-arrives') {
    const { silence } = look
    return silence === 'unknown'
      ? undefined
      : silence === 'none'
        ? 'none'
        : { count: 0, detail: silence.detail }
  }
  if (reason === 'never-task') {
    if (!loaded.ok) return undefined
    const hiding = loaded.value.filter(hidesTasks)
    const detail = `${hiding[0]?.text ?? ''} hides every process that begins after it`
    return hiding.length === 0 ? 'none' : { count: hiding.length, detail }
  }
  return status.ok ? verdictOfStatus(reason, status.value, look.diverted) : undefined
}

function verdictOfStatus(
  reason: 'audit-disabled' | 'auditd-stopped' | 'auditd-replaced' | 'kernel-backlog',
  { enabled, pid, backlog, backlogLimit }: AuditStatus,
  diverted: string | undefined,
): Verdict {
  switch (reason) {
    case 'audit-disabled':
      return enabled === 0 ? { count: 0, detail: 'the kernel records nothing (enabled 0)' } : 'none'
    case 'auditd-stopped':
      return pid === 0 ? { count: 0, detail: 'nobody receives what the kernel records' } : 'none'
    case 'auditd-replaced':
      return pid === 0 || diverted === undefined ? 'none' : { count: 0, detail: diverted }
    case 'kernel-backlog':
      // No limit is 0; how full it is would be told anew at every look.
      return backlogLimit === 0 || backlog < BACKLOG_FULL * backlogLimit
        ? 'none'
        : { count: backlog, detail: `records wait for auditd, of ${backlogLimit} that may: more are lost` }
  }
}

/** The kernel counts in 32 bits. A count that went back was set to 0 by somebody, or by a boot. */
function lostNews(look: KernelLook, before: Memory | undefined): KernelNews[] {
  if (!look.status.ok || before === undefined) return []
  const { lost } = look.status.value
  const grown = (lost - before.lost + WRAP) % WRAP
  const isSameCount = look.bootId === before.bootId && grown < WRAP / 2
  const count = isSameCount ? grown : lost
  if (count === 0) return []
  const since = isSameCount ? '' : ' since its count began anew'
  return [
    {
      isStanding: false,
      report: {
        kind: 'blind-spot',
        reason: 'kernel-lost',
        fromMs: before.timeMs,
        toMs: look.timeMs,
        count,
        detail: `records that the kernel threw away${since}`,
      },
    },
  ]
}

/** It began at some time after the last look that did not find it. */
function continued(
  reason: Lasting,
  now: Condition,
  was: Ongoing | undefined,
  { timeMs, silence }: KernelLook,
  before: Memory | undefined,
): Ongoing {
  const isStanding = now.isStanding ?? false
  // How many wait changes at every look.
  if (was !== undefined && reason === 'kernel-backlog') return was
  const isNew = was === undefined || was.isStanding !== isStanding
  const sinceMs = reason === 'nothing-arrives' && typeof silence === 'object' ? silence.sinceMs : undefined
  const fromMs = isNew ? (sinceMs ?? before?.timeMs ?? timeMs) : was.fromMs
  return { reason, fromMs, count: now.count, detail: now.detail, isStanding }
}

function change(
  was: Ongoing | undefined,
  next: Ongoing | undefined,
  timeMs: number,
  isTellingAll: boolean,
): KernelNews[] {
  const isEnded = was !== undefined && (next === undefined || next.isStanding !== was.isStanding)
  const isTold =
    !isTellingAll && was !== undefined && !isEnded && was.detail === next?.detail && was.count === next.count
  return [
    ...(isEnded ? [newsOf(was, timeMs, true)] : []),
    ...(next === undefined || isTold ? [] : [newsOf(next, timeMs, false)]),
  ]
}

const newsOf = (
  { reason, fromMs, count, detail, isStanding }: Ongoing,
  timeMs: number,
  isEnded: boolean,
): KernelNews => ({
  isStanding,
  report: {
    kind: 'blind-spot',
    reason,
    fromMs,
    toMs: timeMs,
    count,
    detail,
    ...(isEnded ? {} : { isOngoing: true as const }),
  },
})
