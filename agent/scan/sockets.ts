/** One end of a connection, or a place where a process waits for such. */
export interface SeenSocket {
  readonly protocol: 'tcp' | 'udp'
  readonly state: 'listening' | 'connected' | 'connecting' | 'other'
  readonly localAddress: string
  readonly localPort: number
  readonly remoteAddress: string
  readonly remotePort: number
}

/** include/net/tcp_states.h; a UDP socket without a peer is TCP_CLOSE. */
const ESTABLISHED = 0x01
const SYN_SENT = 0x02
const CLOSE = 0x07
const CLOSE_WAIT = 0x08
const LISTEN = 0x0a

/** ADDRESS:PORT of both ends, the state, and five fields further the inode: proc_pid_net(5). */
const LINE =
  /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{2}) \S+ \S+ \S+\s+\d+\s+\d+ (\d+)/

/** Sockets by inode from the text of `/proc/PID/net/tcp`, `tcp6`, `udp` or `udp6`. What is no socket is left out. */
export function parseSockets(text: string, protocol: 'tcp' | 'udp'): [inode: string, socket: SeenSocket][] {
  return text.split('\n').flatMap((line): [string, SeenSocket][] => {
    const match = LINE.exec(line)
    if (match === null) return []
    const [, local = '', localPort = '', remote = '', remotePort = '', state = '', inode = ''] = match
    // One that is closed has none any more.
    if (inode === '0') return []
    const ends = {
      localAddress: addressOf(local),
      localPort: Number.parseInt(localPort, 16),
      remoteAddress: addressOf(remote),
      remotePort: Number.parseInt(remotePort, 16),
    }
    return [[inode, { protocol, state: stateOf(Number.parseInt(state, 16), protocol), ...ends }]]
  })
}

function stateOf(state: number, protocol: 'tcp' | 'udp'): SeenSocket['state'] {
  if (state === ESTABLISHED || state === CLOSE_WAIT) return 'connected'
  if (state === SYN_SENT) return 'connecting'
  if (state === LISTEN || (state === CLOSE && protocol === 'udp')) return 'listening'
  return 'other'
}

/** The kernel prints an address as words in its own order, which is little-endian on all that run this. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  if (bytes.length === 4) return bytes.reverse().join('.')
  const groups: number[] = []
  for (let at = 0; at < bytes.length; at += 4) {
    const word = bytes.readUInt32LE(at)
    groups.push(word >>> 16, word & 0xffff)
  }
  const [, , , , , mapped, high = 0, low = 0] = groups
  if (mapped === 0xffff && groups.slice(0, 5).every((group) => group === 0))
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
  return shortened(groups.map((group) => group.toString(16)))
}

/** RFC 5952: the longest run of two or more zeros, the first of several, becomes `::`. */
function shortened(groups: readonly string[]): string {
  const text = groups.join(':')
  const runs = text.match(/\b0(?::0)+\b/g) ?? []
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '')
  return longest === '' ? text : text.replace(new RegExp(`(?:^|:)${longest}(?:$|:)`), '::')
}

/** `tcp 0.0.0.0:22`, `udp [::]:53`. */
export const placeOf = ({ protocol, localAddress, localPort }: SeenSocket): string =>
  `${protocol} ${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`
