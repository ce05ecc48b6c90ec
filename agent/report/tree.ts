import type { IncidentEdge } from '../domain/report.ts'

/** What branches are drawn with. */
export interface Branches {
  readonly middle: string
  readonly last: string
  readonly past: string
  readonly none: string
  readonly more: string
}

/** Lines that a person still reads; the baseline has all of them. */
const MOST_LEAVES = 60
/** Leaves of one kind below one process. */
const MOST_ALIKE = 6

/** How the edges of an incident are written; it is drawn between and before them. */
export interface Writing {
  readonly branches: Branches
  readonly edge: (edge: IncidentEdge) => string
  /** Ancestors that are no news, oldest first. */
  readonly known: (names: readonly string[]) => string
  readonly more: (text: string) => string
}

/** A name in the chains of an incident, with what comes behind it there. */
interface Branch {
  readonly name: string
  /** The unseen edges that end here. */
  readonly edges: IncidentEdge[]
  readonly below: Map<string, Branch>
}

/**
 * The chains of an incident as a tree, a line for each unseen edge; ancestors that only lead to one thing share a line.
 * @param unlisted edges that are not given
 */
export function drawnTree(
  edges: readonly IncidentEdge[],
  unlisted: number,
  writing: Writing,
): readonly string[] {
  const root: Branch = newBranch('')
  const drawn = thinned(edges)
  for (const edge of drawn) {
    let at = root
    for (const name of edge.chain) {
      let next = at.below.get(name)
      if (next === undefined) at.below.set(name, (next = newBranch(name)))
      at = next
    }
    at.edges.push(edge)
  }
  const left = edges.length - drawn.length + unlisted
  const lines = [...root.below.values()].flatMap((branch) => linesOf(branch, '', '', writing))
  return left === 0 ? lines : [...lines, writing.more(`${left} more`)]
}

/** Of many edges of one kind at the end of one chain the first are drawn, and of all at most so many. */
function thinned(edges: readonly IncidentEdge[]): readonly IncidentEdge[] {
  const inner = new Set<string>()
  for (const { chain } of edges)
    for (let length = 1; length < chain.length; length++) inner.add(chain.slice(0, length).join('->'))
  const alike = new Map<string, number>()
  const drawn = edges.filter(({ kind, chain }) => {
    if (inner.has(chain.join('->'))) return true
    const key = `${kind} ${chain.slice(0, -1).join('->')}`
    const count = (alike.get(key) ?? 0) + 1
    alike.set(key, count)
    return count <= MOST_ALIKE
  })
  return drawn.slice(0, MOST_LEAVES)
}

function linesOf(branch: Branch, first: string, others: string, writing: Writing): string[] {
  const { known, edge, branches } = writing
  const names = [branch.name]
  let at = branch
  let [only] = at.below.values()
  while (at.edges.length === 0 && at.below.size === 1 && only !== undefined && only.edges.length === 0) {
    at = only
    names.push(at.name)
    ;[only] = at.below.values()
  }
  const own = at.edges.length === 0 ? [known(names)] : at.edges.map((each) => edge(each))
  const below = [...at.below.values()]
  return [
    ...own.map((line, index) => `${index === 0 ? first : others}${line}`),
    ...below.flatMap((each, index) => {
      const isLast = index === below.length - 1
      return linesOf(
        each,
        `${others}${isLast ? branches.last : branches.middle}`,
        `${others}${isLast ? branches.none : branches.past}`,
        writing,
      )
    }),
  ]
}

const newBranch = (name: string): Branch => ({ name, edges: [], below: new Map() })
