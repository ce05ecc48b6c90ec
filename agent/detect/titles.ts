import type { Finding } from '../domain/report.ts'
import { isLoopback, networkPeerOf, processOf } from './nodes.ts'
import { cut, exactName, listOf, objectOf, shortName, userOf, verbOf } from './phrases.ts'
import { isKind } from './programs.ts'

/** Characters that a title takes at most: what a person reads at a glance, and a line of a terminal holds. */
const LONGEST_TITLE = 160
/** Programs between who is to blame and who did it. */
const MOST_STEPS = 3

/** What a title is made of. */
export interface Story {
  /** In the order of time; at least one. */
  readonly findings: readonly Finding[]
  /** Who started these processes and is not one of them; empty when that is init or not known. */
  readonly parent: string
  /** How many trees of processes did nearly the same; 1 for an incident of one tree. */
  readonly trees: number
  /** How much a finding says, in bits. */
  readonly gravityOf: (finding: Finding) => number
}

/** How much of a story is told. */
interface Detail {
  /** Objects of one deed. */
  readonly objects: number
  /** Deeds of one process. */
  readonly deeds: number
  /** Whether another process is told of, too. */
  readonly others: boolean
  /** Steps to the process that did it. */
  readonly steps: number
}

/** From the fullest account to the barest. */
const DETAILS: readonly Detail[] = [
  { objects: 4, deeds: 3, others: true, steps: MOST_STEPS },
  { objects: 2, deeds: 3, others: true, steps: MOST_STEPS },
  { objects: 2, deeds: 2, others: true, steps: 2 },
  { objects: 2, deeds: 2, others: false, steps: 2 },
  { objects: 1, deeds: 1, others: false, steps: 2 },
  { objects: 1, deeds: 1, others: false, steps: 1 },
  { objects: 1, deeds: 1, others: false, steps: 0 },
]

/** One sentence for a person on what findings that belong together show; the gravest deed is always in it. */
export function titleOf(story: Story): string {
  let title = ''
  for (const detail of DETAILS) {
    title = tell(story, detail)
    if (title.length <= LONGEST_TITLE) return title
  }
  return cut(title, LONGEST_TITLE)
}

/** The finding that says most; the first of several. */
export const gravestOf = ({ findings, gravityOf }: Pick<Story, 'findings' | 'gravityOf'>): Finding =>
  findings.reduce((one, other) => (gravityOf(other) > gravityOf(one) ? other : one))

function tell(story: Story, detail: Detail): string {
  const { findings, gravityOf, trees } = story
  const gravest = gravestOf(story)
  const doer = doerOf(gravest, findings)
  const deeds = deedsOf(doer, findings, gravityOf)
  const way = wayTo(doer, story.parent)
  const steps = shortened(stepsOf(way), detail.steps)
  const shown = deeds.slice(0, detail.deeds)
  const told = new Set(shown.flatMap(({ of }) => of))
  for (const finding of findings) if (isOnWay(finding, doer)) told.add(finding)
  const times = trees === 1 ? '' : `, ${trees} times,`
  const sentence = `${subjectOf(way)}${times}${steps.length === 0 ? ' ' : ' ran '}${join(steps, shown, detail)}`
  const rest = findings.filter((finding) => !told.has(finding))
  if (rest.length === 0) return sentence
  const next = detail.others ? nextOf(rest, gravityOf) : undefined
  if (next === undefined) return `${sentence}${moreOf(rest.length)}`
  const others = rest.filter((finding) => !next.of.includes(finding))
  return `${sentence}; ${shortName(next.by)} ${phraseOf(next, detail)}${moreOf(others.length)}`
}

/** The chain of the process whose deed is told: of a program that was run, that program, when it did something itself. */
function doerOf({ edge, chain }: Finding, findings: readonly Finding[]): readonly string[] {
  const isRun = edge.kind === 'exec' || edge.kind === 'memory-exec'
  const hasActed = isRun && findings.some((other) => isSameChain(other.chain.slice(0, -1), chain))
  return hasActed ? chain : chain.slice(0, -1)
}

/** What one process did to several targets. */
interface Deed {
  readonly by: string
  readonly verb: string
  /** The gravest first. */
  readonly of: readonly Finding[]
}

/** What a process did, the gravest first. */
function deedsOf(
  doer: readonly string[],
  findings: readonly Finding[],
  gravityOf: Story['gravityOf'],
): readonly Deed[] {
  const byVerb = new Map<string, Finding[]>()
  for (const finding of findings) {
    if (!isSameChain(finding.chain.slice(0, -1), doer)) continue
    const verb = verbOf(finding)
    const same = byVerb.get(verb)
    if (same === undefined) byVerb.set(verb, [finding])
    else same.push(finding)
  }
  return [...byVerb]
    .map(([verb, of]) => ({
      by: doer.at(-1) ?? '',
      verb,
      of: of.toSorted((one, other) => gravityOf(other) - gravityOf(one)),
    }))
    .sort((one, other) => weightOf(other, gravityOf) - weightOf(one, gravityOf))
}

