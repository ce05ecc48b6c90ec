/** What a replay of a recording with known attacks is worth: steps covered, incidents of ordinary life, and who ranks first. */
import type { Incident, IncidentEdge, Report, Severity } from '../agent/domain/report.ts'

/** An event may carry a stamp this much older than the mark before it: the kernel's clock is coarse. */
const COARSE_MS = 10

/** A line of phases.jsonl: the phases `train`, `benign`, `attack` (and `start` and `end`), and each step of the attack. */
export interface Mark {
  readonly timeMs: number
  readonly kind: 'phase' | 'attack'
  readonly name: string
  readonly what: string
  /** A regular expression that `KIND FROM->TO` of one of the step's edges must match; without it every edge will do. */
  readonly leadsTo?: RegExp
}

export interface Step {
  readonly name: string
  readonly what: string
  /** The incident with the highest score that has an edge of this step; undefined when the step was missed. */
  readonly best?: {
    readonly id: number
    readonly severity: Severity
    readonly score: number
    readonly title: string
    /** Of the edge with the most surprise among those of the step: where the incident leads. */
    readonly chain: readonly string[]
    readonly edge: string
  }
  /**
   * 1 when no incident of ordinary life alone has as high a score; one more for each that has. Undefined when missed.
   */
  readonly rank?: number
  /** Ids of the rules that told of it at once. */
  readonly rules: readonly string[]
}

export interface Evaluation {
  readonly records: number
  /** From the beginning of the training to its end. */
  readonly trainingMs: number
  /** From the end of the training to the attack. */
  readonly benignMs: number
  /** What was reported although it was learned: never-learn edges and the like. */
  readonly duringTraining: number
  /** Between the end of the training and the attack. */
  readonly benign: readonly Incident[]
  /** Of these, in the phase `benign`; the same when the training lasted until then. */
  readonly benignPhase: number
  readonly attack: number
  readonly steps: readonly Step[]
  /** Incidents that rules raised, before the attack and from there on; they are in none of the other numbers. */
  readonly rules: { readonly benign: number; readonly attack: number }
  readonly covered: number
  /** Steps whose best incident ranks above every one of ordinary life. */
  readonly aboveBenign: number
}

/**
 * Marks from the text of phases.jsonl.
 * @throws Error with the line that cannot be read, or with the phase that is missing
 */
export function readMarks(text: string): readonly Mark[] {
  const marks = text
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, number }) => readMark(line, number))
  for (const name of ['train', 'benign', 'attack']) phaseMs(marks, name)
  return marks
}

function readMark(line: string, number: number): Mark {
  const wrong = new Error(`line ${number} is no mark: ${line.slice(0, 80)}`)
  let read: { t?: unknown; kind?: unknown; name?: unknown; what?: unknown; leadsTo?: unknown }
  try {
    read = JSON.parse(line) as typeof read
  } catch {
    throw wrong
  }
  const { t, kind, name, what = '', leadsTo } = read
  if (typeof t !== 'number' || typeof name !== 'string' || typeof what !== 'string') throw wrong
  if (kind !== 'phase' && kind !== 'attack') throw wrong
  const mark = { timeMs: Math.round(t * 1000), kind, name, what } as const
  return typeof leadsTo === 'string' ? { ...mark, leadsTo: new RegExp(leadsTo) } : mark
}

/** @throws Error when there is no such phase */
export function phaseMs(marks: readonly Mark[], name: string): number {
  const mark = marks.find((mark) => mark.kind === 'phase' && mark.name === name)
  if (mark === undefined) throw new Error(`there is no phase '${name}'`)
  return mark.timeMs
}

/** When a quarter of the training has passed. */
export function firstQuarterMs(marks: readonly Mark[]): number {
  const train = phaseMs(marks, 'train')
  return Math.round(train + (phaseMs(marks, 'benign') - train) / 4)
}

/** Judges the reports of a replay that was trained until then. @throws Error when the replay has no summary */
export function evaluate(
  reports: readonly Report[],
  marks: readonly Mark[],
  trainedUntilMs: number,
): Evaluation {
  const summary = reports.find((report) => report.kind === 'summary')
  if (summary === undefined) throw new Error('the replay did not come to its end')
  const all = reports.filter((report) => report.kind === 'incident')
  const incidents = all.filter(({ rule }) => rule === undefined)
  const byRules = all.filter(({ rule }) => rule !== undefined)
  const attackMs = phaseMs(marks, 'attack')
  const within = (fromMs: number, toMs: number): readonly Incident[] =>
    incidents.filter((incident) => incident.edges.some(isWithin(fromMs - COARSE_MS, toMs)))
  const benign = within(trainedUntilMs, attackMs - COARSE_MS)
  // An incident that began before the attack and has a part in it owes its score to both.
  const onlyBenign = benign.filter(
    ({ edges }) => !edges.some(isWithin(attackMs - COARSE_MS, Number.POSITIVE_INFINITY)),
  )
  const steps = stepsOf(marks).map(({ mark, toMs }): Step => {
    const isOfStep = isWithin(mark.timeMs - COARSE_MS, toMs - COARSE_MS)
    const found = judge(mark, toMs, incidents, onlyBenign)
    return {
      // What a rule has told is told once when there is nothing more to say.
      ...(found.best === undefined ? judge(mark, toMs, byRules, onlyBenign) : found),
      rules: [...new Set(byRules.flatMap(({ edges, rule = '' }) => (edges.some(isOfStep) ? [rule] : [])))],
    }
  })
  return {
    records: summary.records,
    trainingMs: trainedUntilMs - phaseMs(marks, 'train'),
    benignMs: attackMs - trainedUntilMs,
    duringTraining: incidents.filter(({ edges }) => edges.some(isWithin(0, trainedUntilMs - COARSE_MS)))
      .length,
    benign,
    benignPhase: within(Math.max(trainedUntilMs, phaseMs(marks, 'benign')), attackMs - COARSE_MS).length,
    attack: within(attackMs, Number.POSITIVE_INFINITY).length,
    steps,
    rules: {
      benign: byRules.filter(({ firstMs }) => firstMs < attackMs - COARSE_MS).length,
      attack: byRules.filter(({ firstMs }) => firstMs >= attackMs - COARSE_MS).length,
    },
    covered: steps.filter(({ best }) => best !== undefined).length,
    aboveBenign: steps.filter(({ rank }) => rank === 1).length,
  }
}

