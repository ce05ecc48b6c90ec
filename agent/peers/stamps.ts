const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const YEAR_MS = 366 * 86_400_000

/** `2026-11-20T21:49:52.123+00:00`, as rsyslog and journalctl write it; without a zone it is local time. */
const ISO = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)? /
/** `1795211392.773`, as `journalctl -o short-unix` and `ts %.s` write it. */
const EPOCH = /^\[?(\d{9,10})(?:\.(\d{1,9}))?\]? /
/** `Nov 20 21:49:52`, local time of a year that is not told; journalctl may add a fraction. */
const SYSLOG = /^([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? /

/** A line of a log without its stamp. */
export interface Stamped {
  /** Unix time in milliseconds; undefined when there was no stamp. */
  readonly timeMs: number | undefined
  readonly text: string
}

/**
 * Takes the stamp off a line. Times without a zone are those of this host's zone.
 *
 * @param nearMs a time that the log is about: of all years, the one is meant that comes nearest
 */
export function withoutStamp(line: string, nearMs: number): Stamped {
  const epoch = EPOCH.exec(line)
  if (epoch !== null)
    return { timeMs: Number(epoch[1]) * 1000 + fractionMs(epoch[2]), text: line.slice(epoch[0].length) }
  const iso = ISO.exec(line)
  if (iso !== null) {
    const zone = iso[4] === undefined ? '' : iso[4].replace(/(\d\d)(\d\d)$/, '$1:$2')
    const timeMs = Date.parse(`${iso[1]}T${iso[2]}${zone}`)
    return { timeMs: orNone(timeMs + fractionMs(iso[3])), text: line.slice(iso[0].length) }
  }
  const syslog = SYSLOG.exec(line)
  if (syslog === null) return { timeMs: undefined, text: line }
  const [all, month = '', day, hour, minute, second, fraction] = syslog
  const timeIn = (year: number): number =>
    new Date(
      year,
      MONTHS.indexOf(month),
      Number(day),
      Number(hour),
      Number(minute),
      Number(second),
    ).getTime() + fractionMs(fraction)
  const timeMs = MONTHS.includes(month) ? timeIn(yearNear(nearMs, timeIn)) : Number.NaN
  return { timeMs: orNone(timeMs), text: line.slice(all.length) }
}

function yearNear(nearMs: number, timeIn: (year: number) => number): number {
  const about = new Date(Math.min(Math.max(nearMs, 0), 8e15 - YEAR_MS)).getUTCFullYear()
  const years = [about, about - 1, about + 1]
  return years.reduce((best, year) =>
    Math.abs(timeIn(year) - nearMs) < Math.abs(timeIn(best) - nearMs) ? year : best,
  )
}

const fractionMs = (digits: string | undefined): number =>
  digits === undefined ? 0 : Number(`0.${digits}`) * 1000

const orNone = (timeMs: number): number | undefined => (Number.isNaN(timeMs) ? undefined : timeMs)
