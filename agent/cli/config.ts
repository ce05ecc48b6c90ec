import { type ConfigWords, type Loaded, loadWithPlaces } from '../config/config.ts'
import { jsonSchema } from '../config/json-schema.ts'
import { exampleConfig } from '../config/example.ts'
import { configCandidates, shadowedBy } from '../config/find.ts'
import { effective, effectiveText, type Explained, explain, yamlText } from '../config/show.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { onOneLine } from '../report/text.ts'
import { mistakesBehind } from './config-check.ts'
import { command, CONFIG_OPTIONS, JSON_OPTION } from './command.ts'

const ACTIONS = ['check', 'show', 'explain', 'schema', 'example'] as const

export const configCommand = command({
  options: (yargs) =>
    yargs
      .positional('action', { choices: ACTIONS, demandOption: true, describe: 'what to do' })
      .positional('what', { type: 'string', describe: 'check: the file; explain: a key or section' })
      .options({ ...CONFIG_OPTIONS, json: JSON_OPTION } as const)
      .example('$0 config check', 'exit code 2: every mistake with line and column')
      .example('$0 config check new.yaml', 'the same of a file before it is used')
      .example('$0 config show --profile high-security', 'all that counts, as YAML, secrets hidden')
      .example('$0 config explain scan', 'the keys of a section: value, where it comes from, default')
      .example('$0 config explain scan.interval', 'the same of one key')
      .example('$0 config schema > fullmon.schema.json', 'for editors')
      .example('$0 config example > config.yaml', 'every key with its default, commented out'),
  run: (words) => {
    const { action, what, json } = words
    if (what !== undefined && action !== 'check' && action !== 'explain')
      throw new UsageError(`config ${action} takes no word behind it`)
    if (what !== undefined && action === 'check' && words.config !== undefined)
      throw new UsageError('config check takes one file: by its name, or with --config')
    process.stdout.write(`${textOf(action, what, words, json)}\n`)
    return Promise.resolve(0)
  },
})

function textOf(
  action: (typeof ACTIONS)[number],
  what: string | undefined,
  words: ConfigWords,
  isJson: boolean,
): string {
  switch (action) {
    case 'check': {
      const loaded = loadWithPlaces({ ...words, config: what ?? words.config })
      const mistakes = mistakesBehind(loaded)
      if (mistakes.length > 0) throw new UsageError(mistakes.map(onOneLine).join('\n'))
      return isJson ? jsonOf({ file: loaded.file, isRight: true }) : checkedText(loaded, what ?? words.config)
    }
    case 'show': {
      const loaded = loadWithPlaces(words)
      return isJson ? jsonOf(effective(loaded)) : effectiveText(loaded).trimEnd()
    }
    case 'explain': {
      const keys = explain(loadWithPlaces(words), what)
      return isJson ? keys.map((key) => jsonOf(key)).join('\n') : keys.map(explainedText).join('\n\n')
    }
    case 'schema':
      return JSON.stringify(jsonSchema(), undefined, 2)
    case 'example':
      return exampleConfig().trimEnd()
  }
}

function checkedText({ file, config }: Loaded, given: string | undefined): string {
  const { profile } = config
  const basis = profile === undefined ? 'the defaults count' : `the profile ${profile} counts`
  const right =
    file === undefined
      ? `there is no configuration (${configCandidates().join(', ')}): ${basis}`
      : `${file}${profile === undefined ? '' : `, with the profile ${profile}`}: nothing is wrong`
  const shadowed = given === undefined && file !== undefined ? shadowedBy(file) : []
  const notRead = shadowed.map((each) => `${each} is not read: ${file} comes before it`)
  return [right, ...notRead].map(onOneLine).join('\n')
}

function explainedText({ key, value, from, byDefault, type, description }: Explained): string {
  const isDefault = from[0] === 'default'
  const lines = [
    `${key}: ${valueText(value)}`,
    `  from:    ${from.join(', ')}`,
    ...(isDefault ? [] : [`  default: ${valueText(byDefault)}`]),
    `  type:    ${type}`,
    ...(description === '' ? [] : [`  ${description}`]),
  ]
  return lines.map(onOneLine).join('\n')
}

const valueText = (value: unknown): string => (value === undefined ? 'not given' : yamlText(value))
