/** What `fullmon setup` asks: one sentence each, with why it matters. */
import { profileFile, PROFILES } from '../config/find.ts'
import type { Setting } from '../config/settle.ts'
import { UsageError } from '../domain/result.ts'
import type { Draft } from './draft.ts'
import type { Host } from './host.ts'
import {
  addressProposal,
  addressSettings,
  hasWebhook,
  OUTPUT_ANSWERS,
  outputsProposal,
  outputsSettings,
} from './outputs.ts'
import { requiredProposal, requiredSettings } from './required.ts'
import { SOURCES, sourceWordOf } from './source.ts'
import { countOf, durationText, NONE, quoted, secondsOf } from './words.ts'

/** Names of the answers, which are options of the command, too; `source` is a word of it. */
export type Word = 'profile' | 'train' | 'required' | 'outputs' | 'webhook' | 'alerts-per-day' | 'source'
export type Answers = { readonly [Each in Word]?: string | undefined }

export interface Question {
  readonly word: Word
  readonly text: string
  /** What may be answered. */
  readonly answers: string
  /** What the person should know of this host; undefined when there is nothing. */
  readonly note?: (host: Host) => string | undefined
  /** Whether it is asked, after what was answered before; always, when it is left out. */
  readonly isAsked?: (before: Answers) => boolean
  /** The answer of who gives none: what the configuration says, or what fits the host; empty when there is none. */
  readonly proposal: (draft: Draft, host: Host, given: Answers) => string
  /** @throws UsageError when the answer makes no sense */
  readonly settings: (answer: string, draft: Draft) => readonly Setting[]
  /** Another answer is written also when it counts already: the host would propose something else the next time. */
  readonly isRemembered?: boolean
}

const KINDS = `${PROFILES.join(', ')}, ${NONE}, or the path of a profile of your own`

export const QUESTIONS: readonly Question[] = [
  {
    word: 'profile',
    text: 'What kind of host is this? It decides what counts wherever you say nothing, above all how early something is told.',
    answers: KINDS,
    proposal: ({ loaded: { config } }, { hasContainers }) =>
      config.profile ?? (hasContainers ? 'container' : 'production'),
    settings: (answer) => [{ key: ['profile'], value: profileOf(answer) }],
  },
  {
    word: 'train',
    text: 'How long shall it learn? What comes later for the first time is reported, so jobs of the night need a day, those of the week a week.',
    answers: 'hour, day, week, a time such as 90m, 12h or 3d, or a number of seconds',
    note: ({ brought }) =>
      brought && `There is ${brought}: where nothing was learned yet, it is taken instead of learning.`,
    proposal: ({ loaded: { config } }) => durationText(config.baseline),
    settings: (answer) => [{ key: ['baseline'], value: secondsOf(answer) }],
  },
  {
    word: 'required',
    text: 'Which programs must always run? An alert of high severity opens when one of them does not.',
    answers: `paths, names or globs with blanks between them, or ${NONE}`,
    proposal: requiredProposal,
    settings: requiredSettings,
    isRemembered: true,
  },
  {
    word: 'outputs',
    text: 'Who is told of reports besides the log file, and from which severity on?',
    answers: OUTPUT_ANSWERS,
    proposal: (draft, _, { webhook }) => outputsProposal(draft, webhook !== undefined),
    settings: outputsSettings,
  },
  {
    word: 'webhook',
    text: 'Where is the webhook? Whoever knows its address may post there, so only root may read the configuration then.',
    answers: 'https://…, or the path of a file that holds the address and that only its owner may read',
    isAsked: ({ outputs }) => hasWebhook(outputs ?? NONE),
    proposal: addressProposal,
    settings: addressSettings,
  },
  {
    word: 'alerts-per-day',
    text: 'How many incidents a day do you want to read besides grave ones? Of more, the least surprising are kept and not told.',
    answers: 'a number; 0: only grave ones',
    proposal: ({ loaded: { config } }) => String(config['alerts-per-day']),
    settings: (answer) => [{ key: ['alerts-per-day'], value: countOf(answer) }],
  },
  {
    word: 'source',
    text: 'Where do records come from? A plugin of auditd brings them by itself and needs no log; the tail of the log needs nothing of auditd.',
    answers: SOURCES.join(', '),
    proposal: ({ loaded: { config } }) => sourceWordOf(config.auditd),
    // More than the configuration changes: see `switchSource`.
    settings: (answer) => {
      if (SOURCES.every((each) => each !== answer))
        throw new UsageError(`expected ${SOURCES.join(' or ')}, not ${quoted(answer)}`)
      return []
    },
  },
]

/** @throws UsageError when there is none of this name */
function profileOf(answer: string): string | undefined {
  if (answer === NONE) return undefined
  if (profileFile(answer) === undefined) throw new UsageError(`expected ${KINDS}, not ${quoted(answer)}`)
  return answer
}
