/** The rest of the internet, as far as the host needs it: a DNS server, web services, a mail relay, an attacker's ports. */
import { createSocket } from 'node:dgram'
import { createServer as createWeb } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { type Answer, decode, encode } from 'dns-packet'

const TTL_SECONDS = 5
/** How long a rotating name keeps its addresses. */
const ROTATION_MS = 12_000

/** Names and where they lead: `rotating` ones to another address of their range every few seconds. */
const ALIASES = new Map([
  ['api.partner.example', 'edge7.cdn.example'],
  ['acme.vendor.example', 'lb.vendor.example'],
])
const ROTATING = new Map([
  ['edge7.cdn.example', { first: 10, count: 50 }],
  ['hooks.chat.example', { first: 120, count: 4 }],
])
const FIXED = new Map<string, readonly string[]>([
  ['packages.vendor.example', ['203.0.113.80', '203.0.113.81']],
  ['lb.vendor.example', ['198.51.100.8']],
  ['mail.relay.example', ['198.51.100.25']],
  ['drop.evil.example', ['198.51.100.200']],
])
/** Names that have IPv6 addresses too. */
const BOTH_FAMILIES = new Set(['edge7.cdn.example'])

type Chance = () => number

/** Starts everything; it ends with the process. */
export async function startInternet(chance: Chance): Promise<void> {
  await Promise.all([startDns(chance), startWeb(8080), startWeb(8443), startRelay(), startAttacker()])
}

function startDns(chance: Chance): Promise<void> {
  const hosts = new Map<string, { readonly host: number; readonly untilMs: number }>()
  const hostOf = (name: string, { first, count }: { first: number; count: number }): number => {
    const current = hosts.get(name)
    if (current !== undefined && current.untilMs > performance.now()) return current.host
    const host = first + Math.floor(chance() * count)
    hosts.set(name, { host, untilMs: performance.now() + ROTATION_MS })
    return host
  }
  const addresses = (name: string, type: string): readonly Answer[] => {
    const rotating = ROTATING.get(name)
    const last = rotating === undefined ? undefined : hostOf(name, rotating)
    if (type === 'AAAA')
      return last === undefined || !BOTH_FAMILIES.has(name)
        ? []
        : [{ name, type: 'AAAA', ttl: TTL_SECONDS, data: `2001:db8::${last.toString(16)}` }]
    const found = last === undefined ? (FIXED.get(name) ?? []) : [`203.0.113.${last}`]
    return found.map((data) => ({ name, type: 'A', ttl: TTL_SECONDS, data }))
  }
  const answer = (name: string, type: string): Answer[] => {
    if (type !== 'A' && type !== 'AAAA') return []
    const alias = ALIASES.get(name)
    return alias === undefined
      ? [...addresses(name, type)]
      : [{ name, type: 'CNAME', ttl: 60, data: alias }, ...addresses(alias, type)]
  }
  const socket = createSocket('udp4')
  socket.on('message', (message, { port, address }) => {
    const { id, questions = [] } = decode(message)
    const answers = questions.flatMap(({ name, type }) => answer(name.toLowerCase(), type))
    const isKnown = questions.every(({ name }) => knows(name.toLowerCase()))
    // 0x80: recursion available; 3: no such name.
    const reply = encode({
      type: 'response',
      id: id ?? 0,
      flags: 0x180 | (isKnown ? 0 : 3),
      questions,
      answers,
    })
    socket.send(reply, port, address)
  })
  return new Promise((resolve) => socket.bind(53, '203.0.113.53', resolve))
}

const knows = (name: string): boolean => ALIASES.has(name) || ROTATING.has(name) || FIXED.has(name)

function startWeb(port: number): Promise<void> {
  const server = createWeb((request, response) => {
    request.resume()
    // The feed changes every minute, so that its checksum does.
    if (request.url === '/feed.json')
      response.end(JSON.stringify({ minute: Math.floor(Date.now() / 60_000) }))
    else response.end('#!/bin/sh\nid >/dev/shm/.seen\nuname -a >>/dev/shm/.seen\n')
  })
  return new Promise((resolve) => server.listen(port, '::', () => resolve()))
}

/** Takes every mail and forgets it. */
function startRelay(): Promise<void> {
  return listen(2525, '198.51.100.25', (socket) => {
    let isBody = false
    socket.write('220 mail.relay.example ESMTP\r\n')
    socket.on('data', (data) => {
      for (const line of data.toString('latin1').split('\r\n').slice(0, -1)) {
        if (isBody) {
          if (line !== '.') continue
          isBody = false
          socket.write('250 taken\r\n')
        } else if (/^DATA/i.test(line)) {
          isBody = true
          socket.write('354 go on\r\n')
        } else if (/^QUIT/i.test(line)) socket.end('221 bye\r\n')
        else socket.write('250 ok\r\n')
      }
    })
  })
}

/** 4444 takes shells and types into them, 443 never says a word, 14444 is a mining pool. */
async function startAttacker(): Promise<void> {
  await listen(4444, '203.0.113.166', (socket) => socket.write('id\nhostname\nls -la /\nexit\n'))
  await listen(443, '203.0.113.166', (socket) => socket.resume())
  await listen(14444, '203.0.113.190', (socket) => socket.end('{"job":1}\n'))
}

function listen(port: number, address: string, serve: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => {
    // Who hangs up in the middle of a word is no fault here.
    socket.on('error', () => socket.destroy())
    serve(socket)
  })
  return new Promise((resolve) => server.listen(port, address, () => resolve()))
}
