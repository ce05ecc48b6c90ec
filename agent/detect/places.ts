import { EDGE_KINDS, type Edge } from '../domain/edge.ts'
import { temporaryPlaceOf } from './programs.ts'
import { isSensitive } from './sensitive.ts'

const FILE = new RegExp(`^file:(?:${EDGE_KINDS.join('|')}):`)
const HOST_PORT = /^host:(?!unix:|vsock:|packet:|family-).*:([^:]+)$/
const ADDRESS = /^host:(?:\[[\da-f:.]+\]|\d+\.\d+\.\d+\.\d+):[^:]*$/
const CODE =
  /\.(?:[cm]?[jt]s|py|pyc|rb|pl|pm|sh|bash|so|jar|class|war|lua|php\d?|phtml|phar|jspx?|aspx?|cgi|fcgi|ko|wasm|exe|elf|bin)$/i
/** Where programs leave what has no extension. */
const FOR_NAMES = /^\/(?:var(?!\/www)|tmp|run|dev\/shm|proc)\/|\/(?:te?mp|\.?cache|spool|data)\//
const PROGRAM_DIRECTORY = /^proc:[^:]*:[^:]*:([^<]*\/)/
/** Of a directory whose directories are all alike: below `/srv/app`, not below `/srv`. */
const LEAST_DEPTH = 3
const EXTENSION = /[^./](\.[^./\d][^./]{0,15})$/

/**
 * Where an edge of a source belongs among others of its kind: a directory with an extension, the directory of a program, or
 * a port of hosts; for all others the target itself. Like a pattern for the shell, for people.
 */
export function placeOf({ to }: Pick<Edge, 'to'>): string {
  const [file] = FILE.exec(to) ?? []
  if (file !== undefined) {
    const path = to.slice(file.length)
    const [, extension = ''] = EXTENSION.exec(path) ?? []
    const at = path.lastIndexOf('/') + 1
    return `${path.slice(0, at)}${anyLike(path.slice(at))}${extension}`
  }
  const [, directory] = PROGRAM_DIRECTORY.exec(to) ?? []
  if (directory !== undefined) return `${directory}*`
  const [, port] = HOST_PORT.exec(to) ?? []
  if (port === undefined) return to
  return isUnnamed({ to }) ? `address:${port}` : `*:${port}`
}

/** Whether a host is known by nothing but its address. */
export const isUnnamed = ({ to }: Pick<Edge, 'to'>): boolean => ADDRESS.test(to)

/** Whether a host has a name, or is a network. */
export const isNamed = ({ to }: Pick<Edge, 'to'>): boolean => HOST_PORT.test(to) && !isUnnamed({ to })

/** What may be run by whoever finds it: code by its extension, or a name without one where no such things are expected. */
export function mayBeCode({ to }: Pick<Edge, 'to'>): boolean {
  const [file] = FILE.exec(to) ?? []
  if (file === undefined) return false
  const path = to.slice(file.length)
  return CODE.test(path) || (!EXTENSION.test(path) && !FOR_NAMES.test(path))
}

/** The same over all directories beside its own; undefined for what is no file, or lies too near to the root. */
export function placeAround({ to }: Pick<Edge, 'to'>): string | undefined {
  if (!FILE.test(to)) return undefined
  const parts = placeOf({ to }).split('/')
  const name = parts.pop() ?? ''
  const directory = parts.pop() ?? ''
  return parts.length < LEAST_DEPTH ? undefined : `${parts.join('/')}/${anyLike(directory)}/${name}`
}

/** As deep as `/var/lib/NAME`, `/srv/NAME/uploads` or `/home/USER/.cache`, with what marks a pattern before it. */
const DOMAIN = /^(\(\?<executable>\))?((?:\/[^/]+){3}\/)/
/** Longer ones are nobody's habit, and cost too much to compare. */
const LONGEST_DOMAIN = 200
/** Where programs and what starts them are. */
const SYSTEM = /^\/(?:etc|usr|s?bin|lib(?:exec|32|64|x32)?|boot|dev|proc|sys)\//

/**
 * Beginnings of the names of all files of one kind of edge in the part of the file system that an edge is about, however
 * they are written; none when a file there may be code, is sensitive, or is where anybody may put something.
 */
export function domainOf(edge: Edge): readonly string[] {
  const [prefix] = FILE.exec(edge.to) ?? []
  if (prefix === undefined) return []
  const path = edge.to.slice(prefix.length)
  const [, , directory] = DOMAIN.exec(path) ?? []
  if (
    directory === undefined ||
    directory.length > LONGEST_DOMAIN ||
    SYSTEM.test(directory) ||
    temporaryPlaceOf(directory) !== undefined
  )
    return []
  if (isSensitive(path.replace(/^\(\?<executable>\)/, '')) || mayBeCode(edge)) return []
  const plain = directory.replace(/\\([^\w\s])/g, '$1')
  const escaped = plain.replace(/[$^*+?()[\]{}|.]/g, '\\$&')
  return [...new Set([plain, escaped])].flatMap((each) => [prefix + each, `${prefix}(?<executable>)${each}`])
}

/** What is hidden is of no place where things are not, as in a shell. The name may be that of a pattern. */
const anyLike = (name: string): string => (/^\\?\./.test(name) ? '.*' : '*')
