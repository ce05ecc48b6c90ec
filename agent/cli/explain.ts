import {
  type CoveringPattern,
  type EdgeStory,
  type FoundEdge,
  type NormalEdge,
  storiesOf,
} from '../baseline/explain.ts'
import { incidentsIn, type StoredIncident } from '../baseline/incidents.ts'
import { unstableAmong, type UnstablePlace } from '../baseline/unstable.ts'
import { alsoKnownAs } from '../also-known.ts'
import { type Config, loadConfig } from '../config/config.ts'
import { volatilePlacesOf } from '../detect/unstable.ts'
import { DOUBT_TEXTS, verdictText } from './baseline.ts'
import { EDGE_KINDS, type Edge, type EdgeKind } from '../domain/edge.ts'
import type { EdgeMark } from '../domain/report.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { onOneLine, timeText } from '../report/text.ts'
import { command, CONFIG_OPTIONS, DB_OPTION, JSON_OPTION } from './command.ts'

export const explainCommand = command({
  options: (yargs) =>
    yargs
      .positional('what', {
        type: 'string',
        demandOption: true,
        describe: 'number of an incident, or an edge as it is printed: [KIND ]FROM->TO',
      })
      .options({ db: DB_OPTION, ...CONFIG_OPTIONS, json: JSON_OPTION } as const)
      .example('sudo $0 explain 12', 'what the score of an incident is made of')
      .example(
        "sudo $0 explain 'proc::root:/usr/sbin/cron->file:create:/run/cron.pid'",
        'where an edge comes from, and why it is or was not reported',
      ),
  run: (words) => {
    const { what, json } = words
    const config = loadConfig(words, { db: words.db })
    process.stdout.write(
      /^\d+$/.test(what) ? incidentText(config, Number(what), json) : edgeText(config, what, json),
    )
    return Promise.resolve(0)
  },
})

function incidentText({ db, 'dormant-days': dormantDays }: Config, id: number, isJson: boolean): string {
  const [kept] = incidentsIn(db, { ids: [id], withheld: true })
  if (kept === undefined) throw new UsageError(`there is no incident ${id} in ${db}`)
  const { incident, state, isWithheld } = kept
  const own = incident.edges.map(({ kind, from, to }) => ({ kind, from, to }))
  const stories = storiesOf(db, own, dormantDays)
  const { severity, score, weights = [], reasons } = incident
  if (isJson) {
    const edges = incident.edges.map(({ kind, from, to, bits, mark = null }, index) => ({
      ...{ number: index + 1, kind, from, to, bits, mark, verdict: verdictOf(stories[index]) },
    }))
    return `${jsonOf({ kind: 'explanation', id, severity, score, weights, state, isWithheld, edges, reasons })}\n`
  }
  return [
    `incident ${id}: ${onOneLine(incident.title)}`,
    `  ${fateOf(kept)}`,
    `  score ${score.toFixed(1)} bits${weights.length === 0 ? '' : ', the sum of:'}`,
    ...weights.map(({ what, bits }) => `    ${bits.toFixed(1).padStart(6)}  ${what}`),
    ...reasons.map((reason) => `  because ${onOneLine(reason)}`),
    '  edges, and how surprising each was for who did it:',
    ...incident.edges.flatMap(({ kind, from, to, bits }, index) => [
      `    ${String(index + 1).padStart(3)}. ${bits.toFixed(1).padStart(5)} bits  ${kind} ${from}->${to}`,
      `         ${verdictOf(stories[index])}`,
    ]),
  ]
    .map((line) => `${line}\n`)
    .join('')
}

/** What became of an incident. */
function fateOf({ incident: { severity }, state, isWithheld }: StoredIncident): string {
  const told = isWithheld
    ? `${severity}; withheld, as its score was not above the threshold that alerts-per-day gives (see fullmon status)`
    : `${severity}; reported`
  return state === 'open' ? told : `${told}; ${state}`
}

function edgeText(config: Config, what: string, isJson: boolean): string {
  const { db, networks, 'dormant-days': dormantDays } = config
  const { kind, from, to } = edgeOf(what)
  const asked = (kind === undefined ? EDGE_KINDS : [kind]).map((each) => ({ kind: each, from, to }))
  // First, as it says whether there is a baseline.
  storiesOf(db, [], dormantDays)
  const names = alsoKnownAs(db, asked, networks, Date.now())
  const found = storiesOf(db, names, dormantDays).filter((story) => story !== undefined)
  const covered = new Set(
    found.flatMap(({ edge, pattern }) => (edge.to === to && pattern?.normal ? [edge.kind] : [])),
  )
  // The pattern of a file is told of with the file.
  const stories = found
    .filter(({ edge, denied }) => edge.to === to || denied !== null || !covered.has(edge.kind))
    .sort((one, other) => weightOf(other) - weightOf(one))
  const [first] = stories
  const unstable = unstableAmong(
    db,
    asked.filter((edge) => isOfAction(edge)).flatMap((edge) => volatilePlacesOf(edge)),
  )
  if (isJson) {
    const unseen = {
      ...{ edge: { ...(kind === undefined ? {} : { kind }), from, to }, normal: null, denied: null },
      ...{ pattern: null, found: [], verdict: 'never seen: it would be reported' },
    }
    const told =
      first === undefined ? [unseen] : stories.map((story) => ({ ...story, verdict: verdictOf(story) }))
    return told.map((story) => `${jsonOf({ kind: 'explanation', ...story, unstable })}\n`).join('')
  }
  const places = unstable.map(unstableText).join('')
  if (first === undefined)
    return `${what}\n  never seen, as far as ${db} knows: it would be reported\n${places}`
  const alias = first.edge.to === to ? '' : `${what}\n  is known as ${first.edge.to}\n`
  return alias + stories.map(storyText).join('') + places
}

