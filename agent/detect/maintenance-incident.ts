import type { Finding, Incident } from '../domain/report.ts'
import type { Upkeep } from './maintenance.ts'
import { baseName, processOf } from './nodes.ts'
import type { Transaction } from './transactions.ts'

/** Edges that a report lists; the baseline has them all. */
const MOST_LISTED = 40
/** Names in a title, and in a reason. */
const MOST_IN_TITLE = 4
const MOST_IN_REASON = 40
/** In bits: what is ordinary is no surprise, and each thing that is not ordinary among it is worth a look. */
const ORDINARY_BITS = 0.5
const RAISED_BITS = 8

/** What was done in one tree. */
interface Done {
  readonly findings: readonly Finding[]
  /** Of all of it, listed or not. */
  readonly edges: number
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
}

/** Makes the incident of what package managers did, or of what they brought. */
export function maintenanceIncident(id: number, done: Done, { transaction, isAfterwards }: Upkeep): Incident {
  const { findings } = done
  const raised = isAfterwards ? [] : raisedBy(transaction)
  return withEdges(id, done, {
    severity: raised.length === 0 ? 'low' : 'medium',
    score: ORDINARY_BITS + RAISED_BITS * raised.length,
    title: isAfterwards ? titleAfterwards(findings, transaction) : titleOf(transaction),
    chain: isAfterwards ? (findings[0]?.chain ?? []) : chainOf(findings, transaction),
    reasons: [...raised, ...(isAfterwards ? reasonsAfterwards(transaction) : reasonsOf(transaction))],
    next: [
      ...(raised.length === 0 ? [] : ['find out who asked for this, and where the packages come from']),
      transaction.history,
      ...(raised.length === 0 ? [] : [`fullmon accept ${id} (when it was meant to be)`]),
    ],
  })
}

/** Makes the incident of what a boot has started. */
export function bootIncident(id: number, done: Done): Incident {
  const { findings } = done
  return withEdges(id, done, {
    severity: 'low',
    score: ORDINARY_BITS,
    title: `the host was booted, and what starts with it did something for the first time: ${listOf(programsOf(findings))}`,
    chain: findings[0]?.chain.slice(0, 1) ?? [],
    reasons: [
      'init has started all of it soon after the boot, and nobody had logged in',
      'these programs were seen before, or packages have brought them',
    ],
    next: ['journalctl --list-boots', 'journalctl -b'],
  })
}

/** Who has done what is told as one, and what a person is told of it. */
function withEdges(
  id: number,
  { findings, edges, count, firstMs, lastMs }: Done,
  told: Pick<Incident, 'severity' | 'score' | 'title' | 'chain' | 'reasons' | 'next'>,
): Incident {
  const listed = listedOf(findings)
  const { severity, score, title, chain, reasons, next } = told
  return {
    kind: 'incident',
    ...{ id, firstMs, lastMs, severity, score, title, chain },
    edges: listed.map(({ edge, evidence, ...rest }) => ({
      ...edge,
      count: evidence.count,
      ...rest,
      evidence,
    })),
    ...(listed.length < edges ? { unlisted: edges - listed.length } : {}),
    ...{ count, reasons, next },
  }
}

function titleOf({ manager, user, changed, removed, unnamed }: Transaction): string {
  const parts = [
    changed.size === 0 ? '' : `installed or changed ${counted(changed.size + unnamed)}: ${listOf(changed)}`,
    removed.size === 0 ? '' : `removed ${counted(removed.size)}: ${listOf(removed)}`,
  ].filter((part) => part !== '')
  return `${manager} (${user}) ${parts.length === 0 ? 'was at work, and changed no package' : parts.join('; ')}`
}

function titleAfterwards(findings: readonly Finding[], { manager }: Transaction): string {
  return `after ${manager} was at work, what it had brought did something for the first time: ${listOf(programsOf(findings))}`
}

/** Names of those that did something. */
const programsOf = (findings: readonly Finding[]): ReadonlySet<string> =>
  new Set(findings.flatMap(({ edge }) => nameOf(edge.kind === 'exec' ? edge.to : edge.from) ?? []))

const reasonsOf = ({ changed, removed, managers, lastMs, firstMs }: Transaction): readonly string[] => [
  `all of it was done below ${managers.join(', ')} within ${Math.ceil((lastMs - firstMs + 1) / 1000)} s`,
  ...(changed.size <= MOST_IN_TITLE ? [] : [`installed or changed: ${listOf(changed, MOST_IN_REASON)}`]),
  ...(removed.size <= MOST_IN_TITLE ? [] : [`removed: ${listOf(removed, MOST_IN_REASON)}`]),
]

const reasonsAfterwards = ({ manager, changed }: Transaction): readonly string[] => [
  changed.size === 0
    ? `${manager} has put these programs in place within the last day`
    : `within the last day ${manager} has installed or changed ${listOf(changed, MOST_IN_REASON)}`,
]

const raisedBy = ({ reasons, setuid }: Transaction): readonly string[] => [
  ...reasons,
  ...[...setuid].slice(0, MOST_IN_TITLE).map((path) => `a package has brought ${path}, which is setuid`),
]

/** From the oldest known ancestor to the package manager that began, as far as anything that was unseen leads there. */
function chainOf(findings: readonly Finding[], { manager }: Transaction): readonly string[] {
  for (const { chain } of findings) {
    const at = chain.findIndex((name) => nameOf(name) === manager)
    if (at !== -1) return chain.slice(0, at + 1)
  }
  return findings[0]?.chain ?? []
}

/** Programs and peers before files: these are what a person asks for. */
function listedOf(findings: readonly Finding[]): readonly Finding[] {
  if (findings.length <= MOST_LISTED) return findings
  const isFile = ({ edge }: Finding): boolean => edge.to.startsWith('file:')
  return [...findings.filter((finding) => !isFile(finding)), ...findings.filter(isFile)]
    .slice(0, MOST_LISTED)
    .sort((one, other) => one.firstMs - other.firstMs)
}

function nameOf(process: string): string | undefined {
  const named = processOf(process)
  if (named === undefined) return undefined
  return baseName(named.script.startsWith('/') ? named.script : named.exe)
}

const counted = (count: number): string => (count === 1 ? '1 package' : `${count} packages`)

function listOf(names: ReadonlySet<string>, most = MOST_IN_TITLE): string {
  const sorted = [...names].sort()
  const more = sorted.length > most ? ` and ${sorted.length - most} more` : ''
  return sorted.slice(0, most).join(', ') + more
}
