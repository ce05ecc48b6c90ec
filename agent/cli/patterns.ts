import type { Argv } from 'yargs'
import type { Decision } from '../baseline/decisions.ts'
import {
  forgetPattern,
  type KeptPattern,
  patternsIn,
  patternWithDeeds,
  pinPattern,
} from '../baseline/patterns.ts'
import { isPeerAction, prefixOf } from '../domain/edge.ts'
import { UsageError } from '../domain/result.ts'
import { namesAllowedBy, variablePartsOf } from '../graph/allowed.ts'
import { coversPeer } from '../peers/learned.ts'
import { jsonOf } from '../report/printer.ts'
import { timeText } from '../report/text.ts'
import { command, type Command } from './command.ts'
import { baselineOf, DECISION_OPTIONS, decisionOf } from './decisions.ts'

const ACTIONS = ['show', 'preview', 'pin', 'forget'] as const
/** Names that a pattern would allow besides, beside each in a list, and of one that is looked at. */
const FEW = 2
const MANY = 10

export const patternsCommand: Command = command({
  options: (yargs: Argv) =>
    yargs
      .positional('action', { choices: ACTIONS, demandOption: true, describe: 'what to do' })
      .positional('id', { type: 'number', describe: 'number of a pattern, as show prints it' })
      .options({
        match: {
          type: 'string',
          requiresArg: true,
          describe: 'show: only patterns whose text contains this',
        },
        ...DECISION_OPTIONS,
      } as const)
      .example('sudo $0 patterns show --match php', 'who taught them, from what, and what else they allow')
      .example('sudo $0 patterns preview 12', 'what it allows besides, and what it covers')
      .example('sudo $0 patterns pin 12', 'it stays, whatever is learned')
      .example('sudo $0 patterns forget 12 --reason "too wide"', 'what it covers is unseen again'),
  run: (words) => {
    const db = baselineOf(words)
    if (words.action === 'show') {
      for (const pattern of patternsIn(db))
        if (words.match === undefined || pattern.printed.includes(words.match)) show(pattern, words.json)
      return Promise.resolve(0)
    }
    const id = idOf(words.id, words.action)
    if (words.action === 'preview') preview(db, id, words.json)
    else decide(db, id, words.action, decisionOf(words), words.json)
    return Promise.resolve(0)
  },
})

function idOf(id: number | undefined, action: string): number {
  if (id === undefined || !Number.isSafeInteger(id))
    throw new UsageError(`${action} which pattern? Its number, as fullmon patterns show prints it`)
  return id
}

function show(pattern: KeptPattern, isJson: boolean): void {
  const { id, state, process: teacher, action, path, printed, examples, learnedMs, sightings } = pattern
  const changing = isOverHosts(pattern) ? [] : variablePartsOf(path)
  const allows = othersAllowedBy(pattern, FEW)
  print(
    isJson
      ? jsonOf({
          ...{ kind: 'pattern', id, state, process: teacher, action, path, pattern: printed },
          ...{ examples, changing, allows, sightings, learnedMs },
        })
      : [
          `${String(id).padStart(4)} ${action.padEnd(9)} ${prefixOf(action)}${path}`,
          `     ${state} ${timeText(learnedMs)} from ${teacher}, seen ${sightings} times`,
          ...(examples.length === 0 ? [] : [`     taught by ${examples.join(' ')}`]),
          ...(changing.length === 0 ? [] : [`     changing: ${changing.join('; ')}`]),
          ...(allows.length === 0 ? [] : [`     allows besides: ${allows.join(' ')}`]),
        ].join('\n'),
  )
}

function preview(db: string, id: number, isJson: boolean): void {
  const pattern = patternWithDeeds(db, id)
  const { state, action, path, printed } = pattern
  const allows = othersAllowedBy(pattern, MANY)
  const covers = coveredBy(pattern)
  const namesOf = (edges: readonly { readonly to: string }[]): string[] =>
    edges.map(({ to }) => to.slice(prefixOf(action).length)).filter((name) => name === path || covers(name))
  const edges = namesOf(pattern.edges)
  const findings = namesOf(pattern.findings)
  print(
    isJson
      ? jsonOf({ kind: 'preview', id, state, pattern: printed, allows, edges, findings })
      : [
          `pattern ${id}${state === 'denied' ? ', which was forgotten and covers nothing' : ''}: ${printed}`,
          ...allows.map((name) => `  would allow   ${name}`),
          ...edges.map((name) => `  is normal     ${name}`),
          ...findings.map((name) => `  was found     ${name}`),
        ].join('\n'),
  )
}

function decide(db: string, id: number, action: 'pin' | 'forget', decision: Decision, isJson: boolean): void {
  const change = action === 'pin' ? pinPattern : forgetPattern
  const { printed, state } = change(db, id, decision)
  print(
    isJson
      ? jsonOf({ kind: 'decision', id, pattern: printed, state })
      : `pattern ${id} is ${state}: ${printed}`,
  )
}

const isOverHosts = ({ action, path }: KeptPattern): boolean =>
  isPeerAction(action) && !path.startsWith('unix:')

const coveredBy = (pattern: KeptPattern): ((name: string) => boolean) => {
  if (isOverHosts(pattern)) return coversPeer(pattern.path)
  const regex = new RegExp(`^${pattern.path}$`)
  return (name) => regex.test(name)
}

/** Of networks the pattern itself says it. */
const othersAllowedBy = (pattern: KeptPattern, count: number): string[] =>
  isOverHosts(pattern)
    ? []
    : namesAllowedBy(pattern.path, count + pattern.examples.length)
        .filter((name) => !pattern.examples.includes(name))
        .slice(0, count)

const print = (text: string): void => void process.stdout.write(`${text}\n`)
