import { expect, test } from 'vitest'
import { byAnother, edgeOf, eventOf, exported, unheardOf } from '../../bench/strangers.ts'
import { edgeTexts, runCore } from '../support/edges.ts'

const numbers = Array.from({ length: 5000 }, (_, index) => index)
const edges = numbers.map(edgeOf)

/** `kind from->to` of a line that export prints. */
function textOf(line: string): string {
  const { edge } = JSON.parse(line) as { edge: { kind: string; from: string; to: string } }
  return `${edge.kind} ${edge.from}->${edge.to}`
}

const known = new Set(edges.map((edge) => textOf(exported(edge))))
const seenIn = (all: typeof edges): string[] =>
  edgeTexts(runCore(all.map((edge, index) => eventOf(edge, index + 1)).join('')).edges)

test('no two edges are the same, nor are their targets', () => {
  expect(known.size).toBe(numbers.length)
  expect(new Set([...known].map((text) => text.split('->')[1])).size).toBe(numbers.length)
})

test('the event of an edge is that edge, as it stands in the baseline', () => {
  expect(seenIn(edges)).toEqual([...known].sort())
})

test('by another process both nodes are known, but the edge is not', () => {
  const others = seenIn(edges.map((edge) => byAnother(edge, 3)))
  expect(others).toHaveLength(numbers.length)
  const nodes = new Set([...known].flatMap((text) => text.slice(text.indexOf(' ') + 1).split('->')))
  for (const text of others) {
    expect(known).not.toContain(text)
    for (const node of text.slice(text.indexOf(' ') + 1).split('->')) expect(nodes).toContain(node)
  }
})

test('files that nobody has heard of are files of nobody', () => {
  const targets = new Set([...known].map((text) => text.split('->')[1]))
  const others = seenIn(numbers.map(unheardOf))
  expect(others).toHaveLength(numbers.length)
  for (const text of others) expect(targets).not.toContain(text.split('->')[1])
})
