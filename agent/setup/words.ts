/** Answers that are words, and what they stand for. */
import { UsageError } from '../domain/result.ts'
import { onOneLine } from '../report/text.ts'

export const NONE = 'none'

const LONGEST_SHOWN = 60
const UNIT_S = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 } as const
const NAMED_S = new Map([
  ['hour', UNIT_S.h],
  ['day', UNIT_S.d],
  ['week', UNIT_S.w],
])
const MOST_S = 365 * UNIT_S.d

/** @throws UsageError when the words are no time */
export function secondsOf(answer: string): number {
  const [, number = '', unit = 's'] = /^(\d{1,8})([smhdw])?$/.exec(answer) ?? []
  const seconds =
    NAMED_S.get(answer) ?? (number === '' ? undefined : Number(number) * UNIT_S[unit as keyof typeof UNIT_S])
  if (seconds === undefined || seconds > MOST_S)
    throw new UsageError(
      `expected hour, day, week, or a time of a year at most such as 12h, not ${quoted(answer)}`,
    )
  return seconds
}

/** The shortest words for a time. */
export function durationText(seconds: number): string {
  const [name] = [...NAMED_S].find(([, each]) => each === seconds) ?? []
  if (name !== undefined) return name
  const unit = (['d', 'h', 'm'] as const).find((each) => seconds > 0 && seconds % UNIT_S[each] === 0)
  return unit === undefined ? String(seconds) : `${seconds / UNIT_S[unit]}${unit}`
}

/** @throws UsageError when the words are no number from 0 on */
export function countOf(answer: string): number {
  if (!/^\d{1,7}(?:\.\d{1,3})?$/.test(answer))
    throw new UsageError(`expected a number from 0 on, not ${quoted(answer)}`)
  return Number(answer)
}

export const listOf = (answer: string): readonly string[] =>
  answer === NONE ? [] : [...new Set(answer.split(/[\s,]+/).filter((word) => word !== ''))]

/** What somebody has typed, safe to print. */
export const quoted = (answer: string): string =>
  `'${onOneLine(answer).replace(/\p{C}/gu, '?').slice(0, LONGEST_SHOWN)}'`
