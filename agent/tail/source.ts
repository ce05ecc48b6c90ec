/** What `auditd` of the configuration may be. */
export type Source =
  | { readonly kind: 'log'; readonly path: string }
  | { readonly kind: 'stdin' }
  /** auditd starts a plugin, which brings the records to a socket of the agent. */
  | { readonly kind: 'relay'; readonly socket: string }

/** Where the plugin brings them when nobody says otherwise. */
const DEFAULT_SOCKET = '/run/fullmon/events'

/** Where records come from. A log that is called `relay` is `./relay`. */
export function sourceOf(auditd: string): Source {
  if (auditd === '-') return { kind: 'stdin' }
  if (auditd === 'relay') return { kind: 'relay', socket: DEFAULT_SOCKET }
  const [, socket] = /^relay:(\/.*)$/s.exec(auditd) ?? []
  return socket === undefined ? { kind: 'log', path: auditd } : { kind: 'relay', socket }
}
