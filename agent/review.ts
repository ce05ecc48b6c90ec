import type { Decision, Decisions, KeptIncident, Outcome } from './baseline/decisions.ts'
import type { SinceEdge } from './baseline/incidents.ts'
import type { Edge } from './domain/edge.ts'
import type { Conversation } from './support/conversation.ts'

const DAY_MS = 86_400_000

const QUESTION = '[a]ccept [g]eneralise [d]eny [m]aintenance [l]ater [s]kip [u]ndo [q]uit [?]: '
const HELP = `
  a  accept: what it did is normal from now on
  g  generalise: so are all files that are named like one of it
  d  deny: it is never normal, and is reported each time
  m  maintenance: an upgrade or the like; normal, but provisional
  l  later: ask again tomorrow
  s  skip: ask again in the next review
  u  undo the last answer, and ask again
  q  quit
An answer is written when the next one is given, or at the end: until then it can be undone.
`

export interface ReviewOptions {
  /** Who decides, now. */
  readonly decide: () => Decision
  /** Shows an incident, and what came to it since its report. */
  readonly show: (kept: KeptIncident, since: readonly SinceEdge[]) => void
  /** What an edge would stand for, and that in words; undefined when it stands for itself. */
  readonly generalisationOf: (
    id: number,
    number: number,
  ) => { readonly general: Edge; readonly text: string } | undefined
  readonly generalise: (id: number, number: number, general: Edge, decision: Decision) => Outcome
  /** Tells of what has changed, for a person. */
  readonly tell: (outcome: Outcome) => void
}

/** An answer that is not written yet. */
interface Answer {
  readonly kept: KeptIncident
  /** Undefined when nothing is to be written. */
  readonly write: (() => Outcome) | undefined
  /** Whether all that the incident did will be normal. */
  readonly isNormal: boolean
}

/** Goes through what waits for a person, one incident after the other. */
export class Review {
  private readonly decisions: Decisions
  private readonly conversation: Conversation
  private readonly options: ReviewOptions
  private last: Answer | undefined
  /** Incidents that were passed over since the last answer, which decides on them too. */
  private covered: KeptIncident[] = []

  constructor(decisions: Decisions, conversation: Conversation, options: ReviewOptions) {
    this.decisions = decisions
    this.conversation = conversation
    this.options = options
  }

  /** Until all is answered, or nobody answers any more. */
  async run(): Promise<void> {
    const { say } = this.conversation
    const waiting = [...this.decisions.waiting(this.options.decide().timeMs)]
    if (waiting.length === 0) say('nothing waits: every incident has been decided on\n')
    for (let kept = waiting.shift(); kept !== undefined; kept = waiting.shift()) {
      if (!this.isWaiting(kept)) {
        this.covered.push(kept)
        continue
      }
      this.options.show(kept, this.decisions.since(kept.incident.id))
      const answer = await this.answerTo(kept, waiting.length)
      if (answer === 'quit') break
      if (answer === 'undo') {
        waiting.unshift(kept)
        if (this.last === undefined) say('there is no answer that could be undone\n')
        else waiting.unshift(this.last.kept, ...this.covered)
        this.forget()
      } else {
        this.write()
        this.last = answer
      }
    }
    this.write()
  }

  private async answerTo(kept: KeptIncident, left: number): Promise<Answer | 'undo' | 'quit'> {
    for (;;) {
      const key = await this.conversation.ask(`${left} more. ${QUESTION}`)
      const { id } = kept.incident
      const { decisions, options } = this
      switch (key) {
        case undefined:
        case 'q':
          return 'quit'
        case 'u':
          return 'undo'
        case 's':
          return { kept, write: undefined, isNormal: false }
        case 'a':
          return { kept, write: () => decisions.accept(id, options.decide()), isNormal: true }
        case 'g': {
          const write = await this.generalised(kept)
          if (write !== undefined) return { kept, write, isNormal: false }
          break
        }
        case 'm':
          return { kept, write: () => decisions.maintenance(id, options.decide()), isNormal: true }
        case 'd':
          return { kept, write: () => decisions.deny(id, options.decide()), isNormal: false }
        case 'l': {
          const write = (): Outcome => {
            const decision = options.decide()
            return decisions.later(id, decision, decision.timeMs + DAY_MS)
          }
          return { kept, write, isNormal: false }
        }
        default:
          this.conversation.say(HELP)
      }
    }
  }

  /** Shows what each edge would stand for, until one is agreed to. */
  private async generalised({ incident }: KeptIncident): Promise<(() => Outcome) | undefined> {
    const { say, ask } = this.conversation
    const { generalisationOf, generalise, decide } = this.options
    for (const index of incident.edges.keys()) {
      const number = index + 1
      const proposed = generalisationOf(incident.id, number)
      if (proposed === undefined) continue
      say(proposed.text)
      const key = await ask('make all of these normal? [y/N]: ')
      if (key === 'y') return () => generalise(incident.id, number, proposed.general, decide())
    }
    say('no other file of it is named like more than itself\n')
    return undefined
  }

  private write(): void {
    const outcome = this.last?.write?.()
    if (outcome !== undefined) this.options.tell(outcome)
    this.forget()
  }

  private forget(): void {
    this.last = undefined
    this.covered = []
  }

  /** Whether nobody has decided on it since the review began, and the answer before does not either. */
  private isWaiting({ incident, state }: KeptIncident): boolean {
    if (this.decisions.incident(incident.id).state !== state) return false
    const { last } = this
    if (last?.isNormal !== true || incident.unlisted !== undefined) return true
    const normal = new Set(last.kept.incident.edges.map(keyOf))
    return !incident.edges.every((edge) => normal.has(keyOf(edge)))
  }
}

const keyOf = ({ kind, from, to }: Edge): string => `${kind} ${from}->${to}`
