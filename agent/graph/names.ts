import type { Address, ProcessImage } from '../domain/activity.ts'

/** C0 and C1 controls, DEL, and the lone surrogates that stand for bytes which are no UTF-8. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu

/** Text from the log made safe to print: no control character, no way to write a second line or turn the text around. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.charCodeAt(0)
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

const names = new WeakMap<ProcessImage, string>()

/** `proc:[container]:user:exe[<script]` */
export function processName(image: ProcessImage): string {
  const known = names.get(image)
  if (known !== undefined) return known
  const script = image.script === undefined ? '' : `<${image.script}`
  const name = `proc:${image.container}:${printable(image.user)}:${printable(image.exe + script)}`
  names.set(image, name)
  return name
}

/** `host:ADDRESS:PORT`, IPv6 in brackets; `host:unix:PATH` and `host:unix:@NAME` for sockets of this host. */
export function hostName(address: Address): string {
  switch (address.family) {
    case 'ip':
      return ipName(address.address, String(address.port))
    case 'unix':
      return `host:unix:${address.isAbstract ? '@' : ''}${printable(address.path)}`
  }
}

/** The far side of an accept: its port is chosen anew for every connection and says nothing. */
export const callerName = (address: Address): string =>
  address.family === 'ip' ? ipName(address.address, '*') : hostName(address)

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
