import { statSync } from 'node:fs'
import { request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as requestTls } from 'node:https'
import { connect } from 'node:net'
import { UsageError } from '../domain/result.ts'
import { readTrusted } from '../support/trusted-file.ts'
import { type Carrier, type Outcome, TAKEN } from './courier.ts'
import type { Waiting } from './spool.ts'

/** Of an answer: as much as helps to understand it. */
const MOST_OF_ANSWER = 200
/** Answers that say something of this one message: 400, 413, 422. */
const REFUSED = new Set([400, 413, 422])
const OTHERS = 0o077
/** Of a socket in a process that may only have others. */
const NO_FAMILY = 'EAFNOSUPPORT'

export interface WebhookOptions {
  /** Reads the address anew for each message, so that a changed file needs no restart. @throws UsageError */
  readonly url: () => URL
  readonly timeoutMs: number
  /** What is sent; undefined for a report that says nothing there. */
  readonly bodyOf: (waiting: Waiting) => object | undefined
  /** Name and version of the program that asks. */
  readonly userAgent: string
}

/**
 * Posts each report to a server. Redirects are not followed, and certificates are verified. The header `Idempotency-Key` is
 * the same however often a report is sent.
 */
export function webhook({ url, timeoutMs, bodyOf, userAgent }: WebhookOptions): Carrier {
  return {
    carry: async (waiting, signal) => {
      const body = bodyOf(waiting)
      if (body === undefined) return TAKEN
      const headers = {
        'content-type': 'application/json',
        'user-agent': userAgent,
        'idempotency-key': waiting.id,
      }
      try {
        const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
        return await post(url(), headers, Buffer.from(JSON.stringify(body)), limit)
      } catch (error) {
        return { kind: 'failed', reason: await reasonOf(error, url) }
      }
    },
    close: () => undefined,
  }
}

function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  signal: AbortSignal,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const options = {
      method: 'POST',
      headers: { ...headers, 'content-length': body.length },
      signal,
      agent: false,
    }
    const request: ClientRequest =
      url.protocol === 'https:' ? requestTls(url, options) : requestPlain(url, options)
    request.on('error', reject)
    request.on('response', (response) => {
      response.on('error', reject)
      if (isTaken(response)) {
        // What it says besides is not waited for: it has the report.
        response.destroy()
        resolve(TAKEN)
      } else readAnswer(response).then((text) => resolve(outcomeOf(response, text)), reject)
    })
    request.end(body)
  })
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    // What else comes is not read: the connection is closed.
    if (text.length >= MOST_OF_ANSWER) break
  }
  return text.slice(0, MOST_OF_ANSWER)
}

const isTaken = ({ statusCode = 0 }: IncomingMessage): boolean => statusCode >= 200 && statusCode < 300

function outcomeOf({ statusCode = 0, headers }: IncomingMessage, text: string): Outcome {
  const said = text.trim() === '' ? '' : `: ${onOneLine(text.trim())}`
  if (statusCode >= 300 && statusCode < 400)
    return { kind: 'failed', reason: `it answers ${statusCode}, and redirects are not followed` }
  const reason = `it answers ${statusCode}${said}`
  if (REFUSED.has(statusCode)) return { kind: 'refused', reason }
  const afterMs = retryAfterMs(headers['retry-after'], Date.now())
  return { kind: 'failed', reason, ...(afterMs === undefined ? {} : { afterMs }) }
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfterMs(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs
  return Number.isFinite(ms) && ms > 0 ? ms : undefined
}

const onOneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')

/** Not the message of an error with the address in it: that is a secret. */
async function reasonOf(error: unknown, url: () => URL): Promise<string> {
  if (error instanceof UsageError) return error.message
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'no answer in time'
  const { code = error.name } = error as NodeJS.ErrnoException
  if (code === NO_FAMILY || (code.startsWith('EAI_') && (await isWithoutNetwork(url()))))
    return 'this service has no network: its unit needs RestrictAddressFamilies=AF_INET AF_INET6'
  return code
}

/** Names are no more found without a network than with one that is out of order. */
const isWithoutNetwork = ({ port, protocol }: URL): Promise<boolean> =>
  new Promise((resolve) => {
    const own = connect({ host: '127.0.0.1', port: Number(port) || (protocol === 'http:' ? 80 : 443) })
    const end = (code: string | undefined): void => {
      own.destroy()
      resolve(code === NO_FAMILY)
    }
    own.once('connect', () => end(undefined))
    own.once('error', ({ code }: NodeJS.ErrnoException) => end(code))
  })

/**
 * The address of a server, from a file that only its owner may read: whoever knows it may post there.
 * @throws UsageError when it is none, or others may read it
 */
export function urlIn(file: string): URL {
  const text = readTrusted(file, 'the address of the webhook in').trim()
  if ((statSync(file).mode & OTHERS) !== 0)
    throw new UsageError(`${file} holds a secret, and others may read it: chmod 600 ${file}`)
  return urlOf(text, file)
}

/**
 * The address of a server.
 * @param place where it stands: the address itself is not told
 * @throws UsageError when it is none
 */
export function urlOf(text: string, place: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
    throw new UsageError(`${place} holds no address that begins with https:// or http://`)
  return url
}
