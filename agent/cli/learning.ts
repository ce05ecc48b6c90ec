import type { Learning } from '../domain/learning.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const WIDEST_KIND = 'memory-exec'.length

/** How far a training has come, for people. */
export function learningText(learning: Learning): string[] {
  const { chanceOfNew, expected } = learning
  return [
    `${percent(chanceOfNew)} is the chance that what is seen next is new: about ${amount(expected.edges)} new edges in ${timeSpan(expected.inMs)}`,
    verdictOf(learning),
    ...curveText(learning),
    ...obstaclesOf(learning),
  ]
}

/** What kept it from being enough, for people. */
export const obstaclesOf = ({ isEnough, contributors }: Learning): string[] =>
  isEnough
    ? []
    : contributors.map(
        ({ from, kind, place, edges }) => `${edges} new in the second half: ${from} -> ${kind} ${place}`,
      )

/** Whether it is enough, and when it will be. */
export function verdictOf({ isEnough, enoughInMs }: Learning): string {
  if (isEnough) return 'enough was learned'
  return enoughInMs === undefined
    ? 'not enough was learned, and when it will be is not yet foreseeable'
    : `not enough was learned: about ${timeSpan(enoughInMs)} more`
}

function curveText({ curve }: Learning): string[] {
  const widest = Math.max(
    ...Object.values(curve).flatMap((counts) => counts.map((count) => String(count).length)),
  )
  return Object.entries(curve).map(
    ([kind, counts]) =>
      `${kind.padEnd(WIDEST_KIND)} ${counts.map((count) => String(count || '.').padStart(widest)).join(' ')}`,
  )
}

const percent = (chance: number): string =>
  chance >= 0.001 ? `${(100 * chance).toFixed(1)} %` : 'less than 0.1 %'

const amount = (edges: number): string => (edges >= 10 ? edges.toFixed(0) : edges.toFixed(1))

function timeSpan(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${(ms / DAY_MS).toFixed(0)} days`
  if (ms >= 2 * HOUR_MS) return `${(ms / HOUR_MS).toFixed(0)} hours`
  return `${Math.max(1, ms / MINUTE_MS).toFixed(0)} minutes`
}