const isWithin =
  (fromMs: number, toMs: number) =>
  ({ firstMs }: IncidentEdge): boolean =>
    firstMs >= fromMs && firstMs < toMs

/** Each step lasts until the next one, the last one until the end; without that, as long as the log does. */
function stepsOf(marks: readonly Mark[]): readonly { readonly mark: Mark; readonly toMs: number }[] {
  const steps = marks.filter(({ kind }) => kind === 'attack')
  const endMs =
    marks.find(({ kind, name }) => kind === 'phase' && name === 'end')?.timeMs ?? Number.POSITIVE_INFINITY
  return steps.map((mark, index) => ({ mark, toMs: steps[index + 1]?.timeMs ?? endMs }))
}

function judge(
  mark: Mark,
  toMs: number,
  incidents: readonly Incident[],
  benign: readonly Incident[],
): Omit<Step, 'rules'> {
  const isThere = ({ leadsTo }: Mark, edge: IncidentEdge): boolean => leadsTo?.test(printed(edge)) ?? true
  // What was stamped just before the next mark may already be of the next step.
  for (const untilMs of [toMs - COARSE_MS, toMs]) {
    const belongs = isWithin(mark.timeMs - COARSE_MS, untilMs)
    const step = bestOf(mark, incidents, (edge) => belongs(edge) && isThere(mark, edge), benign)
    if (step !== undefined) return step
  }
  return { name: mark.name, what: mark.what }
}

function bestOf(
  { name, what }: Mark,
  incidents: readonly Incident[],
  leadsThere: (edge: IncidentEdge) => boolean,
  benign: readonly Incident[],
): Omit<Step, 'rules'> | undefined {
  const best = highest(
    incidents.filter(({ edges }) => edges.some(leadsThere)),
    ({ score }) => score,
  )
  const gravest = highest(best?.edges.filter(leadsThere) ?? [], ({ bits }) => bits)
  if (best === undefined || gravest === undefined) return undefined
  const { id, severity, score, title } = best
  return {
    ...{ name, what },
    best: { id, severity, score, title, chain: gravest.chain, edge: printed(gravest) },
    rank: 1 + benign.filter((incident) => incident.score >= score).length,
  }
}

export const printed = ({ kind, from, to }: IncidentEdge): string => `${kind} ${from}->${to}`

/** The first of those with the highest number. */
function highest<T>(list: readonly T[], numberOf: (item: T) => number): T | undefined {
  return list.reduce<T | undefined>(
    (best, item) => (best === undefined || numberOf(item) > numberOf(best) ? item : best),
    undefined,
  )
}

/** Both trainings of one recording; undefined what was not asked for. */
export interface Measured {
  readonly whole?: Evaluation
  readonly quarter?: Evaluation
}

export interface Goal {
  readonly what: string
  readonly wanted: string
  readonly measured: number
  readonly isMet: boolean
}

/** Of 18 steps, 16 are to rank above ordinary life. */
const ABOVE_SHARE = 16 / 18
const MOST_BENIGN = 1
const MOST_ATTACK = 40
const MOST_BENIGN_QUARTER = 4

/** What this project wants of such a recording, beside what it is. */
export function goalsOf({ whole, quarter }: Measured): readonly Goal[] {
  const atMost = (what: string, most: number, measured: number): Goal => ({
    ...{ what, wanted: `at most ${most}`, measured },
    isMet: measured <= most,
  })
  const atLeast = (what: string, least: number, measured: number): Goal => ({
    ...{ what, wanted: `at least ${least}`, measured },
    isMet: measured >= least,
  })
  return [
    ...(whole === undefined
      ? []
      : [
          atLeast('steps covered', whole.steps.length, whole.covered),
          atLeast(
            'steps ranked above every benign incident',
            Math.ceil(whole.steps.length * ABOVE_SHARE),
            whole.aboveBenign,
          ),
          atMost('benign incidents', MOST_BENIGN, whole.benign.length),
          atMost('incidents of rules before the attack', 0, whole.rules.benign),
          atMost('incidents in the attack phase', MOST_ATTACK, whole.attack),
        ]),
    ...(quarter === undefined
      ? []
      : [
          atLeast('steps covered, trained on a quarter', quarter.steps.length, quarter.covered),
          atMost('benign incidents, trained on a quarter', MOST_BENIGN_QUARTER, quarter.benign.length),
        ]),
  ]
}
