import type { Finding } from '../domain/report.ts'
import { baseName, filePathOf, networkPeerOf, type NamedProcess, processOf } from './nodes.ts'
import {
  hasNoScript,
  hiddenPlaceOf,
  isKind,
  isSystemProgram,
  programOf,
  temporaryPlaceOf,
} from './programs.ts'

/** Characters of one name within a sentence. */
const LONGEST_NAME = 48
const SETUID = 0o4000

/** A process as a sentence names one that everybody knows: `app.py`, `redis-server`, `a shell`. */
export function shortName(name: string): string {
  const process = processOf(name)
  if (process === undefined) return cut(name)
  if (isPlainShell(process)) return SHELL
  return isUnknown(process) ? UNKNOWN : cut(programOrScript(process) ?? programOf(process))
}

/** A process as a sentence names one that nobody knows: a path, where the name alone would not tell it. */
export function exactName(name: string): string {
  const process = processOf(name)
  if (process === undefined) return cut(name)
  const { exe, script } = process
  if (isUnknown(process)) return UNKNOWN
  if (exe.startsWith('/memfd:'))
    return `a program in memory (${cut(exe.slice('/memfd:'.length).replace(DELETED, ''))})`
  if (script.startsWith('/')) return cut(isOddPlace(script) ? script : baseName(script))
  if (isPlainShell(process) && isSystemProgram(exe)) return SHELL
  return cut(isSystemProgram(exe) ? (programOrScript(process) ?? programOf(process)) : exe)
}

/** Who a process runs as: `app`, `root in container 0123456789ab`. */
export function userOf(name: string): string {
  const process = processOf(name)
  if (process === undefined) return ''
  const { user, container } = process
  return container === '' ? user : `${user} in container ${container}`
}

/** A target that is no process, as a sentence names it. */
export function targetName(to: string): string {
  const peer = networkPeerOf(to)
  if (peer !== undefined) return cut(to.slice('host:'.length))
  return cut(filePathOf(to) ?? to.replace(/^host:(?:unix:)?/, ''))
}

/** What findings of one kind are as a deed, of which their targets are the objects: `connected to`. */
export function verbOf({ edge, evidence }: Finding): string {
  switch (edge.kind) {
    case 'exec':
    case 'memory-exec':
      return 'ran'
    case 'connect':
      return 'connected to'
    case 'listen':
      return 'listened at'
    case 'accept':
      return 'took connections from'
    case 'create':
      return 'created'
    case 'delete':
      return 'deleted'
    case 'rename':
      return 'renamed'
    case 'write':
      return 'wrote'
    case 'attribute':
      return ((evidence.mode ?? 0) & SETUID) !== 0 ? 'set the setuid bit of' : 'changed the attributes of'
    case 'privilege':
      return 'became'
    case 'trace':
      return 'took hold of'
  }
}

/** The object of a deed. */
export function objectOf({ edge }: Finding): string {
  if (edge.kind === 'privilege') return userOf(edge.to)
  if (edge.kind === 'trace') return shortName(edge.to)
  if (edge.kind !== 'exec' && edge.kind !== 'memory-exec') return targetName(edge.to)
  const process = processOf(edge.to)
  const name = exactName(edge.to)
  // A shell that is news has a name.
  return process !== undefined && name === SHELL ? `${SHELL} (${programOf(process)})` : name
}

/** `a, b and c`; `a, b and 3 more` of a list with more than `most` words. */
export function listOf(words: readonly string[], most: number, and = 'and'): string {
  if (words.length <= 1) return words.join('')
  const shown = words.length <= most ? words.slice(0, -1) : words.slice(0, most)
  const last = words.length <= most ? (words.at(-1) ?? '') : `${words.length - most} more`
  return `${shown.join(', ')} ${and} ${last}`
}

/** In the middle of a long name the least is lost; no half of a character is left. */
export function cut(text: string, most = LONGEST_NAME): string {
  const characters = Array.from(text)
  if (characters.length <= most) return text
  const half = Math.floor((most - 1) / 2)
  return `${characters.slice(0, most - 1 - half).join('')}…${characters.slice(-half).join('')}`
}

const SHELL = 'a shell'
const UNKNOWN = 'an unknown program'
const isUnknown = ({ exe, script }: NamedProcess): boolean => exe === '?' && script === ''

const DELETED = / \(deleted\)$/

/** The script that runs, or the module; undefined where there is none. */
function programOrScript(process: NamedProcess): string | undefined {
  const { script } = process
  if (script.startsWith('/')) return baseName(script)
  return script === '' || hasNoScript(process) ? undefined : `${programOf(process)} ${script}`
}

const isPlainShell = (process: NamedProcess): boolean => isKind(process, 'shell') && hasNoScript(process)

const isOddPlace = (path: string): boolean =>
  temporaryPlaceOf(path) !== undefined || hiddenPlaceOf(path) !== undefined
