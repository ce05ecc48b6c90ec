import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Edge } from '../../agent/domain/edge.ts'
import { describe, expect, test } from 'vitest'
import { edgeTexts, runCore } from '../support/edges.ts'

const FOLDER = join(import.meta.dirname, '../fixtures/recorded')

/** A node that the workload could not know beforehand (who started the test) is left out. */
interface TrueEdge {
  readonly kind: string
  readonly from?: string
  readonly to?: string
}

interface Truth {
  readonly what: string
  readonly edges: readonly TrueEdge[]
}

const isTheSame = (truth: TrueEdge, edge: Edge): boolean =>
  edge.kind === truth.kind && (truth.from ?? edge.from) === edge.from && (truth.to ?? edge.to) === edge.to

/**
 * Logs that a real auditd wrote, beside what was done while it did. The truth was written down by who did it, so both
 * directions are checked: nothing of it is missed, and nothing else is claimed.
 */
describe.each(
  readdirSync(FOLDER)
    .filter((name) => name.endsWith('.log'))
    .map((name) => name.slice(0, -4)),
)('%s', (name) => {
  const log = readFileSync(join(FOLDER, `${name}.log`))
  const truth = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as Truth
  const { edges, core } = runCore(log)

  test(`all of it is seen: ${truth.what}`, () => {
    const missed = truth.edges.filter((each) => !edges.some((edge) => isTheSame(each, edge)))
    expect(missed, `seen:\n${edgeTexts(edges).join('\n')}`).toEqual([])
  })

  test('nothing else is claimed', () => {
    const invented = edges.filter((edge) => !truth.edges.some((each) => isTheSame(each, edge)))
    expect(edgeTexts(invented)).toEqual([])
  })

  test('every line was read, no event was torn', () => {
    expect(core.losses).toMatchObject({ unreadableLines: 0, lateRecords: 0, incompleteEvents: 0 })
    expect(core.records).toBe(log.toString('latin1').split('\n').length - 1)
  })
})
