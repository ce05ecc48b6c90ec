import { Core } from './core.ts'
import { serviceAbove } from './detect/dangers.ts'
import { NO_WORLD } from './domain/activity.ts'
import { chainOf } from './graph/names.ts'
import { evidenceOf } from './findings.ts'
import { type CompiledRule, RuleBook, type Scene, type Sighting } from './rules/match.ts'
import type { Example, Rule } from './rules/schema.ts'
import { deedMatter } from './rule-watch.ts'

/** What is wrong with the examples of a rule. */
export interface Failure {
  readonly rule: string
  /** As it is counted from 1, under which key. */
  readonly example: string
  readonly why: string
}

interface Shown {
  readonly scene: Scene
  readonly sighting: Sighting
}

const LEAST: readonly (keyof Rule['examples'])[] = ['match', 'no_match']
const NOT_A_SERVICE = { isService: () => false }

/**
 * Runs the examples of a rule. It is asked alone, so others do not help it; nothing is normal, nobody is known to take
 * connections, and no packages are installed.
 * @param needsExamples whether it must have some of both kinds
 * @param watched ports that `$watched` stands for
 */
export function failuresOf(
  rule: Rule,
  watched: readonly number[],
  needsExamples: boolean,
): readonly Failure[] {
  const nothing = { commands: [], paths: [], users: [] }
  const book = new RuleBook([{ ...rule, enabled: true }], nothing, watched)
  const missing = LEAST.filter((key) => needsExamples && rule.examples[key].length === 0)
  const failure = (example: string, why: string): Failure => ({ rule: rule.id, example, why })
  return [
    ...missing.map((key) => failure(`examples.${key}`, 'there is none')),
    ...LEAST.flatMap((key) =>
      rule.examples[key].flatMap((example, index) => {
        const shown = shownBy(example, rule)
        const where = `examples.${key}, number ${index + 1}`
        if (shown.length === 0) return [failure(where, 'it shows nothing that rules are about')]
        const hasFired = shown.some((each) => fires(book, each))
        if (hasFired === (key === 'match')) return []
        return [failure(where, hasFired ? 'it fires, and must not' : 'it does not fire')]
      }),
    ),
  ]
}

function fires(book: RuleBook, { scene, sighting }: Shown): boolean {
  const candidates: readonly CompiledRule[] = book.candidatesFor(scene)
  return candidates.some((candidate) => candidate.severityOf(sighting) !== undefined)
}

/** What an example shows: by its own words, or by the lines of a log. */
function shownBy(example: Example, rule: Rule): readonly Shown[] {
  return example.log === undefined ? shownInWords(example, rule) : shownInLog(example.log)
}

const USUAL_KINDS = {
  'bin-execution': 'exec',
  'root-escalation': 'escalation',
  'termination-failure': 'end',
} as const

function shownInWords(example: Example, { type, when }: Rule): readonly Shown[] {
  const { from, to, how, status, signal, success, auid } = example
  const kind = example.kind ?? (type === 'edge' ? when.kind?.[0] : USUAL_KINDS[type])
  const told = example.chain ?? []
  // As reports have it, with the target at its end; or without.
  const above = told.length > 1 && told.at(-1) === to ? told.slice(0, -1) : told
  const chain = above.length > 0 || from === undefined ? above : [from]
  if (kind === undefined || to === undefined || chain.length === 0) return []
  const sighting = {
    ...{ argv: example.argv ?? [], auid, how, status, signal, peer: () => to },
    mode: () => (example.mode === undefined ? undefined : Number.parseInt(example.mode, 8)),
    succeeded: success ?? (kind !== 'end' && kind !== 'exec-failed'),
    isOfService: () => serviceAbove(chain, NOT_A_SERVICE) !== undefined,
  }
  return [{ scene: { kind, chain, to }, sighting }]
}

function shownInLog(log: string): readonly Shown[] {
  const shown: Shown[] = []
  const core = new Core(NO_WORLD, {
    onEvent: () => undefined,
    onEdge: ({ edge: { kind, to }, source }, event) => {
      const chain = chainOf(source)
      const { argv, auid, mode } = evidenceOf(event)
      const rest = { how: undefined, status: undefined, signal: undefined, peer: () => to, succeeded: true }
      const isOfService = (): boolean => serviceAbove(chain, NOT_A_SERVICE) !== undefined
      shown.push({
        scene: { kind, chain, to },
        sighting: { ...rest, argv, auid, mode: () => mode, isOfService },
      })
    },
    onDeed: (deed) => {
      const { kind, chain, edge, sighting } = deedMatter(deed)
      const isOfService = (): boolean => serviceAbove(chain, NOT_A_SERVICE) !== undefined
      shown.push({ scene: { kind, chain, to: edge.to }, sighting: { ...sighting, isOfService } })
    },
  })
  core.push(Buffer.from(log))
  core.end()
  return shown
}
