import { TEST_LOGINUID } from './auditd.ts'

/** The events of the test's own login uid: the others tell how auditd was started and how rules were loaded. */
export function ofLoginuid(log: Buffer): Buffer {
  const lines = log.toString('latin1').split(/(?<=\n)/)
  const idOf = (line: string): string => /msg=audit\(([^)]*)\)/.exec(line)?.[1] ?? ''
  const kept = new Set(lines.filter((line) => line.includes(` auid=${TEST_LOGINUID} `)).map(idOf))
  return Buffer.from(lines.filter((line) => kept.has(idOf(line))).join(''), 'latin1')
}
