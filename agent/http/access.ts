import { createHash, timingSafeEqual } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { UsageError } from '../domain/result.ts'

const OTHERS = 0o077
const LEAST_TOKEN = 16
const MOST_TOKEN_BYTES = 4096
const BEARER = /^Bearer +([!-~]+) *$/i

/** Addresses that only this host has. */
const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Whether nobody on another host can reach an address. */
export function isLoopback(address: string): boolean {
  if (address === 'localhost') return true
  const family = isIP(address)
  return family !== 0 && LOOPBACK.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/**
 * The token that whoever asks an address must know; undefined when none is needed.
 * @throws UsageError when there has to be one, or it cannot be taken
 */
export function tokenFor(address: string, file: string | undefined): string | undefined {
  if (file === undefined && !isLoopback(address))
    throw new UsageError(`http.address ${address} is not of this host alone: it needs http.token_file`)
  return file === undefined ? undefined : readToken(file)
}

/**
 * The token that whoever asks must know.
 * @throws UsageError when the file cannot be read, others may read it, or it holds none
 */
export function readToken(file: string): string {
  let text: string
  try {
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const { mode, uid, size } = fstatSync(descriptor)
      if ((mode & constants.S_IFMT) !== constants.S_IFREG || size > MOST_TOKEN_BYTES)
        throw new UsageError(`the token ${file} is no small file`)
      if ((mode & OTHERS) !== 0) throw new UsageError(`others may read the token ${file}: chmod 600 ${file}`)
      if (uid !== 0 && uid !== process.geteuid?.())
        throw new UsageError(`the token ${file} belongs to another user: chown root ${file}`)
      text = readFileSync(descriptor, 'latin1')
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(
      `cannot read the token ${file}: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  const token = text.trim()
  if (!/^[!-~]*$/.test(token) || token.length < LEAST_TOKEN)
    throw new UsageError(
      `the token ${file} must be one word of ${LEAST_TOKEN} characters at least: openssl rand -hex 32 >${file}`,
    )
  return token
}

/** Whether the header `Authorization` has the token. Takes as long for one that is nearly right. */
export function bearsToken(authorization: string | undefined, token: string): boolean {
  const given = BEARER.exec(authorization ?? '')?.[1] ?? ''
  return timingSafeEqual(digestOf(given), digestOf(token))
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * Whether the header `Host` names this host itself. A page in a browser that had its own name resolved to this host
 * (DNS rebinding) asks under that name.
 */
export function isOwnName(host: string | undefined): boolean {
  const [, bracketed, plain] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(host ?? '') ?? []
  return isLoopback((bracketed ?? plain ?? '').toLowerCase())
}
