import type { Address, ProcessImage } from '../domain/activity.ts'
import { expressionOfText } from './expressions.ts'
import { type Part, typedShape } from './shapes.ts'

/**
 * Controls, what turns or hides text, spaces that are no space, halves of characters (among them the bytes that are no
 * UTF-8), a backslash that would read as an escape, and the `>` of an arrow that no chain has.
 */
const UNPRINTABLE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}[\p{Z}--\x20]]|\\(?=x[0-9a-f]{2}|u\{[0-9a-f]+\})|(?<=-)>/gv

/**
 * Text from the log made safe to print: it cannot write a second line, turn the text around or play another node of a
 * chain. Bytes become `\xNN` and characters `\u{N}`, and this can be undone: different texts are printed differently.
 * Letters that only look alike (а and a) are left as they are.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0
    const byte = code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : code
    return byte < 0x80 || byte !== code
      ? `\\x${byte.toString(16).padStart(2, '0')}`
      : `\\u{${code.toString(16)}}`
  })
}

const names = new WeakMap<ProcessImage, string>()

/** A number in a directory that is shorter may be a port, a year or a version, and tell scripts apart. */
const LONG_NUMBER = 8
/** What anybody may put there has its own name. */
const ANYBODYS = /^\/(?:tmp|var\/tmp|dev\/shm|run)\//
const EXPRESSION = /\\d|\]\{/g

/**
 * A script is the same one after the next release and in the next copy: what changes for certain in the names of its
 * directories (a time, a uuid, a digest, a long number) is taken out of them. Its own name always stays.
 */
function scriptName(path: string): string {
  const own = printable(path).replace(EXPRESSION, (text) => (text === ']{' ? ']\\x7b' : '\\x5cd'))
  if (!own.startsWith('/') || ANYBODYS.test(own)) return own
  const shape = typedShape(own, true)
  if (shape?.parts.some(isCertain) !== true) return own
  return shape.literals.map((literal, index) => literal + textOf(shape.parts[index])).join('')
}

const isCertain = ({ type, text, isStrong }: Part): boolean =>
  isStrong && (type !== 'number' || text.length >= LONG_NUMBER)

const textOf = (part: Part | undefined): string => {
  if (part === undefined) return ''
  return part.isStrong && part.type !== 'run' ? expressionOfText(part.type, [part.text]) : part.text
}

/**
 * `proc:[container]:user:exe[<script]`, where the directories of the script may hold classes of characters. A `<` in the
 * name of the executable itself is escaped.
 */
export function processName(image: ProcessImage): string {
  const known = names.get(image)
  if (known !== undefined) return known
  const exe = printable(image.exe).replaceAll('<', '\\x3c')
  const script = image.script === undefined ? '' : `<${scriptName(image.script)}`
  const name = `proc:${image.container}:${printable(image.user)}:${exe}${script}`
  names.set(image, name)
  return name
}

/**
 * `host:ADDRESS:PORT`, IPv6 in brackets; `host:unix:PATH` and `host:unix:@NAME` for sockets of this host;
 * `host:vsock:CID:PORT`; `host:packet:PROTOCOL`, as interfaces are numbered anew with every container; and
 * `host:family-NUMBER` for all others, of whose bytes nobody says which are the address and which were on the stack.
 */
export function hostName(address: Address): string {
  switch (address.family) {
    case 'ip':
      return ipName(address.address, String(address.port))
    case 'unix':
      return `host:unix:${address.isAbstract ? '@' : ''}${printable(address.path)}`
    case 'vsock':
      return `host:vsock:${address.cid}:${address.port}`
    case 'packet':
      return `host:packet:0x${address.protocol.toString(16).padStart(4, '0')}`
    case 'netlink':
      return `host:netlink:${address.groups}`
    case 'other':
      return `host:family-${address.number}`
  }
}

/** The far side of an accept: its port is chosen anew for every connection and says nothing. */
export function callerName(address: Address): string {
  if (address.family === 'ip') return ipName(address.address, '*')
  return address.family === 'vsock' ? `host:vsock:${address.cid}:*` : hostName(address)
}

const ipName = (address: string, port: string): string =>
  address.includes(':') ? `host:[${address}]:${port}` : `host:${address}:${port}`

/** Names of a process and what it came from, oldest first; a program that became itself again stands there once. */
export function chainOf(image: ProcessImage): string[] {
  const chain: string[] = []
  for (let at: ProcessImage | undefined = image; at !== undefined; at = at.origin) {
    const name = processName(at)
    if (chain.at(-1) !== name) chain.push(name)
  }
  return chain.reverse()
}
