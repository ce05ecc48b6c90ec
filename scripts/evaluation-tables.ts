/** An evaluation as Markdown that can be read in a terminal too. Titles and names come from the log and are hostile. */
import type { Incident } from '../agent/domain/report.ts'
import { type Evaluation, type Goal, goalsOf, type Measured, printed, type Step } from './evaluation.ts'

const MINUTE_MS = 60_000
const MISSED = '**missed**'
const WIDEST_FILLED = 30
/** Of an incident of ordinary life. */
const MOST_EDGES = 8
/** Incidents of ordinary life, by score. */
const MOST_LISTED = 15
const QUARTER = 'the first quarter of the training'

type Row = readonly string[]

/** Figures beside the goals, the steps of the attack, and what was reported of ordinary life. */
export function tablesOf(measured: Measured): string {
  const { whole, quarter } = measured
  return [
    figures(measured),
    table(['goal', 'wanted', 'measured', ''], goalsOf(measured).map(goalRow)),
    ...(whole === undefined ? [] : [...attackOf(whole), ...lifeOf('the whole training', whole)]),
    ...(quarter === undefined ? [] : [...missedOf(QUARTER, quarter), ...lifeOf(QUARTER, quarter)]),
  ].join('\n')
}

function figures({ whole, quarter }: Measured): string {
  const columns = [
    { name: 'whole training', of: whole },
    { name: 'first quarter', of: quarter },
  ].flatMap(({ name, of }) => (of === undefined ? [] : [{ name, of }]))
  const row = (what: string, figure: (of: Evaluation) => string | number): Row => [
    what,
    ...columns.map(({ of }) => String(figure(of))),
  ]
  return table(
    ['trained on', ...columns.map(({ name }) => name)],
    [
      row('records', ({ records }) => records),
      row('minutes of training', ({ trainingMs }) => minutes(trainingMs)),
      row('minutes from there to the attack', ({ benignMs }) => minutes(benignMs)),
      row('incidents during the training', ({ duringTraining }) => duringTraining),
      row('incidents from there to the attack', ({ benign }) => benign.length),
      row('… of these in the benign phase', ({ benignPhase }) => benignPhase),
      row('incidents in the attack phase', ({ attack }) => attack),
      row('incidents of rules before the attack', ({ rules }) => rules.benign),
      row('incidents of rules in the attack phase', ({ rules }) => rules.attack),
      row(
        'attack steps that rules told at once',
        ({ steps }) => `${steps.filter(({ rules }) => rules.length > 0).length} of ${steps.length}`,
      ),
      row('attack steps covered', ({ covered, steps }) => `${covered} of ${steps.length}`),
      row(
        'steps ranked above every benign incident',
        ({ aboveBenign, steps }) => `${aboveBenign} of ${steps.length}`,
      ),
    ],
  )
}

const minutes = (ms: number): string => (ms / MINUTE_MS).toFixed(1)

const goalRow = ({ what, wanted, measured, isMet }: Goal): Row => [
  what,
  wanted,
  String(measured),
  isMet ? 'met' : '**not met**',
]

function attackOf({ steps }: Evaluation): readonly string[] {
  return [
    'The attack, trained on the whole training:\n',
    table(['step', 'incident', 'severity', 'score', 'rank', 'title'], steps.map(stepRow)),
    'Rules told at once of these steps:\n',
    ...steps.flatMap(({ name, rules }) => (rules.length === 0 ? [] : [`- ${name}: ${rules.join(', ')}`])),
    '',
    'Where these incidents lead in each step:\n',
    ...steps.map(
      ({ name, best }) => `- ${name}: ${best === undefined ? MISSED : chainOf(best.chain, best.edge)}`,
    ),
    '',
  ]
}

function missedOf(title: string, { steps }: Evaluation): readonly string[] {
  const missed = steps.filter(({ best }) => best === undefined).map(({ name }) => name)
  return missed.length === 0 ? [] : [`Steps missed, trained on ${title}: ${missed.join(', ')}.\n`]
}

function lifeOf(title: string, { benign }: Evaluation): readonly string[] {
  if (benign.length === 0) return [`Ordinary life, trained on ${title}: no incident.\n`]
  return [
    `Ordinary life, trained on ${title}:\n`,
    ...loudest(benign).flatMap(({ id, severity, score, title, edges }) => [
      `- incident ${id}, ${severity}, ${score.toFixed(1)} bits: ${plain(title)}`,
      ...edges
        .slice(0, MOST_EDGES)
        .map((edge) => `  - ${code(printed(edge))} (${edge.count}×, ${edge.bits.toFixed(1)} bits)`),
      ...(edges.length > MOST_EDGES ? [`  - and ${edges.length - MOST_EDGES} more`] : []),
    ]),
    ...(benign.length > MOST_LISTED ? [`- and ${benign.length - MOST_LISTED} with lower scores`] : []),
    '',
  ]
}

const loudest = (incidents: readonly Incident[]): readonly Incident[] =>
  incidents.toSorted((one, other) => other.score - one.score).slice(0, MOST_LISTED)

const stepRow = ({ name, best, rank }: Step): Row =>
  best === undefined
    ? [name, '', '', '', '', MISSED]
    : [name, String(best.id), best.severity, best.score.toFixed(1), String(rank), plain(best.title)]

const chainOf = (chain: readonly string[], edge: string): string =>
  `${code(edge.split(' ', 1)[0] ?? '')} ${code(chain.join('->'))}`

/** In a code span nothing is markup but the backtick. */
const code = (text: string): string => `\`${visible(text).replaceAll('`', "'")}\``

/** Text that is no markup, and no cell either. */
const plain = (text: string): string => visible(text.replace(/[\\|`*<[]/g, String.raw`\$&`))

/** A terminal obeys control characters, and some characters turn the order of others around. */
const visible = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )

function table(head: Row, rows: readonly Row[]): string {
  const longest = (column: number): number =>
    Math.max(3, ...[head, ...rows].map((row) => (row[column] ?? '').length))
  // A last column of long texts is not filled up with blanks.
  const widths = head.map((_, column) =>
    column === head.length - 1 && longest(column) > WIDEST_FILLED ? 3 : longest(column),
  )
  const line = (row: Row): string =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |\n`
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('')
}
