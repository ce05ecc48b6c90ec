import type { Severity } from '../domain/report.ts'
import type { Score } from './score.ts'

/** Below this an incident is no surprise at all: who did it does something new every other time. */
const SURPRISING_BITS = 1
/** What dangers weigh together, at least. */
const HIGH_BITS = 8
const CRITICAL_BITS = 16
/** Score of what is worth a look. */
const MEDIUM_BITS = 8

/**
 * What is only new is low or medium, however much of it there is; what is dangerous is high or critical, and a grade lower
 * when it comes from who does something new all the time.
 */
export function severityOf({ surpriseBits, dangerBits }: Score): Severity {
  const isSurprising = surpriseBits >= SURPRISING_BITS
  if (isSurprising && dangerBits >= CRITICAL_BITS) return 'critical'
  if (dangerBits >= CRITICAL_BITS || (isSurprising && dangerBits >= HIGH_BITS)) return 'high'
  return surpriseBits + dangerBits >= MEDIUM_BITS ? 'medium' : 'low'
}
