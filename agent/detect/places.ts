import { EDGE_KINDS, type Edge } from '../domain/edge.ts'

const FILE = new RegExp(`^file:(?:${EDGE_KINDS.join('|')}):`)
const HOST_PORT = /^host:(?!unix:|vsock:|packet:|family-).*:([^:]+)$/
const PROGRAM_DIRECTORY = /^proc:[^:]*:[^:]*:([^<]*\/)/
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
    return `${path.slice(0, path.lastIndexOf('/') + 1)}*${extension}`
  }
  const [, directory] = PROGRAM_DIRECTORY.exec(to) ?? []
  if (directory !== undefined) return `${directory}*`
  const [, port] = HOST_PORT.exec(to) ?? []
  return port === undefined ? to : `*:${port}`
}
