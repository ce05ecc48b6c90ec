import type {
  BlindSpot,
  DnsCounts,
  Evidence,
  Incident,
  IncidentEdge,
  Report,
  Summary,
  Tamper,
} from '../domain/report.ts'

/** Escape sequences for a terminal; empty strings elsewhere. */
export interface Colours {
  readonly bad: string
  readonly dim: string
  readonly off: string
}

export const PLAIN: Colours = { bad: '', dim: '', off: '' }
export const ANSI: Colours = { bad: '\u001b[1;31m', dim: '\u001b[2m', off: '\u001b[0m' }

const WIDEST_KIND = 11
/** As much of the journal's head as a person compares. */
const HEAD_DIGITS = 12

/** A report for a person, on one line or, for an incident, several, whatever the names in it are. */
export function textOf(report: Report, colours: Colours = PLAIN): string {
  switch (report.kind) {
    case 'incident':
      return incidentText(report, colours)
    case 'tamper':
      return tamperText(report, colours)
    case 'blind-spot':
      return blindSpotText(report, colours)
    case 'pattern':
      return `+ignore ${onOneLine(report.pattern)}`
    case 'summary':
      return summaryText(report)
  }
}

/** The incident in one line, and one line for each of its edges. */
function incidentText(incident: Incident, { bad, dim, off }: Colours): string {
  const { id, firstMs, severity, title, edges } = incident
  const head = `${timeText(firstMs)} ${bad}${severity}${off} ${onOneLine(title)} ${dim}[incident ${id}]${off}`
  return [head, ...edges.map((edge) => `  ${edgeText(edge, dim, off)}`)].join('\n')
}

function edgeText({ kind, chain, count, evidence }: IncidentEdge, dim: string, off: string): string {
  const often = count === 1 ? '' : `, ${count} times`
  const where = `[event ${evidence.serial}, ${whoOf(evidence)}${often}]`
  return `${kind.padEnd(WIDEST_KIND)} ${onOneLine(chain.join('->'))} ${dim}${where}${off}`
}

function tamperText({ timeMs, reason, chain, detail, evidence }: Tamper, { bad, dim, off }: Colours): string {
  const path = chain.length === 0 ? '' : `${onOneLine(chain.join('->'))}: `
  const where = evidence === undefined ? '' : ` ${dim}[event ${evidence.serial}, ${whoOf(evidence)}]${off}`
  return `${timeText(timeMs)} ${bad}tamper ${reason}${off} ${path}${onOneLine(detail)}${where}`
}

const whoOf = ({ pid, auid }: Evidence): string =>
  auid === 0xffffffff ? `pid ${pid}` : `pid ${pid}, auid ${auid}`

function blindSpotText(spot: BlindSpot, { dim, off }: Colours): string {
  const { fromMs, toMs, reason, count, detail, isOngoing } = spot
  const amount = count === 0 ? '' : ` ${count}`
  const since = `since ${timeText(fromMs)}${isOngoing === true ? ', and it lasts' : ''}`
  return `${timeText(toMs)} blind  ${reason}:${amount} ${onOneLine(detail)} ${dim}[${since}]${off}`
}

function summaryText(summary: Summary): string {
  const { records, events, edges, unseen, unreadable, lost, forged, coverage, head } = summary
  return (
    `${records} records, ${events} events in ${(summary.elapsedMs / 1000).toFixed(0)} s of log; ` +
    `${edges} edges in the baseline, ${unseen} unseen; ${unreadable} lines unreadable, ${lost} events lost` +
    (forged === 0 ? '' : `, ${forged} lines forged`) +
    (summary.dns === undefined ? '' : dnsText(summary.dns)) +
    (coverage === 'complete' ? '' : '; not everything was seen') +
    (head === undefined ? '' : `; journal ${head.slice(0, HEAD_DIGITS)}`)
  )
}

const dnsText = ({ answers, unread, distrusted }: DnsCounts): string =>
  `; ${answers} names resolved` +
  (unread === 0 ? '' : `, ${unread} parts of DNS unread`) +
  (distrusted === 0 ? '' : `, ${distrusted} by servers that were not there in the training`)

/** Names are made printable where they come from; here it is made sure that nothing else can write a second line. */
export const onOneLine = (text: string): string => text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '?')

/** UTC, to the millisecond, as the audit log stamps it; a stamp that no calendar knows in milliseconds. */
export function timeText(timeMs: number): string {
  const date = new Date(timeMs)
  return Number.isNaN(date.getTime()) ? `${timeMs} ms` : date.toISOString()
}
