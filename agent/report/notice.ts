import type { NamedProcess } from '../detect/nodes.ts'
import { type Alert, isOver } from '../domain/alert.ts'
import type { BlindSpot, Evidence, Incident, Report, Severity, Tamper } from '../domain/report.ts'
import { deedOf, gravestOf, tampererOf } from './deed.ts'
import { gravityOf } from './gravity.ts'
import { onOneLine } from './text.ts'

const NOBODY = 0xffffffff

/** A report as messages tell it: a sentence, what it is about, why and what to do. Nothing in it has a second line. */
export interface Notice {
  readonly kind: Report['kind']
  readonly severity: Severity
  /** What it is about: Unix time in milliseconds. */
  readonly timeMs: number
  readonly headline: string
  readonly reasons: readonly string[]
  readonly next: readonly string[]
  /** By names of small letters and underscores, the most useful ones first. */
  readonly fields: readonly (readonly [name: string, value: string])[]
}

type Values = Readonly<Record<string, string | number | undefined>>

/** A report as messages tell it; undefined for one that is not about what is wrong: what was learned, and the last line. */
export function noticeOf(report: Report): Notice | undefined {
  const severity = gravityOf(report)
  switch (report.kind) {
    case 'incident':
      return noticeWith(report, severity, report.lastMs, report.title, incidentValues(report))
    case 'alert':
      return noticeWith(report, severity, report.lastMs, alertHeadline(report), alertValues(report))
    case 'tamper': {
      const headline = `tampering (${report.reason}): ${report.detail}`
      return noticeWith(report, severity, report.timeMs, headline, tamperValues(report))
    }
    case 'blind-spot':
      return noticeWith(report, severity, report.toMs, spotHeadline(report), spotValues(report))
    case 'pattern':
    case 'summary':
      return undefined
  }
}

function noticeWith(
  report: Report,
  severity: Severity | undefined,
  timeMs: number,
  headline: string,
  values: Values,
): Notice | undefined {
  if (severity === undefined) return undefined
  const { reasons, next } = 'reasons' in report ? report : { reasons: [], next: [] }
  return {
    ...{ kind: report.kind, severity, timeMs },
    headline: clean(headline),
    reasons: reasons.map(clean),
    next: next.map(clean),
    fields: Object.entries<string | number | undefined>({ severity, ...values }).flatMap(([name, value]) =>
      value === undefined || value === '' ? [] : [[name, clean(String(value))] as const],
    ),
  }
}

/** Halves of characters are no UTF-8. */
const clean = (text: string): string => onOneLine(text).toWellFormed()

function incidentValues(incident: Incident): Values {
  const { id, rule, score, count } = incident
  const gravest = gravestOf(incident)
  const deed = gravest === undefined ? undefined : deedOf(gravest)
  return {
    ...{ incident: id, rule },
    ...processValues(deed?.process),
    ...{ action: gravest?.kind, target: gravest?.to },
    ...evidenceValues(gravest?.evidence),
    ...{ score: score.toFixed(1), count },
  }
}

const alertHeadline = (alert: Alert): string =>
  isOver(alert) ? `${alert.title}: over, and open until it is reset` : alert.title

function alertValues({ id, source, incident, count, subject }: Alert): Values {
  const subjects = Object.entries(subject).map(([name, value]): [string, string] => [
    name.toLowerCase().replace(/[^a-z0-9_]/g, '_'),
    Array.isArray(value) ? value.join(' ') : String(value),
  ])
  return { ...Object.fromEntries(subjects), alert: id, source, incident, count }
}

function tamperValues(tamper: Tamper): Values {
  const { reason, evidence } = tamper
  return { reason, ...processValues(tampererOf(tamper)?.process), ...evidenceValues(evidence) }
}

const spotHeadline = ({ reason, detail, isOngoing }: BlindSpot): string =>
  `${isOngoing === true ? 'blind' : 'was blind'} (${reason}): ${detail}`

const spotValues = ({ reason, count, isOngoing, fromMs }: BlindSpot): Values => ({
  reason,
  ongoing: isOngoing === true ? 'yes' : 'no',
  count: count === 0 ? undefined : count,
  since: new Date(fromMs).toISOString(),
})

const processValues = (process: NamedProcess | undefined): Values =>
  process === undefined
    ? {}
    : { user: process.user, exe: process.exe, script: process.script, container: process.container }

function evidenceValues(evidence: Evidence | undefined): Values {
  if (evidence === undefined) return {}
  const { pid, ppid, auid, serial, argv, address } = evidence
  return {
    ...{ pid, ppid, auid: auid === NOBODY ? undefined : auid, event: serial, address },
    argv: argv.length === 0 ? undefined : argv.join(' '),
  }
}