const weightOf = ({ of }: Deed, gravityOf: Story['gravityOf']): number =>
  Math.max(...of.map((finding) => gravityOf(finding)))

/** The gravest deed among what is left. */
function nextOf(rest: readonly Finding[], gravityOf: Story['gravityOf']): Deed | undefined {
  const { chain } = gravestOf({ findings: rest, gravityOf })
  return deedsOf(chain.slice(0, -1), rest, gravityOf)[0]
}

/** The processes from the one that is to blame, or let him in, to the one that did it, both included. */
function wayTo(doer: readonly string[], parent: string): readonly string[] {
  const known = parent === '' ? -1 : doer.lastIndexOf(parent)
  const entry = doer.slice(0, -1).findIndex((name) => isKindOf(name, 'login') && !isKindOf(name, 'switcher'))
  const first = doer.findIndex((name) => processOf(name) !== undefined && !isKindOf(name, 'init'))
  const from = known < 0 && entry < 0 ? first : Math.max(known, entry)
  return doer.slice(Math.max(0, Math.min(from, doer.length - 1)))
}

/** Who is to blame: a program with its user, or a person who has logged in. */
function subjectOf([first = '', second]: readonly string[]): string {
  const process = processOf(first)
  if (process !== undefined && second !== undefined && isKind(process, 'login'))
    return `${cut(userOf(second), 40)} (logged in through ${shortName(first)})`
  const user = userOf(first)
  return `${shortName(first)}${user === '' ? '' : ` (${cut(user, 40)})`}`
}

/** What was run on the way, without what only starts something else, and who only changed his user. */
function stepsOf([subject = '', ...way]: readonly string[]): readonly string[] {
  const steps: string[] = []
  let user = userOf(subject)
  const isPerson = isKindOf(subject, 'login')
  for (const [index, name] of way.entries()) {
    const isLast = index === way.length - 1
    if (isPerson && index === 0) {
      user = userOf(name)
      // What lets somebody in goes on as him.
      if (!isLast && exactName(name) === exactName(subject)) continue
    }
    if (!isLast && (isKindOf(name, 'wrapper') || (isPerson && steps.length === 0 && isKindOf(name, 'shell'))))
      continue
    const step = exactName(name)
    const isAs = userOf(name) !== user
    user = userOf(name)
    // It goes on as somebody else.
    if (steps.at(-1) === step) steps.pop()
    steps.push(isAs ? `${step} as ${cut(user, 40)}` : step)
  }
  return steps
}

const isKindOf = (name: string, kind: Parameters<typeof isKind>[1]): boolean => {
  const process = processOf(name)
  return process !== undefined && isKind(process, kind)
}

/** The first steps and the last; the ones between are left out. */
function shortened(steps: readonly string[], most: number): readonly string[] {
  if (steps.length <= most || steps.length === 0) return steps
  return most <= 1 ? steps.slice(-1) : [...steps.slice(0, most - 1), ...steps.slice(-1)]
}

/** `a shell that ran curl, which connected to X and wrote Y`. */
function join(steps: readonly string[], deeds: readonly Deed[], detail: Detail): string {
  const phrases = deeds.map((deed) => phraseOf(deed, detail))
  if (steps.length === 0) return listOf(phrases, phrases.length)
  const way = steps.join(' that ran ')
  if (phrases.length === 0) return way
  const isOnlyRun = deeds.length === 1 && deeds[0]?.verb === 'ran'
  return isOnlyRun ? `${way} that ${phrases[0] ?? ''}` : `${way}, which ${listOf(phrases, phrases.length)}`
}

/** `wrote /a, /b and 3 more`; `went to 41 ports of 127.0.0.1`. */
function phraseOf({ verb, of }: Deed, { objects }: Detail): string {
  const peers = of.map(({ edge }) => (edge.kind === 'connect' ? networkPeerOf(edge.to) : undefined))
  const [first] = peers
  if (first !== undefined && of.length > objects) {
    if (peers.every((peer) => peer?.host === first.host))
      return `went to ${of.length} ports of ${isLoopback(first) ? `this host (${first.host})` : first.host}`
  }
  return `${verb} ${listOf([...new Set(of.map(objectOf))], objects)}`
}

/** Whether a finding is a step on the way to the one who did it. */
const isOnWay = ({ edge, chain }: Finding, doer: readonly string[]): boolean =>
  (edge.kind === 'exec' || edge.kind === 'memory-exec') &&
  chain.length <= doer.length &&
  chain.every((name, index) => name === doer[index])

const isSameChain = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((name, index) => name === other[index])

const moreOf = (count: number): string => (count === 0 ? '' : `; ${count} more step${count === 1 ? '' : 's'}`)
