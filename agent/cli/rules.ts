import { stringify } from 'yaml'
import { loadConfig } from '../config/config.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { failuresOf } from '../rule-examples.ts'
import { byId, readRules, rulesIn, type WrittenRule } from '../rules/read.ts'
import type { Rule } from '../rules/schema.ts'
import { command, CONFIG_OPTIONS, JSON_OPTION } from './command.ts'

const ACTIONS = ['list', 'show', 'test'] as const

export const rulesCommand = command({
  lists: ['what'],
  options: (yargs) =>
    yargs
      .positional('action', { choices: ACTIONS, demandOption: true, describe: 'what to do' })
      .positional('what', { type: 'string', array: true, describe: 'ids to show, or files to test' })
      .options({ ...CONFIG_OPTIONS, json: JSON_OPTION } as const)
      .example('$0 rules list', 'the rules that there are, and which of them are switched off')
      .example('$0 rules show reverse-shell-command', 'one of them, as it is written')
      .example('$0 rules test', 'whether all do what their examples say')
      .example('$0 rules test my-rules.yaml', 'the same for a file of your own'),
  run: (words) => {
    const { ports, rules: options } = loadConfig(words)
    const what = words.what ?? []
    switch (words.action) {
      case 'list':
        if (what.length > 0) throw new UsageError('rules list takes no names; rules show does')
        for (const written of readRules(options)) list(written, words.json)
        return Promise.resolve(0)
      case 'show':
        for (const written of named(readRules(options), what)) show(written, words.json)
        return Promise.resolve(0)
      case 'test': {
        const rules = what.length === 0 ? readRules(options) : tried(what)
        return Promise.resolve(test(rules, ports.watched, words.json))
      }
    }
  },
})

const tried = (files: readonly string[]): readonly WrittenRule[] => [
  ...byId(files.flatMap((file) => rulesIn(file, 'tried'))).values(),
]

function named(rules: readonly WrittenRule[], ids: readonly string[]): readonly WrittenRule[] {
  if (ids.length === 0) throw new UsageError('show which rule? Its id, as fullmon rules list prints it')
  return ids.map((id) => {
    const found = rules.find(({ rule }) => rule.id === id)
    if (found === undefined) throw new UsageError(`there is no rule ${id}; see fullmon rules list`)
    return found
  })
}

function list({ rule, place, isShipped }: WrittenRule, isJson: boolean): void {
  const { id, type, enabled, novel } = rule
  const severity = severityText(rule)
  const notes = [...(isShipped ? [] : [place]), ...(novel ? ['novel'] : []), ...(enabled ? [] : ['disabled'])]
  print(
    isJson
      ? jsonOf({ kind: 'rule', ...rule, place, isShipped })
      : `${id.padEnd(28)} ${type.padEnd(20)} ${severity.padEnd(16)} ${notes.join(', ')}`.trimEnd(),
  )
}

function severityText({ severity }: Rule): string {
  if (severity === null || typeof severity === 'string') return severity ?? 'none'
  const { success, failure } = severity
  return success === failure ? (success ?? 'none') : `${success ?? 'none'}/${failure ?? 'none'}`
}

function show({ rule, place, isShipped }: WrittenRule, isJson: boolean): void {
  if (isJson) print(jsonOf({ kind: 'rule', ...rule, place, isShipped }))
  else print(`# ${place}\n${stringify([rule], { lineWidth: 120 }).trimEnd()}`)
}

/** @returns the exit code: 1 when an example fails */
function test(rules: readonly WrittenRule[], watched: readonly number[], isJson: boolean): number {
  let failed = 0
  let examples = 0
  const untold: string[] = []
  for (const { rule, place, isShipped } of rules) {
    const failures = failuresOf(rule, watched, isShipped)
    const count = rule.examples.match.length + rule.examples.no_match.length
    examples += count
    failed += failures.length
    if (count === 0) untold.push(rule.id)
    if (isJson) print(jsonOf({ kind: 'rule-test', rule: rule.id, place, examples: count, failures }))
    else for (const { example, why } of failures) print(`${place}: ${rule.id}: ${example}: ${why}`)
  }
  if (!isJson) {
    const outcome = failed === 0 ? 'all as they should be' : `${failed} fail`
    const doubt = untold.length === 0 ? '' : `; without an example: ${untold.join(', ')}`
    print(`${counted(rules.length, 'rule')}, ${counted(examples, 'example')}: ${outcome}${doubt}`)
  }
  return failed === 0 ? 0 : 1
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

const print = (text: string): void => void process.stdout.write(`${text}\n`)
