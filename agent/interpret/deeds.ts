import type { Claims, Deed, ProcessImage } from '../domain/activity.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { OtherRecord, SyscallRecord } from '../domain/record.ts'
import { callName } from './calls.ts'

/** `key=value` pairs of a record: what the kernel wrote, and what the sender of a record of user space says. */
export interface RecordBody {
  readonly own: { readonly fields: ReadonlyMap<string, string> }
  readonly claims: { readonly fields: ReadonlyMap<string, string> } | undefined
}
export type BodyOf = (body: string) => RecordBody

/** Whom a record without a system call is about. */
export interface Subject {
  readonly pid: number
  readonly uid: number
  readonly auid: number
  readonly comm: string
  /** Undefined where the record does not tell. */
  readonly exe: string | undefined
}

const ROOT = 0
/** <linux/audit.h>: login uid that was never set. */
const UNSET = 4_294_967_295
/** <asm-generic/errno-base.h> */
const EPERM = 1
const EACCES = 13
/** <linux/stat.h> */
const S_ISUID = 0o4000
/** wait(2): of what a process hands to exit_group(2) its parent is told eight bits. */
const STATUS_BITS = 0xff

/** Programs whose purpose is to make another user of whoever may: their file makes root of everybody. */
const SWITCHER = /\/(?:sudo|sudoedit|su|pkexec|doas|runuser|polkit-agent-helper-1)$/
/** Records with which such a program says that it has refused: by a password, an account, a command, in general. */
const REFUSALS: ReadonlySet<string> = new Set(['USER_AUTH', 'USER_ACCT', 'USER_CMD', 'USER_ERR'])

type Who = Pick<Deed, 'pid' | 'auid' | 'actor' | 'event'>

const who = (event: AuditEvent, { pid, auid }: Subject | SyscallRecord, actor: ProcessImage): Who => ({
  ...{ event, actor, pid },
  auid: auid === UNSET ? undefined : auid,
})

/** A program was executed. `hadRoot`: the process had the rights of root before, as far as it was seen. */
export function executed(
  event: AuditEvent,
  syscall: SyscallRecord,
  { before, after, hadRoot }: { before: ProcessImage; after: ProcessImage; hadRoot: boolean },
): Deed | undefined {
  const { uid, euid, exe = '' } = syscall
  if (uid <= ROOT) return undefined
  const isSwitcher = SWITCHER.test(exe)
  const isByFile = euid === ROOT && (!hadRoot || event.paths.some(({ mode }) => (mode & S_ISUID) !== 0))
  if (!isSwitcher && !isByFile) return undefined
  return {
    kind: 'escalation',
    ...who(event, syscall, after),
    how: isSwitcher ? 'switcher' : 'setuid-file',
    succeeded: euid === ROOT,
    ...{ before, program: exe, claims: undefined },
  }
}

/**
 * A program could not be executed. PATH is searched by trying, so only what is there and may not be says something; where
 * a directory may not be searched, nothing was found.
 */
export function notExecuted(
  event: AuditEvent,
  syscall: SyscallRecord,
  actor: ProcessImage,
  path: string | undefined,
): Deed | undefined {
  const error = -syscall.exit
  const [file] = event.paths
  if (path === undefined || file === undefined || file.inode === 0) return undefined
  if (error !== EACCES && error !== EPERM) return undefined
  return { kind: 'exec-failed', ...who(event, syscall, actor), path, error }
}

/**
 * A call of setuid(2) or its family. Who had root before and gave it up may take it back, and daemons try that to see
 * that they cannot (sshd does at every login).
 *
 * @param before what the process was before the call; undefined when it was never seen
 */
