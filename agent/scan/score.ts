import type { ScanMark } from '../domain/scan.ts'

/** What no entry of the allowlist makes harmless: such a score stays at the threshold. */
const GRAVE = 5

export interface ScoreSettings {
  readonly min_score: number
  readonly model_weight: number
  readonly allowlist_bonus: number
}

/**
 * What signs and surprise add up to, and whether that is suspicious.
 * @param surprise from 0 to 1; 0 also when nothing is known
 */
export function scoreOf(
  marks: readonly ScanMark[],
  surprise: number,
  isAllowlisted: boolean,
  { min_score: threshold, model_weight: weight, allowlist_bonus: bonus }: ScoreSettings,
): { readonly score: number; readonly isSuspicious: boolean } {
  const signs = marks.reduce((sum, { points }) => sum + points, 0)
  const total = rounded(signs + weight * surprise)
  const least = total >= GRAVE ? Math.min(threshold, total) : 0
  const score = isAllowlisted ? rounded(Math.max(least, total - bonus)) : total
  return { score, isSuspicious: score >= threshold }
}

/** As it is printed: what looks like the threshold reaches it. */
const rounded = (score: number): number => Math.round(score * 10) / 10
