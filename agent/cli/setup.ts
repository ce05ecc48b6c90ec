import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Decision } from '../baseline/decisions.ts'
import { holderOf } from '../baseline/lock.ts'
import { changeLines } from '../config/changes.ts'
import { loadWithPlaces } from '../config/config.ts'
import { foundConfig } from '../config/find.ts'
import { CONFIG_FILE } from '../config/places.ts'
import { settingOf } from '../config/words.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { onOneLine } from '../report/text.ts'
import { type Dialogue, terminalDialogue } from '../setup/dialogue.ts'
import { type Draft, draftOf, withSettings } from '../setup/draft.ts'
import { lookAtHost } from '../setup/host.ts'
import { type Interviewed, interview } from '../setup/interview.ts'
import { type Answers, QUESTIONS } from '../setup/questions.ts'
import { openNetwork } from '../setup/network.ts'
import { isServiceActive, reloadService, restartService } from '../setup/service.ts'
import { SOURCES, sourceWordOf, type SourceWord, switchSource } from '../setup/source.ts'
import { textOf, writeDraft } from '../setup/write.ts'
import { commandAuthor } from './author.ts'
import { ALERTS_OPTION, command, CONFIG_OPTIONS, INTERRUPTED } from './command.ts'
import { mistakesBehind } from './config-check.ts'

const ANSWER = { type: 'string', requiresArg: true } as const

export const setupCommand = command({
  options: (yargs) =>
    yargs
      .positional('source', {
        choices: SOURCES,
        describe: 'get records from a plugin of auditd, or from its log again; asks nothing',
      })
      .options({
        defaults: { type: 'boolean', default: false, describe: 'ask nothing, and take what is proposed' },
        'dry-run': {
          type: 'boolean',
          default: false,
          describe: 'print the configuration, and write nothing',
        },
        train: { ...ANSWER, describe: 'how long to learn: hour, day, week, 12h or seconds' },
        required: { ...ANSWER, describe: 'programs that must always run; none' },
        outputs: { ...ANSWER, describe: 'who is told: syslog, journald:high, webhook; none' },
        webhook: { ...ANSWER, describe: 'address of the webhook, or the file that holds it' },
        'alerts-per-day': { ...ALERTS_OPTION, defaultDescription: 'as it is' },
        ...CONFIG_OPTIONS,
        json: { type: 'boolean', default: false, describe: 'say as JSON what was decided' },
      } as const)
      .example('sudo $0 setup', 'a few questions; Enter takes what is proposed, Ctrl-C leaves all as it was')
      .example('sudo $0 setup --defaults --profile high-security', 'no question, as Ansible needs it')
      .example('$0 setup --defaults --dry-run', 'what would be written')
      .example('sudo $0 setup plugin', 'auditd brings its records itself; setup tail takes that back'),
  run: async (words, signal) => {
    if (words.source !== undefined) return switchTo(words.source, words)
    const asksAt = terminalOf(words)
    const isDryRun = words['dry-run']
    const before = present(words.config ?? foundConfig() ?? CONFIG_FILE, isDryRun)
    const dialogue = asksAt && terminalDialogue(process.stdin, asksAt, signal)
    try {
      const decided = await decide(before, words, dialogue)
      if (decided === undefined) {
        dialogue?.say('\nNothing was written.\n')
        return INTERRUPTED
      }
      const isWritten = !isDryRun && decided.isChange
      if (isWritten) await write(before, decided)
      const next = isWritten ? await nextStep(decided.draft) : undefined
      if (words.json) process.stdout.write(`${jsonOf(resultOf(before, decided, isWritten))}\n`)
      else process.stdout.write(isDryRun ? decided.draft.text : resultText(decided.draft, isWritten, next))
      return 0
    } finally {
      dialogue?.close()
    }
  },
})

async function switchTo(
  source: SourceWord,
  words: SetupWords & { readonly config?: string | undefined } & Readonly<Record<string, unknown>>,
): Promise<number> {
  const isDryRun = words['dry-run']
  const before = present(words.config ?? foundConfig() ?? CONFIG_FILE, isDryRun)
  const answered = QUESTIONS.map(({ word }) => word).filter(
    (word) => word !== 'source' && words[word] !== undefined,
  )
  if (answered.length > 0 || words.defaults || words.set !== undefined)
    throw new UsageError(`setup ${source} does nothing else: answers are options of setup alone`)
  const { draft, steps } = await switchSource(source, switching(before, isDryRun))
  const isWritten = !isDryRun && draft.text !== before.text
  const said = isWritten ? [...steps, await nextStep(draft)] : steps
  const lines = said.length === 0 ? ['it is so already'] : said
  process.stdout.write(
    words.json
      ? `${jsonOf({ kind: 'setup', file: draft.file, source, steps, isWritten })}\n`
      : lines
          .map((line) => `${isDryRun && steps.length > 0 ? 'would be: ' : ''}${onOneLine(line)}\n`)
          .join(''),
  )
  return 0
}

interface SetupWords {
  readonly defaults: boolean
  readonly 'dry-run': boolean
  readonly json: boolean
  readonly set?: readonly string[] | undefined
}

/** Where a person is asked; undefined when nobody is to be. @throws UsageError when nobody can be */
function terminalOf({ defaults, json }: SetupWords): NodeJS.WriteStream | undefined {
  if (defaults) return undefined
  const output = json ? process.stderr : process.stdout
  if (process.stdin.isTTY && output.isTTY) return output
  throw new UsageError(
    'there is no terminal to ask at: --defaults asks nothing, and takes answers as options',
  )
}

/**
 * The configuration as it is.
 * @throws UsageError when it is wrong, or cannot be written afterwards
 */
