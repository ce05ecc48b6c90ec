import { isIP } from 'node:net'
import { filePathOf, networkPeerOf, type NamedProcess, processOf } from '../detect/nodes.ts'
import type { EdgeKind } from '../domain/edge.ts'
import type { Evidence, Incident, IncidentEdge, Tamper } from '../domain/report.ts'

/** What one edge says, taken apart for programs that look for a user, an address or a path. */
export interface Deed {
  readonly kind: EdgeKind
  readonly process: NamedProcess
  readonly parent: NamedProcess | undefined
  /** What the process became by it: of a change of user. */
  readonly before: NamedProcess | undefined
  readonly peer: Peer | undefined
  readonly path: string | undefined
  readonly evidence: Evidence
}

export interface Peer {
  /** As it is printed: an address, a name, or a network. */
  readonly host: string
  /** Undefined when it is not known. */
  readonly ip: string | undefined
  /** A name of DNS; undefined when the host has none, or one of our own. */
  readonly domain: string | undefined
  readonly port: number | undefined
}

const NOBODY: NamedProcess = { container: '', user: '', exe: '?', script: '' }
/** A name with a dot is one of DNS: those of networks have none. */
const DOMAIN = /^(?!\d+(?:\.\d+){3}$)[\w-]+(?:\.[\w-]+)+\.?$/

/** The gravest edge of an incident; undefined when it has none. */
export function gravestOf({ chain, edges }: Incident): IncidentEdge | undefined {
  const path = chain.join('\n')
  return edges.find((edge) => edge.chain.join('\n') === path) ?? edges[0]
}

/** An edge, taken apart. */
export function deedOf({ kind, from, to, chain, evidence }: IncidentEdge): Deed {
  const target = processOf(to)
  const acts = kind === 'exec' || kind === 'memory-exec' || kind === 'privilege'
  const process = (acts ? target : undefined) ?? processOf(from) ?? NOBODY
  const name = process === target ? to : from
  const above = chain.slice(0, Math.max(0, chain.lastIndexOf(name))).at(-1)
  return {
    kind,
    process,
    parent: above === undefined ? undefined : processOf(above),
    before: kind === 'privilege' ? processOf(from) : undefined,
    peer: peerOf(to, evidence.address),
    path: filePathOf(to),
    evidence,
  }
}

/** Who tampered; undefined when nobody tells. */
export function tampererOf({ process, chain }: Tamper):
  | {
      readonly process: NamedProcess
      readonly parent: NamedProcess | undefined
    }
  | undefined {
  const found = processOf(process)
  if (found === undefined) return undefined
  const above = chain.at(-2)
  return { process: found, parent: above === undefined ? undefined : processOf(above) }
}

function peerOf(name: string, address: string | undefined): Peer | undefined {
  const named = name.startsWith('host:') ? networkPeerOf(name) : undefined
  if (named === undefined) return undefined
  const { host, port } = named
  return {
    host,
    ip: [host, address].find((text) => text !== undefined && isIP(text) !== 0 && !text.includes('%')),
    domain: DOMAIN.test(host) ? host : undefined,
    port: /^\d{1,5}$/.test(port) ? Number(port) : undefined,
  }
}
