import { Decisions, type KeptIncident, type Outcome } from '../baseline/decisions.ts'
import type { SinceEdge } from '../baseline/incidents.ts'
import { type Conversation, lineConversation, rawConversation } from '../support/conversation.ts'
import { jsonOf } from '../report/printer.ts'
import { ANSI, PLAIN, textOf } from '../report/text.ts'
import {
  baselineOf,
  DECISION_OPTIONS,
  decisionOf,
  generalisationText,
  outcomeText,
  sinceText,
} from './decisions.ts'
import { type Generalisation, generalisationOf, generalise } from '../generalise.ts'
import { UsageError } from '../domain/result.ts'
import { hasColours } from '../support/standard-output.ts'
import { command, type Command } from './command.ts'
import { Review } from '../review.ts'

export const reviewCommand: Command = command({
  options: (yargs) =>
    yargs
      .options(DECISION_OPTIONS)
      .example('sudo $0 review', 'one incident after the other, the gravest first')
      .example('sudo $0 review --reason "release 4.2"', 'with a reason for all that is answered'),
  run: async (words, signal) => {
    const db = baselineOf(words)
    const decisions = new Decisions(db)
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY && !words.json
    const conversation: Conversation = isTerminal
      ? rawConversation(process.stdin, process.stdout, signal)
      : lineConversation(process.stdin, words.json ? process.stderr : process.stdout)
    try {
      const look = isTerminal && hasColours(isTerminal, process.env) ? ANSI : PLAIN
      const print = (line: object): void => void process.stdout.write(`${jsonOf(line)}\n`)
      const tell = (outcome: Outcome): void => {
        if (words.json) print({ kind: 'decision', ...outcome })
        else conversation.say(outcomeText(outcome))
      }
      const show = ({ incident, state, isWithheld }: KeptIncident, since: readonly SinceEdge[]): void => {
        if (words.json) print({ ...incident, state, withheld: isWithheld, since })
        else conversation.say(`\n${textOf(incident, look)}\n${sinceText(since)}`)
      }
      await new Review(decisions, conversation, {
        decide: () => decisionOf(words),
        generalisationOf: (id, number) => proposed(db, id, number),
        generalise: (id, number, general, decision) => generalise(db, id, number, general, decision),
        show,
        tell,
      }).run()
    } finally {
      conversation.close()
      decisions.close()
    }
    return 0
  },
})

/** Undefined for an edge that stands for no others. */
function proposed(
  db: string,
  id: number,
  number: number,
): { general: Generalisation['general']; text: string } | undefined {
  try {
    const found = generalisationOf(db, id, number)
    return { general: found.general, text: generalisationText(found) }
  } catch (error) {
    if (error instanceof UsageError) return undefined
    throw error
  }
}
