import { linkTo, readUpTo } from './reading.ts'
import { parseSockets, type SeenSocket } from './sockets.ts'

/** Some hundred thousand connections: more are counted as cut. */
const MOST_BYTES = 16_777_216
const TABLES = [
  ['tcp', 'tcp'],
  ['tcp6', 'tcp'],
  ['udp', 'udp'],
  ['udp6', 'udp'],
] as const

/** Sockets of one network. */
interface Known {
  readonly byInode: ReadonlyMap<string, SeenSocket>
  /** Ports of TCP that anybody waits at: what is connected there was accepted. */
  readonly served: ReadonlySet<number>
  readonly isCut: boolean
}

/** Sockets of all networks at one look, each network read once. */
export class NetworkSockets {
  private readonly networks = new Map<string, Known>()

  /**
   * Those of the network that a process is in; undefined when it may not be known which.
   * @param directory of the process in /proc
   * @throws when the process is gone
   */
  of(directory: string): Known | undefined {
    const network = linkTo(`${directory}/ns/net`)
    if (network === undefined) return undefined
    let known = this.networks.get(network)
    if (known === undefined) this.networks.set(network, (known = readAll(directory)))
    return known
  }
}

function readAll(directory: string): Known {
  const byInode = new Map<string, SeenSocket>()
  let isCut = false
  for (const [file, protocol] of TABLES) {
    const reading = tableAt(`${directory}/net/${file}`)
    if (reading === undefined || reading.kind === 'forbidden') continue
    isCut ||= reading.kind === 'cut'
    for (const [inode, socket] of parseSockets(reading.bytes.toString('latin1'), protocol))
      byInode.set(inode, socket)
  }
  const served = new Set<number>()
  for (const { protocol, state, localPort } of byInode.values())
    if (protocol === 'tcp' && state === 'listening') served.add(localPort)
  return { byInode, served, isCut }
}

/** A kernel without IPv6 has no tables for it. */
function tableAt(path: string): ReturnType<typeof readUpTo> | undefined {
  try {
    return readUpTo(path, MOST_BYTES)
  } catch {
    return undefined
  }
}
