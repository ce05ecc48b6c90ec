import type { Edge } from '../domain/edge.ts'
import { filePathOf, isNameless, type NamedProcess, networkPeerOf, processOf } from './nodes.ts'
import { hasNoScript, isKind, isSystemProgram, programOf } from './programs.ts'
import { isSensitive } from './sensitive.ts'

/** What a program weighs at most, in bits, that does the very thing it is there for. */
export const DUTY_BITS = 1

/**
 * Whether a program of the system does what it is there for, and what is new of it is the doing of others: logrotate
 * rotates logs, each of them for the first time, weeks apart; proxies, mail servers and resolvers go where they are sent.
 */
export function isDuty(edge: Edge): boolean {
  const source = processOf(edge.from)
  if (source === undefined || !isSystemProgram(source.exe) || !hasNoScript(source)) return false
  return edge.kind === 'connect' ? isErrand(source, edge) : isRotation(source, edge)
}

const LOGS = /^\/var\/log\/|\.log(?:[-.\\][^/]*)?$/

/** Its configuration tells it to, of which changes are seen. What it runs besides, and does elsewhere, is none of it. */
function isRotation(source: NamedProcess, { kind, to }: Edge): boolean {
  if (programOf(source) !== 'logrotate') return false
  const path = filePathOf(to)
  if (path !== undefined) return LOGS.test(path) && !isSensitive(path)
  const target = kind === 'exec' ? processOf(to) : undefined
  return target !== undefined && isKind(target, 'packer') && isSystemProgram(target.exe)
}

/** Only to a host with a name; but servers of names are known by their addresses. */
function isErrand(source: NamedProcess, { to }: Edge): boolean {
  const peer = networkPeerOf(to)
  if (peer === undefined) return false
  if (isKind(source, 'resolver')) return peer.port === '53' || peer.port === '853'
  if (isNameless(peer)) return false
  return isKind(source, 'proxy') || (isKind(source, 'mailer') && peer.port === '25')
}
