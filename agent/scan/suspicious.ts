import type { Observation } from '../domain/alert.ts'
import type { Heuristic, ScannedProcess } from '../domain/scan.ts'
import { printable } from '../graph/names.ts'

/** Signs that come and go with what a process works at the moment. */
const MOMENTARY: ReadonlySet<Heuristic> = new Set(['high_cpu', 'many_conns', 'ptraced'])
/** Points from which one sign alone is grave. */
const GRAVE = 4
const MOST_PIDS = 20
const LONGEST_ARGV = 20

/** Processes that a scan found suspicious, those of one program that are suspicious for the same reasons as one. */
export function suspiciousProcesses(processes: readonly ScannedProcess[]): Observation[] {
  const groups = new Map<string, ScannedProcess[]>()
  for (const process of processes) {
    if (!process.isSuspicious) continue
    const key = keyOf(process)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [process])
    else group.push(process)
  }
  return Array.from(groups, ([key, group]) => observationOf(key, group))
}

/** The same for the same program of the same user, however often it is started. */
const keyOf = ({ container, exe, marks, script, user }: ScannedProcess): string =>
  [
    container,
    user,
    printable(exe),
    printable(script ?? ''),
    ...marks
      .map(({ heuristic }) => heuristic)
      .filter((heuristic) => !MOMENTARY.has(heuristic))
      .sort(),
  ].join(' ')

function observationOf(key: string, group: readonly ScannedProcess[]): Observation {
  const [worst] = [...group].sort((one, other) => other.score - one.score)
  if (worst === undefined) throw new Error('a group has a process')
  const { allowlistedBy, argv, container, marks, ppid, script, sha256, score, surpriseReasons, user } = worst
  const exe = printable(worst.exe)
  const what = script === null ? exe : `${printable(script)} (${exe})`
  const where = container === '' ? '' : ` in container ${container}`
  const often = group.length === 1 ? '' : `, ${group.length} times`
  const isGrave = marks.some(({ points }) => points >= GRAVE)
  const pids = group.map(({ pid }) => pid)
  return {
    source: 'process',
    key,
    severity: isGrave && allowlistedBy === null ? 'high' : 'medium',
    title: `suspicious process ${what} of ${printable(user)}${where}${often}: ${marks[0]?.reason ?? 'it is unlike what was learned'}`,
    reasons: [
      ...marks.map(({ heuristic, points, reason }) => `${reason} (${heuristic}, ${points})`),
      ...surpriseReasons.map(printable),
      ...(allowlistedBy === null
        ? []
        : [`it is allowlisted (${printable(allowlistedBy)}), and still too grave`]),
    ],
    next: [
      `look at it while it runs: ls -l /proc/${pids[0] ?? 0}/exe, fullmon scan`,
      'who started it: fullmon incidents --all, ausearch --pid',
      'if it belongs here: fullmon allow, else keep a copy of /proc/PID/exe and end it',
    ],
    subject: {
      ...{
        pids: pids.slice(0, MOST_PIDS),
        ppid,
        user: printable(user),
        uid: worst.uid,
        exe,
        container,
        score,
      },
      ...(script === null ? {} : { script: printable(script) }),
      ...(sha256 === null ? {} : { sha256 }),
      argv: argv.slice(0, LONGEST_ARGV).map(printable),
      heuristics: marks.map(({ heuristic }) => heuristic),
    },
  }
}
