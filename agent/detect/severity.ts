import type { Severity } from '../domain/report.ts'
import type { Score } from './score.ts'

/** Below this an incident is hardly surprising, whatever it did: one chance in eight. */
const SURPRISING_BITS = 3
/** What dangers weigh together, at least. */
const HIGH_BITS = 8
const CRITICAL_BITS = 16
/** Score of what is worth a look. */
const MEDIUM_BITS = 8

/** Only what is surprising and dangerous is high: what is only new is low or medium, however much of it there is. */
export function severityOf({ surpriseBits, dangerBits }: Score): Severity {
  const isSurprising = surpriseBits >= SURPRISING_BITS
  if (isSurprising && dangerBits >= CRITICAL_BITS) return 'critical'
  if (isSurprising && dangerBits >= HIGH_BITS) return 'high'
  return surpriseBits + dangerBits >= MEDIUM_BITS ? 'medium' : 'low'
}