/** The name of a file says what is done to it. */
const isOfAction = ({ kind, to }: Edge): boolean => !to.startsWith('file:') || to.startsWith(`file:${kind}:`)

const unstableText = ({ kind, place, incident }: UnstablePlace): string =>
  `  what is ordinary of kind ${kind} in ${place} never ends, and is told of once a day` +
  `${incident === null ? '' : `: incident ${incident} counts it`}\n`

/** What decides whether an edge is reported when it is known by several names. */
function weightOf({ denied, normal, pattern }: EdgeStory): number {
  if (denied !== null) return 3
  if (normal !== null) return 2
  return (pattern?.normal ?? null) === null ? 0 : 1
}

/** @throws UsageError when it is no edge */
function edgeOf(text: string): Omit<Edge, 'kind'> & { readonly kind?: EdgeKind } {
  const [, kind, from = '', to = ''] =
    /^(?:([a-z-]+) +)?(proc:.+?)->((?:proc|host|file):.+)$/.exec(text) ?? []
  if (from === '')
    throw new UsageError(
      `explain takes the number of an incident, or an edge such as 'proc::root:/bin/a->host:10.0.0.1:80'`,
    )
  if (kind === undefined) return { from, to }
  const known = EDGE_KINDS.find((each) => each === kind)
  if (known === undefined)
    throw new UsageError(`there are no edges of kind ${kind}: ${EDGE_KINDS.join(', ')}`)
  return { kind: known, from, to }
}

function storyText(story: EdgeStory): string {
  const { edge, normal, denied, pattern, found } = story
  return [
    `${edge.kind} ${edge.from}->${edge.to}`,
    `  ${verdictOf(story)}`,
    ...(denied === null ? [] : [`  denied ${verdictText(denied)}`]),
    ...(normal === null ? [] : normalTexts(normal)),
    ...(pattern === null ? [] : patternTexts(pattern)),
    ...found.map(foundText),
  ]
    .map((line) => `${line}\n`)
    .join('')
}

function normalTexts({ state, doubt, training, journal, ...stats }: NormalEdge): string[] {
  const { firstMs, lastMs, sightings, windows, days } = stats
  const why = doubt === null ? '' : ` (${DOUBT_TEXTS[doubt]})`
  const where =
    training === null
      ? ''
      : `, in the training from ${timeText(training.fromMs)} to ${timeText(training.toMs)}`
  return [
    `  ${state}${why}: seen ${sightings} times, in ${windows} windows on ${days} days`,
    `  first ${timeText(firstMs)}${where}; last ${timeText(lastMs)}`,
    ...(journal === null
      ? []
      : [`  since row ${journal.row} of the journal: ${journal.action} ${verdictText(journal)}`]),
  ]
}

function patternTexts({ printed, isForgotten, examples, learnedMs, normal }: CoveringPattern): string[] {
  return [
    isForgotten
      ? `  no longer covered by the pattern ${printed}, which a person has forgotten`
      : `  covered by the pattern ${printed}`,
    `    learned ${timeText(learnedMs)} from ${examples.map(onOneLine).join(', ')}`,
    ...(normal === null ? [] : normalTexts(normal).map((line) => `  ${line}`)),
  ]
}

function foundText({ incident, severity, score, isWithheld, mark, bits, ...stats }: FoundEdge): string {
  const { firstMs, sightings, mergedMs } = stats
  const where =
    incident === null
      ? 'its window goes on'
      : `incident ${incident}, ${severity ?? ''}, ${(score ?? 0).toFixed(1)} bits${isWithheld ? ', withheld' : ''}`
  const merged = mergedMs === null ? '' : `; normal since ${timeText(mergedMs)}`
  const marked = mark === null ? '' : `, ${mark}`
  return `  found ${timeText(firstMs)}${marked}, ${bits.toFixed(1)} bits, ${sightings} times: ${where}${merged}`
}

const MARK_TEXTS: Readonly<Record<EdgeMark, string>> = {
  denied: 'a person denied it',
  'reverse-shell': 'a shell that talks to an unnamed address outside',
  'memory-exec': 'a program from memory',
  'temporary-exec': 'a program from a directory that all may write to',
  tamper: 'it touches what records and guards this host',
  edited: 'a person edited the configuration',
  setuid: 'a file got the rights of its owner',
  dormant: 'it was normal, and not seen for long',
}

/** Why an edge is reported, or is not, in one sentence. */
function verdictOf(story: EdgeStory | undefined): string {
  if (story === undefined) return 'forgotten: it would be reported'
  const { normal, denied, pattern, found } = story
  if (denied !== null) return 'reported whenever it comes, as a person denied it'
  if (normal !== null)
    return normal.state === 'dormant'
      ? 'normal, but not seen for long: its return is told of once'
      : 'not reported: it is normal'
  if (pattern !== null && pattern.normal !== null) return 'not reported: a pattern covers it that is normal'
  const last = found.at(-1)
  if (last === undefined) return 'it would be reported'
  const never =
    last.mark === null || last.mark === 'dormant' ? '' : `; never learned: ${MARK_TEXTS[last.mark]}`
  if (last.incident === null) return `unseen: it is reported when its window ends${never}`
  return last.isWithheld
    ? `unseen, and withheld by the budget: only counted now in the chains it was found in${never}`
    : `unseen, and reported: only counted now in the chains it was found in${never}`
}
