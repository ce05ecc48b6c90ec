import { UsageError } from '../domain/result.ts'
import { onOneLine } from '../report/text.ts'
import type { Dialogue } from './dialogue.ts'
import { type Draft, withSettings } from './draft.ts'
import type { Host } from './host.ts'
import { type Answers, type Question, QUESTIONS } from './questions.ts'

export interface Interviewed {
  readonly draft: Draft
  readonly answers: Answers
}

/**
 * The configuration with an answer to each question: the one that was given, that of a person, or the proposal.
 *
 * @param dialogue is left out when nobody is asked
 * @returns undefined when the person has gone away
 * @throws UsageError when an answer makes no sense that nobody can be asked for again
 */
export async function interview(
  draft: Draft,
  host: Host,
  given: Answers,
  dialogue: Dialogue | undefined,
): Promise<Interviewed | undefined> {
  let now: Interviewed = { draft, answers: {} }
  for (const question of QUESTIONS) {
    const { word, isAsked } = question
    const said = given[word]
    if (isAsked?.(now.answers) === false) {
      if (said !== undefined) throw new UsageError(`--${word} is given, and nothing that it is for`)
      continue
    }
    const proposal = question.proposal(now.draft, host, given)
    const next =
      said !== undefined || dialogue === undefined
        ? answered(now, question, said ?? proposal, proposal)
        : await asked(dialogue, now, question, proposal, question.note?.(host))
    if (next === undefined) return undefined
    now = next
  }
  return now
}

/** @throws UsageError that names the option */
function answered(before: Interviewed, question: Question, answer: string, proposal: string): Interviewed {
  try {
    return after(before, question, answer, proposal)
  } catch (error) {
    if (error instanceof UsageError)
      throw new UsageError(`--${question.word}: ${error.message}`, { cause: error })
    throw error
  }
}

async function asked(
  dialogue: Dialogue,
  before: Interviewed,
  question: Question,
  proposal: string,
  note: string | undefined,
): Promise<Interviewed | undefined> {
  const { word, text, answers } = question
  dialogue.say(`\n${text}\n  (${answers})\n${note === undefined ? '' : `  ${onOneLine(note)}\n`}`)
  for (;;) {
    const said = await dialogue.ask(proposal === '' ? `${word}: ` : `${word} [${proposal}]: `)
    if (said === undefined) return undefined
    const answer = said.trim()
    try {
      return after(before, question, answer === '' ? proposal : answer, proposal)
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      dialogue.say(`  ${error.message}\n`)
    }
  }
}

function after(
  { draft, answers }: Interviewed,
  { word, settings, isRemembered = false }: Question,
  answer: string,
  proposal: string,
): Interviewed {
  const inSoManyWords = isRemembered && answer !== proposal
  return {
    draft: withSettings(draft, settings(answer, draft), inSoManyWords),
    answers: { ...answers, [word]: answer },
  }
}
