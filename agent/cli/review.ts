import { Decisions, type Outcome } from '../baseline/decisions.ts'
import { type Conversation, lineConversation, rawConversation } from '../support/conversation.ts'
import { ANSI, PLAIN } from '../report/text.ts'
import { baselineOf, DECISION_OPTIONS, decisionOf, generalisationText, outcomeText } from './decisions.ts'
import { type Generalisation, generalisationOf, generalise } from '../generalise.ts'
import { UsageError } from '../domain/result.ts'
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
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY
    const conversation: Conversation = isTerminal
      ? rawConversation(process.stdin, process.stdout, signal)
      : lineConversation(process.stdin, process.stdout)
    try {
      const look = isTerminal ? ANSI : PLAIN
      const tell = (outcome: Outcome): void =>
        conversation.say(
          words.json ? `${JSON.stringify({ kind: 'decision', ...outcome })}\n` : outcomeText(outcome),
        )
      await new Review(decisions, conversation, {
        decide: () => decisionOf(words),
        generalisationOf: (id, number) => proposed(db, id, number),
        generalise: (id, number, general, decision) => generalise(db, id, number, general, decision),
        look,
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
