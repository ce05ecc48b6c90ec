import type { AlertFilter } from '../baseline/alert-list.ts'
import type { GraphPart } from '../baseline/graph.ts'
import { type Alert, ALERT_STATES } from '../domain/alert.ts'
import { SEVERITIES } from '../domain/severity.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { expositionOf, type Metric } from './exposition.ts'
import type { LiveState } from './live-state.ts'
import type { HealthView } from './view.ts'

/** What was asked: no more of a request counts. */
export interface Question {
  readonly method: string
  /** With the query, as it stands in the request line. */
  readonly target: string
}

export interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Where answers come from. Each throws UsageError when the baseline cannot be read. */
export interface Sources {
  readonly live: LiveState
  health(): HealthView
  metrics(): readonly Metric[]
  alerts(filter: AlertFilter): readonly Alert[]
  status(): object
  baseline(): object
  incidentGraph(id: number, mostEdges: number): GraphPart | undefined
  neighbourhood(node: string, depth: number, mostEdges: number): GraphPart | undefined
}

type Query = Readonly<Record<string, string>>

interface Route {
  /** What a query may have. */
  readonly takes: readonly string[]
  /** Whether it tells what the baseline holds, which must be counted, and whether it waits for that. */
  readonly counts?: 'needed' | 'wanted'
  readonly answer: (sources: Sources, query: Query) => Answer
}

const JSON_TYPE = 'application/json; charset=utf-8'
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
const MOST_ALERTS = 1000
const USUAL_ALERTS = 100
const MOST_EDGES = 500
const MOST_DEPTH = 3

/** A question that makes no sense. */
class BadQuestion extends Error {}

const ROUTES = new Map<string, Route>(
  Object.entries<Route>({
    '/healthz': { takes: [], answer: (sources) => healthAnswer(sources.health()) },
    '/metrics': {
      takes: [],
      counts: 'wanted',
      answer: (sources) => ({ status: 200, type: METRICS_TYPE, text: expositionOf(sources.metrics()) }),
    },
    '/api/alerts': { takes: ['state', 'severity', 'limit'], answer: alertsAnswer },
    '/api/suspicious': { takes: [], answer: ({ live }) => scanAnswer(live, 'suspicious') },
    '/api/processes': { takes: [], answer: ({ live }) => scanAnswer(live, 'processes') },
    '/api/baseline': { takes: [], counts: 'needed', answer: (sources) => json(200, sources.baseline()) },
    '/api/status': { takes: [], counts: 'needed', answer: (sources) => json(200, sources.status()) },
    '/api/graph': { takes: ['incident', 'node', 'depth'], answer: graphAnswer },
  }),
)

/**
 * Answers a question. Nothing that is asked changes anything.
 * @throws whatever is no fault of the question, of the baseline or of its disk
 */
export function answerTo({ method, target }: Question, sources: Sources): Answer {
  if (method !== 'GET' && method !== 'HEAD')
    return {
      ...refusal(405, 'only GET and HEAD: nothing can be changed here'),
      headers: { Allow: 'GET, HEAD' },
    }
  const { pathname, searchParams } = urlOf(target)
  const route = ROUTES.get(pathname)
  if (route === undefined) return refusal(404, `there is nothing here but ${[...ROUTES.keys()].join(', ')}`)
  try {
    return route.answer(sources, queryOf(searchParams, route.takes))
  } catch (error) {
    if (error instanceof BadQuestion) return refusal(400, error.message)
    if (error instanceof UsageError) return refusal(503, error.message)
    throw error
  }
}

/** Whether what the baseline holds must be counted for this, and before it can be answered. */
export const countsFor = ({ target }: Question): Route['counts'] => ROUTES.get(urlOf(target).pathname)?.counts

/** Errors are objects, too. */
export const refusal = (status: number, error: string): Answer => json(status, { error })

const json = (status: number, object: object): Answer => ({
  status,
  type: JSON_TYPE,
  text: `${jsonOf(object)}\n`,
})

/** A path that is no URL leads nowhere. */
function urlOf(target: string): { readonly pathname: string; readonly searchParams: URLSearchParams } {
  const at = target.indexOf('?')
  return at < 0
    ? { pathname: target, searchParams: new URLSearchParams() }
    : { pathname: target.slice(0, at), searchParams: new URLSearchParams(target.slice(at + 1)) }
}

function queryOf(given: URLSearchParams, takes: readonly string[]): Query {
  const query = new Map<string, string>()
  for (const [name, value] of given) {
    if (!takes.includes(name))
      throw new BadQuestion(
        `there is no parameter ${JSON.stringify(name)} here${takes.length === 0 ? '' : `; there are ${takes.join(', ')}`}`,
      )
    if (query.has(name)) throw new BadQuestion(`${name} was given twice`)
    query.set(name, value)
  }
  return Object.fromEntries(query)
}

const healthAnswer = (view: HealthView): Answer => json(view.healthy ? 200 : 503, view)

function alertsAnswer(sources: Sources, { state, severity, limit }: Query): Answer {
  const filter: AlertFilter = {
    ...(state === undefined ? {} : { state: oneOf(ALERT_STATES, state, 'state') }),
    ...(severity === undefined ? {} : { least: oneOf(SEVERITIES, severity, 'severity') }),
    most: limit === undefined ? USUAL_ALERTS : numberOf(limit, 'limit', 1, MOST_ALERTS),
  }
  return json(200, { alerts: sources.alerts(filter) })
}

/** As `fullmon scan` sorts them; the suspicious ones by what speaks against them. */
function scanAnswer({ scan }: LiveState, which: 'suspicious' | 'processes'): Answer {
  if (scan === undefined) return refusal(503, 'the processes were not scanned yet')
  const { processes, timeMs, unread } = scan
  const wanted =
    which === 'processes'
      ? processes.toSorted((one, other) => other.rssBytes - one.rssBytes || other.cpuPercent - one.cpuPercent)
      : processes
          .filter(({ isSuspicious }) => isSuspicious)
          .sort((one, other) => other.score - one.score || other.rssBytes - one.rssBytes)
  return json(200, { timeMs, unread, [which]: wanted })
}

function graphAnswer(sources: Sources, { incident, node, depth }: Query): Answer {
  if ((incident === undefined) === (node === undefined))
    throw new BadQuestion('graph takes incident=NUMBER, or node=NAME with depth=1, 2 or 3')
  if (incident !== undefined) {
    if (depth !== undefined) throw new BadQuestion('depth goes with node')
    const id = numberOf(incident, 'incident', 1, Number.MAX_SAFE_INTEGER)
    const graph = sources.incidentGraph(id, MOST_EDGES)
    return graph === undefined ? refusal(404, `there is no incident ${id}`) : json(200, graph)
  }
  const far = depth === undefined ? 1 : numberOf(depth, 'depth', 1, MOST_DEPTH)
  const around = sources.neighbourhood(node ?? '', far, MOST_EDGES)
  return around === undefined
    ? refusal(404, `there is no node ${JSON.stringify(node)} in the baseline`)
    : json(200, around)
}

function oneOf<T extends string>(words: readonly T[], given: string, name: string): T {
  const found = words.find((word) => word === given)
  if (found === undefined) throw new BadQuestion(`${name} is one of ${words.join(', ')}`)
  return found
}

function numberOf(text: string, name: string, least: number, most: number): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= least && number <= most))
    throw new BadQuestion(`${name} is a number from ${least} to ${most}`)
  return number
}
