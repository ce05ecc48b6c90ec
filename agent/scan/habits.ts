import { readFileSync } from 'node:fs'
import type { ProcessHabits, ScannedProcess } from '../domain/scan.ts'

/** What is remembered of each kind. */
const MOST_KEPT = 100
const MORE_RSS = 4
const MORE_RSS_BYTES = 64 * 1_048_576
const MORE_CPU = 2
const MORE_CPU_PERCENT = 20

/** Ports that are handed out to whoever asks for none. */
export interface PortRange {
  readonly from: number
  readonly to: number
}

const PORT_RANGE = '/proc/sys/net/ipv4/ip_local_port_range'

export function portsHandedOut(): PortRange {
  const [from = 0, to = 0] = readFileSync(PORT_RANGE, 'latin1').trim().split(/\s+/).map(Number)
  return { from, to }
}

/** What a process is like at one look. */
export interface Likeness {
  readonly parent: string
  readonly listens: readonly string[]
  readonly hasConnected: boolean
  readonly hasTty: boolean
  readonly cpuPercent: number
  readonly rssBytes: number
}

/** What of a process may be strange. */
type Facts = Pick<ScannedProcess, 'listens' | 'connections' | 'tty' | 'cpuPercent' | 'rssBytes'>
type Named = Pick<ScannedProcess, 'name' | 'container'>

/** Containers of one image have another id whenever they are made anew. */
export const habitName = ({ name, container }: Named): string =>
  container === '' ? name : name.replace(`proc:${container}:`, 'proc:container:')

export const likenessOf = (facts: Facts, parent: Named | undefined, handedOut: PortRange): Likeness => ({
  parent: parent === undefined ? '' : habitName(parent),
  listens: [...new Set(facts.listens.map((place) => withoutChance(place, handedOut)))].sort(),
  hasConnected: facts.connections > 0,
  hasTty: facts.tty !== null,
  cpuPercent: facts.cpuPercent,
  rssBytes: facts.rssBytes,
})

const withoutChance = (place: string, { from, to }: PortRange): string =>
  place.replace(/\d+$/, (port) => (Number(port) >= from && Number(port) <= to ? '0' : port))

/** What a process was like, with one more look. */
export const withLook = (
  before: ProcessHabits | undefined,
  now: Likeness,
  timeMs: number,
): ProcessHabits => ({
  looks: (before?.looks ?? 0) + 1,
  firstMs: before?.firstMs ?? timeMs,
  lastMs: timeMs,
  parents: joined(before?.parents, [now.parent]),
  listens: joined(before?.listens, now.listens),
  hasConnected: now.hasConnected || before?.hasConnected === true,
  hasTty: now.hasTty || before?.hasTty === true,
  mostCpuPercent: Math.max(now.cpuPercent, before?.mostCpuPercent ?? 0),
  mostRssBytes: Math.max(now.rssBytes, before?.mostRssBytes ?? 0),
})

const joined = (before: readonly string[] = [], now: readonly string[]): readonly string[] =>
  [...new Set([...before, ...now])].sort().slice(0, MOST_KEPT)

/** What a process does that none of its name did in the training: how strange that is, and a sentence. */
export function strangenessOf(
  habits: ProcessHabits,
  now: Likeness,
): readonly (readonly [surprise: number, reason: string])[] {
  const place = now.listens.find((each) => !habits.listens.includes(each))
  const strange: (readonly [boolean, number, string])[] = [
    [!habits.parents.includes(now.parent), 0.4, 'its parent was another one in the training'],
    [place !== undefined, 0.4, `it did not listen on ${place ?? ''} in the training`],
    [now.hasConnected && !habits.hasConnected, 0.3, 'it connected to nobody in the training'],
    [now.hasTty && !habits.hasTty, 0.1, 'it had no terminal in the training'],
    [
      now.cpuPercent > habits.mostCpuPercent * MORE_CPU + MORE_CPU_PERCENT,
      0.2,
      `it used ${habits.mostCpuPercent} % of a processor at most in the training`,
    ],
    [
      now.rssBytes > habits.mostRssBytes * MORE_RSS + MORE_RSS_BYTES,
      0.2,
      `it used ${Math.round(habits.mostRssBytes / 1_048_576)} MiB of memory at most in the training`,
    ],
  ]
  return strange.filter(([is]) => is).map(([, surprise, reason]) => [surprise, reason] as const)
}
