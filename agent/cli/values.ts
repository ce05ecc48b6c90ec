import { UsageError } from '../domain/result.ts'

const ZONE = /(Z|[+-]\d{2}:?\d{2})$/i

export const inMs = (seconds: number): number => Math.round(seconds * 1000)

/** Seconds of the command line as milliseconds. */
export function milliseconds(seconds: number, option: string, least: number): number {
  if (!Number.isFinite(seconds) || seconds < least) {
    throw new UsageError(`--${option} takes a number of seconds, at least ${least}`)
  }
  return inMs(seconds)
}

/** How many incidents a day somebody wants to read. */
export function alertsPerDay(count: number): number {
  if (!Number.isFinite(count) || count < 0)
    throw new UsageError('--alerts-per-day takes a number of incidents, at least 0')
  return count
}

/**
 * A time of the command line as Unix time in milliseconds: `1795211392.773`, or ISO 8601 such as `2026-11-20T21:49:52Z`.
 * Without a zone it is UTC, as reports are: the same words mean the same everywhere.
 */
export function timeOf(text: string, option: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  const timeMs = /^\d{4}-\d{2}-\d{2}/.test(text)
    ? Date.parse(ZONE.test(text) || !text.includes('T') ? text : `${text}Z`)
    : Number.NaN
  if (Number.isNaN(timeMs)) {
    throw new UsageError(
      `--${option} takes epoch seconds or ISO 8601 such as 2026-11-20T21:49:52Z, not '${text}'`,
    )
  }
  return timeMs
}
