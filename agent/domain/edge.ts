/** What a process did. One word for each kind of edge. */
export const EDGE_KINDS = [
  'exec',
  'connect',
  'listen',
  'accept',
  'create',
  'delete',
  'rename',
  'write',
  'attribute',
  'privilege',
  'trace',
  'memory-exec',
] as const

export type EdgeKind = (typeof EDGE_KINDS)[number]

/** Kinds whose target is a file, and whose file names may be covered by a learned pattern. */
export type FileAction = Extract<EdgeKind, 'create' | 'delete' | 'rename' | 'write' | 'attribute'>

/** Kinds whose target is a host, or a socket of this one. */
const PEER_ACTIONS = ['connect', 'listen', 'accept'] as const

export type PeerAction = (typeof PEER_ACTIONS)[number]

export const isPeerAction = (kind: EdgeKind): kind is PeerAction => PEER_ACTIONS.some((each) => each === kind)

/** Kinds whose target may be covered by a learned pattern. */
export type PatternAction = FileAction | PeerAction

/** What stands before the name of such a target in the name of its node. */
export const prefixOf = (action: PatternAction): string =>
  isPeerAction(action) ? 'host:' : `file:${action}:`

/** An edge by the printed names of its nodes; `from` is always the acting process. */
export interface Edge {
  readonly kind: EdgeKind
  readonly from: string
  readonly to: string
}
