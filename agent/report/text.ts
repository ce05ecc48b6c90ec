import { type Alert, isOver } from '../domain/alert.ts'
import type {
  BlindSpot,
  DnsCounts,
  Evidence,
  Incident,
  IncidentEdge,
  Report,
  Severity,
  Summary,
  Tamper,
} from '../domain/report.ts'
import { type Branches, drawnTree } from './tree.ts'

/** Escape sequences for a terminal, empty strings elsewhere, and what a tree is drawn with. */
export interface Look {
  readonly bad: string
  readonly dim: string
  readonly off: string
  readonly severities: Readonly<Record<Severity, string>>
  readonly branches: Branches
}

const LINES: Branches = { middle: '├─ ', last: '└─ ', past: '│  ', none: '   ', more: '…' }
const ASCII: Branches = { middle: '|- ', last: '`- ', past: '|  ', none: '   ', more: '...' }

export const PLAIN: Look = {
  ...{ bad: '', dim: '', off: '' },
  severities: { low: '', medium: '', high: '', critical: '' },
  branches: LINES,
}
export const ANSI: Look = {
  ...{ bad: '\u001b[1;31m', dim: '\u001b[2m', off: '\u001b[0m' },
  severities: {
    low: '\u001b[36m',
    medium: '\u001b[33m',
    high: '\u001b[31m',
    critical: '\u001b[1;37;41m',
  },
  branches: LINES,
}

/** The same for a terminal or a file that has no lines to draw with. */
export const inAscii = (look: Look): Look => ({ ...look, branches: ASCII })

/** How text looks where it goes to. */
export function lookFor({ isColoured, isUnicode }: { isColoured: boolean; isUnicode: boolean }): Look {
  const look = isColoured ? ANSI : PLAIN
  return isUnicode ? look : inAscii(look)
}

/** As much of the journal's head as a person compares. */
const HEAD_DIGITS = 12
/** Characters of the arguments of a program: who wants all finds them in the log. */
const LONGEST_ARGV = 80
const NOBODY = 0xffffffff

/** A report for a person, on one line or, for an incident, several, whatever the names in it are. */
export function textOf(report: Report, look: Look = PLAIN): string {
  switch (report.kind) {
    case 'incident':
      return incidentText(report, look)
    case 'alert':
      return alertText(report, look)
    case 'tamper':
      return tamperText(report, look)
    case 'blind-spot':
      return blindSpotText(report, look)
    case 'pattern':
      return `+ignore ${onOneLine(report.pattern)}`
    case 'summary':
      return summaryText(report)
  }
}

/** The incident in one line; below it its chains as a tree, why it is unusual, and what to do. */
function incidentText(incident: Incident, look: Look): string {
  const { edges, unlisted = 0, reasons, next } = incident
  const { dim, off, branches } = look
  const tree = drawnTree(edges, unlisted, {
    branches,
    edge: (edge) => edgeText(edge, look),
    known: (names) => `${dim}${onOneLine(names.join('->'))}${off}`,
    more: (text) => `${branches.more} ${text}: fullmon incidents ${incident.id} --json`,
  })
  return [
    incidentLine(incident, look),
    ...tree.map((line) => `  ${line}`),
    ...labelled('why:', reasons),
    ...labelled('next:', next),
  ].join('\n')
}

/** The incident in one line. */
function incidentLine({ id, firstMs, severity, title }: Incident, look: Look): string {
  const { dim, off, severities, branches } = look
  const told = onOneLine(title).replaceAll('…', branches.more)
  return `${timeText(firstMs)} ${severities[severity]}${severity}${off} ${told} ${dim}[incident ${id}]${off}`
}

/** What is wrong in one line, and below it why, and what to do, as for an incident. */
function alertText(alert: Alert, { dim, off, severities }: Look): string {
  const { id, lastMs, severity, title, reasons, next } = alert
  const told = `${timeText(lastMs)} ${severities[severity]}${severity}${off} ${onOneLine(title)}`
  const where = `${dim}[alert ${id}]${off}`
  if (isOver(alert)) return `${told}: over, and open until it is reset ${where}`
  return [`${told} ${where}`, ...labelled('why:', reasons), ...labelled('next:', next)].join('\n')
}

const labelled = (name: string, texts: readonly string[]): string[] =>
  texts.map((text, index) => `  ${(index === 0 ? name : '').padEnd(6)}${onOneLine(text)}`)

/** What was unseen is marked; the chain before it stands in the lines above. */
function edgeText({ kind, to, count, evidence }: IncidentEdge, { bad, dim, off, branches }: Look): string {
  const often = count === 1 ? '' : `, ${count} times`
  const where = `[event ${evidence.serial}, ${whoOf(evidence)}${often}]`
  const argv = argvText(evidence.argv, branches.more)
  const address = evidence.address === undefined ? '' : ` (${onOneLine(evidence.address)})`
  return `${bad}*${off} ${kind} ${onOneLine(to)}${address} ${dim}${where}${off}${argv === '' ? '' : ` ${argv}`}`
}

function argvText(argv: readonly string[], more: string): string {
  const characters = Array.from(onOneLine(argv.join(' ')))
  return characters.length <= LONGEST_ARGV
    ? characters.join('')
    : characters.slice(0, LONGEST_ARGV).join('') + more
}

function tamperText(tamper: Tamper, { bad, dim, off }: Look): string {
  const { timeMs, reason, severity, chain, detail, evidence } = tamper
  const grade = severity === undefined ? '' : ` (${severity})`
  const path = chain.length === 0 ? '' : `${onOneLine(chain.join('->'))}: `
  const where = evidence === undefined ? '' : ` ${dim}[event ${evidence.serial}, ${whoOf(evidence)}]${off}`
  return `${timeText(timeMs)} ${bad}tamper ${reason}${grade}${off} ${path}${onOneLine(detail)}${where}`
}

const whoOf = ({ pid, auid }: Evidence): string =>
  auid === NOBODY ? `pid ${pid}` : `pid ${pid}, auid ${auid}`

function blindSpotText(spot: BlindSpot, { dim, off }: Look): string {
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
export const onOneLine = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, '?')

/** UTC, to the millisecond, as the audit log stamps it; a stamp that no calendar knows in milliseconds. */
export function timeText(timeMs: number): string {
  const date = new Date(timeMs)
  return Number.isNaN(date.getTime()) ? `${timeMs} ms` : date.toISOString()
}
