import type { NamedProcess } from '../detect/nodes.ts'
import { type Alert, isOver } from '../domain/alert.ts'
import type { EdgeKind } from '../domain/edge.ts'
import type {
  BlindSpot,
  Evidence,
  Incident,
  IncidentEdge,
  Report,
  Severity,
  Tamper,
} from '../domain/report.ts'
import { type Deed, deedOf, gravestOf, tampererOf } from './deed.ts'
import { noticeOf } from './notice.ts'
import { timeText } from './text.ts'

/** The schema whose names are used: https://www.elastic.co/guide/en/ecs/current/index.html */
const ECS_VERSION = '9.3.0'
/** Middle of the ranges that Elastic Security gives its four grades: the same numbers sort with its own alerts. */
const SEVERITY_NUMBERS: Readonly<Record<Severity, number>> = { low: 21, medium: 47, high: 73, critical: 99 }
const NOBODY = 0xffffffff

type Kind = readonly [category: string, type: string]

const KINDS: Readonly<Record<EdgeKind, Kind>> = {
  exec: ['process', 'start'],
  'memory-exec': ['process', 'start'],
  privilege: ['process', 'change'],
  trace: ['process', 'access'],
  connect: ['network', 'connection'],
  accept: ['network', 'connection'],
  listen: ['network', 'info'],
  create: ['file', 'creation'],
  delete: ['file', 'deletion'],
  rename: ['file', 'change'],
  write: ['file', 'change'],
  attribute: ['file', 'change'],
}

/** Where reports come from, which they do not say themselves. */
export interface Origin {
  /** Name of the host. */
  readonly host: string
  /** Version of fullmon. */
  readonly version: string
}

/** Names of the Elastic Common Schema, as objects within objects. What is undefined is left out of JSON. */
type Fields = Readonly<Record<string, unknown>>

/**
 * A report by the names of the Elastic Common Schema; what that has no name for is below `fullmon`.
 * @returns undefined for what is not about the host: what was learned, and the last line of a run
 */
export function ecsOf(report: Report, { host, version }: Origin): object | undefined {
  const notice = noticeOf(report)
  const told = toldOf(report)
  if (notice === undefined || told === undefined) return undefined
  const { severity, headline, timeMs } = notice
  const { event, ...fields } = told
  return {
    ...{ '@timestamp': timeText(timeMs), message: headline, ecs: { version: ECS_VERSION } },
    event: {
      ...{ module: 'fullmon', dataset: `fullmon.${report.kind}`, severity: SEVERITY_NUMBERS[severity] },
      ...event,
    },
    host: { name: host },
    observer: { product: 'fullmon', type: 'hids', vendor: 'fullmon', version },
    ...fields,
    fullmon: {
      kind: report.kind,
      severity,
      head: 'head' in report ? report.head : undefined,
      ...fields.fullmon,
    },
  }
}

interface Told {
  readonly event: Fields
  readonly fullmon?: Fields
  readonly [name: string]: unknown
}

function toldOf(report: Report): Told | undefined {
  switch (report.kind) {
    case 'incident':
      return ofIncident(report)
    case 'alert':
      return ofAlert(report)
    case 'tamper':
      return ofTamper(report)
    case 'blind-spot':
      return ofBlindSpot(report)
    case 'pattern':
    case 'summary':
      return undefined
  }
}

function ofIncident(incident: Incident): Told {
  const { id, firstMs, lastMs, score, weights, chain, edges, unlisted, count, reasons, next, rule } = incident
  const gravest = gravestOf(incident)
  const deeds = edges.map(deedOf)
  const kinds = edges.map(({ kind }) => KINDS[kind])
  return {
    event: {
      kind: 'alert',
      category: distinct(['intrusion_detection', ...kinds.map(([category]) => category)]),
      type: distinct([...kinds.map(([, type]) => type), 'info']),
      action: gravest?.kind,
      reason: reasons.join('; '),
      id: `incident-${id}`,
      start: timeText(firstMs),
      end: timeText(lastMs),
      risk_score: score,
    },
    ...(rule === undefined ? {} : { rule: { id: rule, name: rule, ruleset: 'fullmon' } }),
    ...(gravest === undefined ? {} : ofDeed(deedOf(gravest))),
    related: relatedOf(deeds),
    fullmon: {
      ...evidenceFields(gravest?.evidence),
      incident: { id, score, weights, chain, count, unlisted, next, edges: edges.map(edgeFields) },
    },
  }
}

