import type { Finding } from '../domain/report.ts'

/** What the score of an incident is made of, in bits. */
export interface Score {
  /** How improbable its steps were. */
  readonly surpriseBits: number
  /** How dangerous its shapes and targets are. */
  readonly dangerBits: number
}

/**
 * Scores findings that belong together. Along the most surprising chain the steps add up; what branches off counts with
 * the logarithm of its bits, so that many harmless steps do not outrank a few bad ones. An edge counts once, however
 * often and in however many chains it was seen.
 *
 * @param before bits of a step of a chain that was reported before and is no less unseen for that; 0 when it is known
 * @param weights in bits, one for each kind of danger: the heaviest whole, the next by half, and so on
 */
export function scoreOf(
  findings: readonly Finding[],
  before: (from: string, to: string) => number,
  weights: readonly number[],
): Score {
  return { surpriseBits: surpriseBitsOf(findings, before), dangerBits: dangerBitsOf(weights) }
}

function surpriseBitsOf(findings: readonly Finding[], before: (from: string, to: string) => number): number {
  /** By the nodes that an edge joins: between two of them only the most surprising kind counts. */
  const bits = new Map<string, number>()
  for (const { edge, bits: own } of findings) {
    const step = stepOf(edge.from, edge.to)
    bits.set(step, Math.max(bits.get(step) ?? 0, own))
  }
  const all = [...bits.values()].reduce((sum, each) => sum + each, 0)
  let heaviest = { all: 0, own: 0 }
  for (const { chain } of findings) {
    const along = alongBits(chain, bits, before)
    if (along.all > heaviest.all) heaviest = along
  }
  return heaviest.all + Math.log2(1 + Math.max(0, all - heaviest.own)) / 2
}

/** Bits of the steps of a chain, and of those among them that are of this incident. */
function alongBits(
  chain: readonly string[],
  bits: ReadonlyMap<string, number>,
  before: (from: string, to: string) => number,
): { readonly all: number; readonly own: number } {
  const steps = new Set<string>()
  let all = 0
  let own = 0
  for (const [index, to] of chain.slice(1).entries()) {
    const from = chain[index] ?? ''
    const step = stepOf(from, to)
    if (steps.has(step)) continue
    steps.add(step)
    const ours = bits.get(step)
    own += ours ?? 0
    all += ours ?? before(from, to)
  }
  return { all, own }
}

const stepOf = (from: string, to: string): string => `${from}\u0000${to}`

const dangerBitsOf = (weights: readonly number[]): number =>
  [...weights].sort((one, other) => other - one).reduce((sum, weight, index) => sum + weight / 2 ** index, 0)