function present(file: string, isDryRun: boolean): Draft {
  const isThere = existsSync(file)
  if (!isDryRun) {
    const place = isThere ? file : nearestFolder(dirname(resolve(file)))
    try {
      accessSync(place, constants.W_OK)
    } catch (error) {
      throw new UsageError(`cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  // As an agent reads it: root does not go on with what others have written.
  if (isThere) loadWithPlaces({ config: file })
  return draftOf(file, textOf(file))
}

const nearestFolder = (folder: string): string =>
  existsSync(folder) ? folder : nearestFolder(dirname(folder))

/** Undefined when a person has gone away, or said no. */
async function decide(
  before: Draft,
  words: SetupWords & Readonly<Record<string, unknown>>,
  dialogue: Dialogue | undefined,
): Promise<Decided | undefined> {
  const host = await lookAtHost(before.loaded.config)
  const set = (words.set ?? []).map(settingOf).map(({ key, value }) => ({ key, value: value ?? undefined }))
  const given: Answers = Object.fromEntries(
    QUESTIONS.filter(({ word }) => words[word] !== undefined).map(({ word }) => [word, String(words[word])]),
  )
  dialogue?.say(
    `Setting up ${before.file}. Enter takes what stands in brackets, Ctrl-C leaves everything as it is.\n`,
  )
  const interviewed = await interview(withSettings(before, set, false), host, given, dialogue)
  if (interviewed === undefined) return undefined
  const decided = await withSource(before, interviewed)
  const isAsked = dialogue !== undefined && !words['dry-run'] && decided.isChange
  return !isAsked || (await isConfirmed(dialogue, before, decided)) ? decided : undefined
}

interface Decided extends Interviewed {
  /** Without what another source changes in it. */
  readonly ownDraft: Draft
  /** Another source than before; undefined when it stays. */
  readonly source: SourceWord | undefined
  /** What is done for that. */
  readonly steps: readonly string[]
  readonly isChange: boolean
}

async function withSource(before: Draft, { draft: ownDraft, answers }: Interviewed): Promise<Decided> {
  const source = SOURCES.find((each) => each === answers.source)
  const isOther = source !== undefined && source !== sourceWordOf(ownDraft.loaded.config.auditd)
  const { draft, steps } = isOther
    ? await switchSource(source, switching(ownDraft, true))
    : { draft: ownDraft, steps: [] }
  const isChange = draft.text !== before.text || steps.length > 0
  return { draft, ownDraft, answers, source: isOther ? source : undefined, steps, isChange }
}

async function write(before: Draft, { ownDraft, source }: Decided): Promise<void> {
  if (ownDraft.text !== before.text) writeDraft(ownDraft, before, ofThisPerson(), mistakesBehind)
  if (source !== undefined) await switchSource(source, switching(ownDraft, false))
}

const switching = (before: Draft, isDryRun: boolean): Parameters<typeof switchSource>[1] => ({
  ...{ before, isDryRun },
  ...{ decision: ofThisPerson(), mistakesIn: mistakesBehind },
})

async function isConfirmed(dialogue: Dialogue, before: Draft, { draft, steps }: Decided): Promise<boolean> {
  const { file, loaded } = draft
  const lines = [...changeLines(before.loaded.config, loaded.config), ...steps]
  const summary = lines.length === 0 ? ['nothing that counts is changed'] : lines
  dialogue.say(`\n${summary.map((line) => `  ${onOneLine(line)}\n`).join('')}`)
  for (;;) {
    const answer = await dialogue.ask(`write ${file}? [yes]: `)
    if (answer === undefined || /^\s*no?\s*$/i.test(answer)) return false
    if (/^\s*(?:y|yes)?\s*$/i.test(answer)) return true
    dialogue.say('  expected yes or no\n')
  }
}

const ofThisPerson = (): Decision => ({
  author: commandAuthor(),
  reason: 'fullmon setup',
  timeMs: Date.now(),
})

/** What an agent that runs does now, or has to be told. */
async function nextStep({ file, loaded: { config } }: Draft): Promise<string> {
  const isOfService = file === CONFIG_FILE && (await isServiceActive())
  const dropIn = file === CONFIG_FILE ? openNetwork(config) : undefined
  if (dropIn !== undefined) {
    const isBegun = isOfService && (await restartService())
    return `the service may use the network (${dropIn})${isBegun ? ', and begins anew' : ': systemctl daemon-reload && systemctl restart fullmon'}`
  }
  if (isOfService && (await reloadService())) return 'the service reads it now: systemctl status fullmon'
  const pid = holderOf(config.db)?.pid
  return pid === undefined
    ? 'it counts when the agent starts: systemctl start fullmon'
    : `the agent that runs reads it when it is told to: kill -HUP ${pid}`
}

const resultOf = ({ loaded }: Draft, { draft, answers }: Interviewed, isWritten: boolean): object => ({
  kind: 'setup',
  file: draft.file,
  answers: { ...answers, ...(answers.webhook?.startsWith('http') === true ? { webhook: '(hidden)' } : {}) },
  changes: changeLines(loaded.config, draft.loaded.config),
  isWritten,
})

function resultText(
  { file, loaded: { config } }: Draft,
  isWritten: boolean,
  next: string | undefined,
): string {
  const lines = [
    isWritten ? `${file} is written` : `${file} says so already`,
    ...(next === undefined ? [] : [next]),
    ...(config['dns-interface'] === undefined
      ? [
          'hosts are called by their addresses: dns-interface calls them by name, once the service may use tcpdump (docs/dns.md)',
        ]
      : []),
  ]
  return lines.map((line) => `${onOneLine(line)}\n`).join('')
}
