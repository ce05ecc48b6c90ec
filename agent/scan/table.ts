import type { ProcessScan, ScannedProcess } from '../domain/scan.ts'
import { printable } from '../graph/names.ts'

export const SORTS = ['memory', 'cpu', 'score'] as const

export type Sort = (typeof SORTS)[number]

/** What comes first; of equals the one that is more by the other measures. */
const ORDERS: Readonly<Record<Sort, readonly ('rssBytes' | 'cpuPercent' | 'score')[]>> = {
  memory: ['rssBytes', 'cpuPercent', 'score'],
  cpu: ['cpuPercent', 'rssBytes', 'score'],
  score: ['score', 'rssBytes', 'cpuPercent'],
}

export const sortedBy = (processes: readonly ScannedProcess[], sort: Sort): readonly ScannedProcess[] =>
  processes.toSorted(
    (one, other) =>
      ORDERS[sort].map((by) => other[by] - one[by]).find((difference) => difference !== 0) ??
      one.pid - other.pid,
  )

/** Escape sequences for a terminal, empty elsewhere, and how wide it is. */
export interface TableLook {
  readonly bad: string
  readonly dim: string
  readonly off: string
  /** Characters in a line; undefined for any. */
  readonly width: number | undefined
}

const HEADINGS = ['UID', 'PID', 'RSS', '%CPU', 'SCORE'] as const
const COMMAND = 'COMMAND'
const LEAST_COMMAND = 20

/** Processes as a table, in this order, each with the reasons that speak against it below it. */
export function tableOf(processes: readonly ScannedProcess[], look: TableLook): string {
  const rows = processes.map((process) => cellsOf(process))
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((cells) => cells[column]?.length ?? 0)),
  )
  const aligned = (cells: readonly string[]): string =>
    cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join(' ')
  const taken = widths.reduce((sum, width) => sum + width + 1, 0)
  const room = look.width === undefined ? undefined : Math.max(LEAST_COMMAND, look.width - taken)
  const lines = processes.flatMap((process, row) => {
    const { bad, off } = process.isSuspicious ? look : { bad: '', off: '' }
    const note = process.allowlistedBy === null ? '' : ' (allowlisted)'
    const command = cut(commandOf(process), room === undefined ? undefined : room - note.length)
    return [
      `${bad}${aligned(rows[row] ?? [])}${off} ${command}${note}`,
      ...reasonsOf(process).map((reason) => `${look.dim}${' '.repeat(taken)}${reason}${look.off}`),
    ]
  })
  return [`${aligned(HEADINGS)} ${COMMAND}`, ...lines].map((line) => `${line}\n`).join('')
}

const cellsOf = ({ uid, pid, rssBytes, cpuPercent, score }: ScannedProcess): readonly string[] => [
  String(uid),
  String(pid),
  `${(rssBytes / 1_048_576).toFixed(1)}M`,
  cpuPercent.toFixed(1),
  score.toFixed(1),
]

/** What has no command line is called as ps(1) would, in other brackets: those are for threads of the kernel. */
const commandOf = ({ argv, comm }: ScannedProcess): string =>
  printable(argv.some((word) => word !== '') ? argv.join(' ').trimEnd() : `(${comm})`)

function cut(text: string, most: number | undefined): string {
  const characters = Array.from(text)
  return most === undefined || characters.length <= most
    ? text
    : `${characters.slice(0, Math.max(0, most - 3)).join('')}...`
}

/** The reasons for a score, each with what it counts. */
export function reasonsOf({
  marks,
  surprise,
  surpriseReasons,
  allowlistedBy,
  exe,
}: ScannedProcess): string[] {
  const reasons = [
    ...marks.map(({ heuristic, points, reason }) => `${heuristic} ${points.toFixed(1)}: ${reason}`),
    ...(surpriseReasons.length === 0
      ? []
      : [`surprise ${(surprise ?? 0).toFixed(1)}: ${printable(surpriseReasons.join('; '))}`]),
  ]
  if (reasons.length === 0) return []
  const allowed = allowlistedBy === null ? [] : [`allowlisted by ${printable(allowlistedBy)}`]
  return [`runs ${printable(exe)}`, ...reasons, ...allowed]
}

/** How much was looked at, what was found, and what could not be known. */
export function summaryOf({
  processes,
  suspicious,
  unread,
  surpriseFrom,
  unlearned,
  busyMs,
}: ProcessScan): string {
  const found = suspicious === 0 ? 'nothing suspicious' : `${suspicious} suspicious`
  const missing = unreadText(unread)
  const compared =
    unlearned === null
      ? `compared with what was learned from ${surpriseFrom.map((from) => LEARNED_FROM[from]).join(' and ')}`
      : `not compared with what is normal: ${printable(unlearned)}`
  return [
    `${processes.length} processes, ${found}${missing === '' ? '' : ' in what could be read'} (${busyMs} ms)`,
    ...(missing === '' ? [] : [`not read: ${missing}`]),
    compared,
  ]
    .map((line) => `${line}\n`)
    .join('')
}

const LEARNED_FROM = { baseline: 'the log', processes: 'processes' } as const

/** What could not be read, empty when all was. */
export function unreadText({ exe, memory, sockets, cut: parts, isHidden }: ProcessScan['unread']): string {
  const counts = [
    [exe, 'the program of'],
    [memory, 'the memory of'],
    [sockets, 'the sockets of'],
    [parts, 'all of'],
  ] as const
  const texts = counts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${what} ${count} ${count === 1 ? 'process' : 'processes'}`)
  if (isHidden) texts.push('processes of others, which /proc hides')
  return texts.join(', ')
}