function ofDeed({ kind, process, parent, before, peer, path, evidence }: Deed): Fields {
  const { container, exe, script } = process
  const { argv, pid, ppid, comm, mode } = evidence
  const address = {
    address: peer?.host,
    ip: peer?.ip,
    domain: peer?.domain,
    port: peer?.port,
  }
  const hasArgs = argv.length > 0
  return {
    process: {
      ...programOf(process),
      thread: { name: comm.toWellFormed() },
      pid,
      args: hasArgs ? argv.map((word) => word.toWellFormed()) : undefined,
      args_count: hasArgs ? argv.length : undefined,
      command_line: hasArgs ? argv.join(' ').toWellFormed() : undefined,
      parent: { ...(parent === undefined ? {} : programOf(parent)), pid: ppid },
    },
    user: before === undefined ? userOf(process) : { ...userOf(before), effective: userOf(process) },
    ...(container === '' ? {} : { container: { id: container } }),
    ...(peer === undefined ? {} : kind === 'accept' ? { source: address } : { destination: address }),
    ...(path === undefined
      ? {}
      : { file: { path, name: nameOf(path), mode: mode === undefined ? undefined : octal(mode) } }),
    ...(kind === 'exec' && (script.startsWith('/') || exe.includes('(deleted)'))
      ? { file: { path: script === '' ? exe : script, name: nameOf(script === '' ? exe : script) } }
      : {}),
  }
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0')

const edgeFields = (edge: IncidentEdge): Fields => {
  const { kind, from, to, count, firstMs, lastMs, bits, mark, evidence } = edge
  const { serial, syscall, pid, ppid, argv, address } = evidence
  return {
    ...{ kind, from, to, count, bits, mark, serial, syscall, pid, ppid, address },
    ...{ first: timeText(firstMs), last: timeText(lastMs) },
    argv: argv.length === 0 ? undefined : argv.map((word) => word.toWellFormed()),
  }
}

/** An alert is about what a look at the host found, whose subject is named as the field does. */
function ofAlert(alert: Alert): Told {
  const { id, source, key, title, reasons, next, subject, firstMs, lastMs, count, isPresent, state } = alert
  const { mutedUntilMs, incident } = alert
  return {
    event: {
      kind: 'alert',
      category: ['intrusion_detection', ...(ALERT_CATEGORIES[source] ?? [])],
      type: [isOver(alert) ? 'end' : 'start', 'info'],
      action: source,
      reason: reasons.length === 0 ? title : reasons.join('; '),
      id: `alert-${id}`,
      start: timeText(firstMs),
      end: timeText(lastMs),
    },
    ...subjectFields(subject),
    fullmon: {
      alert: {
        ...{ id, source, key, count, present: isPresent, state, incident, next },
        muted_until: mutedUntilMs === undefined ? undefined : timeText(mutedUntilMs),
        // Of any shape: as text it cannot spoil the types of an index.
        subject: JSON.stringify(subject),
      },
    },
  }
}

const ALERT_CATEGORIES: Readonly<Partial<Record<Alert['source'], readonly string[]>>> = {
  process: ['process'],
  count: ['process'],
  missing: ['process'],
  layer: ['file'],
  root: ['host'],
}

function subjectFields(subject: Alert['subject']): Fields {
  const text = (name: string): string | undefined => {
    const value = subject[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const { argv, pids } = subject
  const args = Array.isArray(argv) ? argv.map((word) => String(word).toWellFormed()) : undefined
  const pid = Array.isArray(pids) && typeof pids[0] === 'number' ? pids[0] : undefined
  const [exe, user, container, path] = [text('exe'), text('user'), text('container'), text('path')]
  return {
    ...(exe === undefined && pid === undefined && args === undefined
      ? {}
      : {
          process: {
            ...(exe === undefined ? {} : { executable: exe, name: nameOf(exe) }),
            pid,
            args,
            args_count: args?.length,
            command_line: args?.join(' '),
          },
        }),
    ...(user === undefined ? {} : { user: userOf({ user }), related: { user: [user] } }),
    ...(container === undefined ? {} : { container: { id: container } }),
    ...(path === undefined ? {} : { file: { path, name: nameOf(path) } }),
  }
}

function ofTamper(tamper: Tamper): Told {
  const { reason, timeMs, chain, detail, evidence } = tamper
  const by = tampererOf(tamper)
  return {
    event: {
      kind: 'alert',
      category: ['intrusion_detection', 'configuration'],
      type: ['change', 'info'],
      action: reason,
      reason: detail,
      id: `tamper-${reason}-${timeMs}`,
    },
    ...(by === undefined
      ? {}
      : {
          process: {
            ...programOf(by.process),
            pid: evidence?.pid,
            parent: { ...(by.parent === undefined ? {} : programOf(by.parent)), pid: evidence?.ppid },
          },
          user: userOf(by.process),
        }),
    fullmon: { ...evidenceFields(evidence), tamper: { reason, chain } },
  }
}

function ofBlindSpot({ reason, fromMs, toMs, count, detail, isOngoing }: BlindSpot): Told {
  return {
    event: {
      kind: 'event',
      category: ['host'],
      type: [isOngoing === true ? 'start' : 'end'],
      action: reason,
      reason: detail,
      id: `blind-spot-${reason}-${fromMs}-${toMs}`,
      start: timeText(fromMs),
      ...(isOngoing === true ? {} : { end: timeText(toMs) }),
    },
    fullmon: { blind_spot: { reason, count, ongoing: isOngoing === true } },
  }
}

const evidenceFields = (evidence: Evidence | undefined): Fields =>
  evidence === undefined
    ? {}
    : {
        evidence: {
          serial: evidence.serial,
          syscall: evidence.syscall,
          node: evidence.node === '' ? undefined : evidence.node,
          // The user who logged in, whoever he became since.
          auid: evidence.auid === NOBODY ? undefined : evidence.auid,
        },
      }

function relatedOf(deeds: readonly Deed[]): Fields {
  const some = (values: readonly (string | undefined)[]): readonly string[] | undefined => {
    const found = distinct(values.filter((value): value is string => value !== undefined && value !== ''))
    return found.length === 0 ? undefined : found
  }
  return {
    ip: some(deeds.map(({ peer }) => peer?.ip)),
    hosts: some(deeds.map(({ peer }) => peer?.domain)),
    user: some(deeds.flatMap(({ process, before }) => [process.user, before?.user])),
  }
}

const programOf = ({ exe }: NamedProcess): Fields =>
  exe === '?' ? {} : { executable: exe, name: nameOf(exe.replace(/ \(deleted\)$/, '')) }

/** A user is a number when nobody knows a name. */
const userOf = ({ user }: Pick<NamedProcess, 'user'>): Fields | undefined =>
  user === '' ? undefined : /^\d+$/.test(user) ? { id: user } : { name: user }

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

const distinct = <T>(values: readonly T[]): readonly T[] => [...new Set(values)]
