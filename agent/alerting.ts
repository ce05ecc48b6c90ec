import type { AlertBook } from './baseline/alerts.ts'
import { processOf } from './detect/nodes.ts'
import type { Alert, HostLook, Observation, Subject } from './domain/alert.ts'
import { type Incident, SEVERITIES, type Severity, type Tamper } from './domain/report.ts'

/** Which of what is reported stays open until somebody has seen to it. Everything here belongs into a transaction. */
export class Alerting {
  private readonly book: AlertBook
  private readonly least: Severity

  /** @param least gravity from which an incident opens an alert */
  constructor(book: AlertBook, least: Severity) {
    this.book = book
    this.least = least
  }

  /** Takes a report on its way out. */
  take(report: Incident | Tamper): void {
    if (SEVERITIES.indexOf(report.severity ?? 'critical') < SEVERITIES.indexOf(this.least)) return
    if (report.kind === 'tamper') this.book.raise(ofTamper(report), report.timeMs)
    else this.book.raise(ofIncident(report), report.lastMs, report.id)
  }

  /** Takes what looks at the host have found. Returns what is to be told. */
  look(looks: readonly HostLook[], timeMs: number): readonly Alert[] {
    return looks.flatMap((look) => this.book.look(look, timeMs))
  }
}

/** The same rule on the same chain is the same alert; every other incident is one of its own. */
function ofIncident({ id, rule, severity, title, chain, reasons, next, edges }: Incident): Observation {
  const key = rule === undefined ? String(id) : `${rule} ${chain.join('->')}`
  const [first] = edges
  const who = first === undefined ? {} : { argv: first.evidence.argv, pids: [first.evidence.pid] }
  const subject = { ...(rule === undefined ? {} : { rule }), chain, ...ownerIn(first?.from), ...who }
  return { source: 'incident', key, severity, title, reasons, next, subject }
}

function ofTamper({ reason, severity = 'critical', process, chain, detail, evidence }: Tamper): Observation {
  const who = evidence === undefined ? {} : { argv: evidence.argv, pids: [evidence.pid] }
  const subject = { chain, ...ownerIn(process), ...who }
  const next = evidence === undefined ? [] : [`ausearch --event ${evidence.serial}`]
  return {
    ...{ source: 'tamper', key: `${reason} ${process}`, severity, subject, next },
    title: detail,
    reasons: [`tampering: ${reason}`],
  }
}

/** Whose doing it was: nobody's alerts hide those of another. */
function ownerIn(name = ''): Subject {
  const { user, container = '' } = processOf(name) ?? {}
  if (user === undefined) return {}
  return { user, ...(container === '' ? {} : { container }) }
}
