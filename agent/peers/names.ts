import { canonical } from './addresses.ts'

/** What a port is called that is chosen anew each time. */
export const HIGH = 'high'
/** The port of who was accepted. */
export const ANY_PORT = '*'
/** Ports below are given out by name: https://www.iana.org/assignments/service-names-port-numbers */
export const FIRST_HIGH_PORT = 1024

const NODE = /^host:(\[[^\]]+\]|[^:]+):(\d+|\*|high)$/

/** A host and a port as the name of a node tells them. */
export interface NamedPeer {
  /** A name, an address as the graph writes it, a network in CIDR notation, or a class of addresses. */
  readonly label: string
  readonly port: string
  /** The label when it is an address. */
  readonly address: string | undefined
}

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
