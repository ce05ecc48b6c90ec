import { canonical } from './addresses.ts'

/** The port of who was accepted. */
export const ANY_PORT = '*'
/** Ports below are given out by name: https://www.iana.org/assignments/service-names-port-numbers */
export const FIRST_HIGH_PORT = 1024
export const LAST_PORT = 65_535

const NODE = /^host:(\[[^\]]+\]|[^:]+):(\d+|\*|\d+-\d+)$/

/** A host and a port as the name of a node tells them. */
export interface NamedPeer {
  /** A name, an address as the graph writes it, a network in CIDR notation, or a class of addresses. */
  readonly label: string
  readonly port: string
  /** The label when it is an address. */
  readonly address: string | undefined
}

/** Ports of one host that are one node, since one of them is chosen anew each time. */
export interface Ports {
  readonly first: number
  readonly last: number
}

export const portsText = ({ first, last }: Ports): string => `${first}-${last}`

/** What a node says of its ports; undefined when it is one, or none. */
export function portsOf(port: string): Ports | undefined {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(port) ?? []
  return first === undefined ? undefined : { first: Number(first), last: Number(last) }
}

export const hasPort = ({ first, last }: Ports, port: number): boolean => first <= port && port <= last

/** `host:LABEL:PORT`, IPv6 in brackets. */
export const peerNode = (label: string, port: string): string =>
  label.includes(':') ? `host:[${label}]:${port}` : `host:${label}:${port}`

/** What a node of that form names; undefined for other nodes. */
export function peerOfNode(node: string): NamedPeer | undefined {
  const [, written = '', port] = NODE.exec(node) ?? []
  if (port === undefined) return undefined
  const label = written.startsWith('[') ? written.slice(1, -1) : written
  return { label, port, address: canonical(label) }
}
