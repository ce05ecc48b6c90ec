/** What the name of a process says: `proc:[container]:user:exe[<script]`. */
export interface NamedProcess {
  readonly container: string
  readonly user: string
  /** `?` when it was never seen. */
  readonly exe: string
  /** A path, or `-m MODULE`; empty when there is none. */
  readonly script: string
}

/** What the name of a peer says. */
export interface NamedPeer {
  /** An address, a name, or a network; a path or `@name` for sockets of this host. */
  readonly host: string
  /** Empty for what has none. */
  readonly port: string
}

const PROCESS = /^proc:([^:]*):([^:]*):([^<]*)(?:<(.*))?$/s
const PEER = /^host:(?:\[(?<six>[^\]]+)\]|(?<host>.*)):(?<port>[^:]*)$/s
const UNIX = 'host:unix:'
const FILE = /^file:[^:]*:(?:\(\?<executable>\))?(.*)$/s
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|127\.0\.0\.0\/\d+|::1|::ffff:127\.[\d.]+|localhost|loopback)$/
const UNSPECIFIED = /^(?:0\.0\.0\.0|::)$/
const ADDRESS = /^(?:\d+\.\d+\.\d+\.\d+|[0-9a-f:.]*:[0-9a-f:.]*)$/

/** A process by its printed name; undefined for what is no process. */
export function processOf(name: string): NamedProcess | undefined {
  const match = PROCESS.exec(name)
  if (match === null) return undefined
  const [, container = '', user = '', exe = '', script = ''] = match
  return { container, user, exe, script }
}

/** A peer on a network by its printed name; undefined for sockets of this host and for what is no address of a network. */
export function networkPeerOf(name: string): NamedPeer | undefined {
  if (name.startsWith(UNIX) || name.startsWith('host:vsock:') || name.startsWith('host:packet:'))
    return undefined
  const { six, host, port } = PEER.exec(name)?.groups ?? {}
  return port === undefined ? undefined : { host: six ?? host ?? '', port }
}

/** The path of a file by its printed name; undefined for what is no file. */
export const filePathOf = (name: string): string | undefined => FILE.exec(name)?.[1]

/** Whether a peer is this host itself. */
export const isLoopback = ({ host }: NamedPeer): boolean => LOOPBACK.test(host)

/** Whether a peer is on another host, as far as its name tells. */
export const isOutside = (peer: NamedPeer): boolean => !isLoopback(peer) && !UNSPECIFIED.test(peer.host)

/** Whether nothing is known of a peer but its address. */
export const isNameless = ({ host }: NamedPeer): boolean => ADDRESS.test(host)

/** The last part of a path. */
export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