export function changedUser(
  event: AuditEvent,
  syscall: SyscallRecord,
  actor: ProcessImage,
  before: { readonly image: ProcessImage; readonly hadRoot: boolean } | undefined,
): Deed | undefined {
  const { success, uid, euid } = syscall
  const told = { ...who(event, syscall, actor), how: 'call', program: undefined, claims: undefined } as const
  if (before?.hadRoot === true) return undefined
  if (success === true) {
    // Of a process that was never seen before, only its real uid may still tell what it was.
    if (euid !== ROOT || (before === undefined && uid === ROOT)) return undefined
    return { kind: 'escalation', ...told, succeeded: true, before: before?.image ?? actor }
  }
  if (uid <= ROOT || -syscall.exit !== EPERM || !asksForRoot(syscall)) return undefined
  return { kind: 'escalation', ...told, succeeded: false, before: actor }
}

/**
 * Whether the rights of root are what a call wants. init changes the real uid alone of each service that has a user, to
 * open a keyring for it, and stays root meanwhile: setreuid(33, -1).
 */
export const asksForEffectiveRoot = ({ arch, syscall, a0, a1 }: SyscallRecord): boolean =>
  (callName(arch, syscall).startsWith('setre') ? a1 : a0) === ROOT

/** setuid has one id, setreuid two, setresuid three; -1 leaves one as it is. */
function asksForRoot({ arch, syscall, a0, a1, a2 }: SyscallRecord): boolean {
  const name = callName(arch, syscall)
  const ids = name.startsWith('setres') ? [a0, a1, a2] : name.startsWith('setre') ? [a0, a1] : [a0]
  return ids.includes(ROOT)
}

/** exit_group(2). Undefined for a process that ended well. */
export function ended(event: AuditEvent, syscall: SyscallRecord, actor: ProcessImage): Deed | undefined {
  const status = syscall.a0 & STATUS_BITS
  return status === 0 ? undefined : { kind: 'end', ...who(event, syscall, actor), status, signal: undefined }
}

/**
 * What a record without a system call tells of a process, and of which. `imageOf` gives what that process is.
 *
 * Of a record of user space the ids are the kernel's, and the rest is what its sender says: whether that is one of the
 * programs that make root, the table of processes tells, and only where that knows nothing the claim does.
 */
export function recorded(
  event: AuditEvent,
  { name, body }: OtherRecord,
  bodyOf: BodyOf,
  imageOf: (subject: Subject) => ProcessImage,
): Deed | undefined {
  if (body === undefined || (name !== 'ANOM_ABEND' && !REFUSALS.has(name))) return undefined
  const { own, claims } = bodyOf(body)
  const number = (key: string): number => Number(own.fields.get(key) ?? -1)
  const comm = own.fields.get('comm') ?? '?'
  const ids = { pid: number('pid'), uid: number('uid'), auid: number('auid') }
  if (!(ids.pid >= 0)) return undefined
  if (name === 'ANOM_ABEND') {
    const signal = number('sig')
    const subject = { ...ids, comm, exe: own.fields.get('exe') }
    return { kind: 'end', ...who(event, subject, imageOf(subject)), status: undefined, signal }
  }
  if (claims?.fields.get('res') !== 'failed') return undefined
  const subject = { ...ids, comm, exe: undefined }
  return refused(who(event, subject, imageOf(subject)), ids.uid, {
    record: name,
    claims: claims.fields,
  })
}

/** The process as it was before it took on root, if it was ever seen as anybody else. */
function normalUserOf(actor: ProcessImage): ProcessImage | undefined {
  const { origin } = actor
  return [actor, origin].find((image) => image?.exe === actor.exe && !isRoot(image.user))
}

const isRoot = (user: string): boolean => user === 'root' || user === String(ROOT)

function refused(
  told: Who,
  uid: number,
  { record, claims }: { readonly record: string; readonly claims: ReadonlyMap<string, string> },
): Deed | undefined {
  const { actor } = told
  const before = normalUserOf(actor)
  const isKnown = actor.exe.startsWith('/')
  const program = isKnown ? actor.exe : claims.get('exe')
  if (program === undefined || !SWITCHER.test(program) || (before === undefined && uid <= ROOT))
    return undefined
  const said: Claims = { record, account: claims.get('acct'), command: claims.get('cmd') }
  return {
    ...{ kind: 'escalation', ...told, how: 'authentication', succeeded: false },
    ...{ before: before ?? actor, program, claims: said },
  }
}
