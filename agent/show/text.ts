import { printable } from '../graph/names.ts'
import { ERRNO } from '../interpret/tables/errno.ts'
import { timeText } from '../report/text.ts'
import type { Detail, ShownDeed, ShownEvent, ShownPath, ShownPeer, ShownSummary } from './event.ts'

/** An event as one line for a person, safe to look at on a terminal whatever the log says. */
export function eventText(event: ShownEvent): string {
  const { id, claims, details = [] } = event
  return [
    timeText(id.timeMs),
    id.node === '' ? undefined : word(id.node),
    String(id.serial),
    word(event.syscall ?? event.records[0] ?? '?'),
    resultText(event),
    whoText(event),
    event.exe === undefined ? undefined : word(event.exe),
    event.argv?.map(word).join(' '),
    event.argvTruncated === true ? '…' : undefined,
    event.cwd === undefined ? undefined : `cwd ${word(event.cwd)}`,
    ...event.paths.map((path) => pathText(path, event.exe)),
    event.peer && peerText(event.peer),
    ...(event.targets ?? []).map(({ pid, uid, comm }) => `→ pid ${pid} uid ${uid} ${word(comm)}`),
    ...details.map((detail) => detailText(detail, event)),
    claims && `claims {${fieldsText(Object.entries(claims))}}`,
    ...(event.deeds ?? []).map(deedText),
    event.keys.length === 0 ? undefined : `[${event.keys.map(word).join(' ')}]`,
    event.complete ? undefined : 'incomplete',
  ]
    .filter((part) => part !== undefined && part !== '')
    .join(' ')
}

export const summaryText = ({ records, events, unreadable, late, forged = 0 }: ShownSummary): string =>
  `${records} records, ${events} events; ${unreadable} lines unreadable, ${late} records late` +
  (forged === 0 ? '' : `, ${forged} lines forged`)

const PLAIN = /^[^\s"'\\]+$/u

/** Quoted when it would not stand out as one word. */
function word(text: string): string {
  const safe = printable(text)
  return PLAIN.test(safe) ? safe : `"${safe.replaceAll('"', '\\x22')}"`
}

function resultText({ success, exit }: ShownEvent): string | undefined {
  if (success === undefined) return undefined
  return success ? 'yes' : `no(${ERRNO[-(exit ?? 0)] ?? exit ?? '?'})`
}

function deedText(deed: ShownDeed): string {
  switch (deed.kind) {
    case 'escalation':
      return `escalation(${deed.how} ${deed.succeeded ? 'done' : 'refused'})`
    case 'end':
      return deed.signal === undefined ? `end(status ${deed.status ?? '?'})` : `end(signal ${deed.signal})`
    case 'exec-failed':
      return deed.kind
  }
}

const UNSET = 0xffffffff

function whoText({ pid, ppid, uid, euid, auid }: ShownEvent): string {
  const parts = [
    pid === undefined ? undefined : `pid ${pid}`,
    ppid === undefined ? undefined : `(ppid ${ppid})`,
    uid === undefined ? undefined : `uid ${uid}`,
    euid === undefined || euid === uid ? undefined : `euid ${euid}`,
    auid === undefined || auid === UNSET ? undefined : `auid ${auid}`,
  ].filter((part) => part !== undefined)
  return parts.length === 0 ? '' : `${parts.join(' ')}:`
}

/** Left out are the directories that names lie in, a program that is named already, and what has no name at all. */
function pathText({ path, action }: ShownPath, exe: string | undefined): string | undefined {
  if (action === 'parent' || (action === 'exec' && path === exe)) return undefined
  if (action === 'none') return path === '?' ? undefined : `path ${word(path)}`
  return `${action} ${word(path)}`
}

function peerText({ family, address = '', port, path }: ShownPeer): string {
  if (path !== undefined) return `→ ${family}:${word(path)}`
  const host = address.includes(':') ? `[${address}]` : address
  return `→ ${family}:${word(host)}${port === undefined ? '' : `:${port}`}`
}

/** What is said before, and what tells a person nothing. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  ...['pid', 'ppid', 'auid', 'uid', 'euid', 'exe', 'key', 'syscall', 'arch', 'success', 'exit'],
  ...['gid', 'egid', 'suid', 'sgid', 'fsuid', 'fsgid', 'ses', 'items'],
])

function detailText({ type, words = '', fields }: Detail, event: ShownEvent): string | undefined {
  const left = Object.entries(fields).filter(([key]) => !LEFT_OUT.has(key))
  const text = [words === '' ? '' : printable(words), fieldsText(left)]
    .filter((part) => part !== '')
    .join(' ')
  if (text === '') return undefined
  return event.syscall === undefined && event.records[0] === type ? text : `${word(type)} {${text}}`
}

const fieldsText = (fields: readonly (readonly [string, string])[]): string =>
  fields.map(([key, value]) => `${printable(key)}=${value === '' ? '""' : word(value)}`).join(' ')
