import type { EdgeKind } from '../../agent/domain/edge.ts'
import type { Evidence, Finding } from '../../agent/domain/report.ts'

/** A finding whose chain is given: `source` is its last process. Times are milliseconds behind the first of them. */
export function finding(
  kind: EdgeKind,
  ancestors: readonly string[],
  to: string,
  { atMs = 0, bits = 8, count = 1, ...evidence }: { atMs?: number; bits?: number } & Partial<Evidence> = {},
): Finding {
  return {
    edge: { kind, from: ancestors.at(-1) ?? '', to },
    chain: [...ancestors, to],
    firstMs: 1_795_000_000_000 + atMs,
    lastMs: 1_795_000_000_000 + atMs,
    bits,
    evidence: {
      ...{ node: '', serial: 4711, syscall: '', pid: 900, ppid: 800, auid: 4_294_967_295, comm: '' },
      ...{ argv: [], count, ...evidence },
    },
  }
}

export const APP = 'proc::app:/usr/bin/python3.11</srv/app/app.py'
export const SHELL = 'proc::app:/usr/bin/dash'
export const file = (action: string, path: string): string => `file:${action}:${path}`
/** A program of the user `app`. */
export const program = (exe: string, script?: string, user = 'app'): string =>
  `proc::${user}:${exe}${script === undefined ? '' : `<${script}`}`
