import { hasNoScript, isKind } from '../detect/programs.ts'
import type { SeenProcess } from './processes.ts'

/** How code is hidden in a command line, each with what is said of it. */
const TRICKS: readonly (readonly [shape: RegExp, reason: string])[] = [
  [
    /\bbase(?:64|32)\b.{0,40}(?:-d\b|-D\b|--decode)|\bb(?:64|32)decode\b|FromBase64|decode_base64/,
    'decodes what it runs',
  ],
  [/\b(?:xxd|hexdump)\b.{0,20}-r|\bunhexlify\b|\bpack\s*\(?\s*['"]H\*/, 'decodes what it runs'],
  [/(?:\\x[0-9a-f]{2}){6}|(?:\\[0-3][0-7]{2}){6}|(?:\bchr\(\d+\)\W{0,3}){4}/i, 'spells out code by numbers'],
  [/\$\{IFS\}|\$IFS\b|\$\{\w+:\d+:\d+\}.*\$\{\w+:\d+:\d+\}/, 'puts words together from variables'],
  [
    /\beval\b.{0,20}(?:\$\(|`|base64|atob|decode|compile)|\bexec\(.{0,30}(?:decode|compile)/,
    'evaluates code that it makes',
  ],
  [/\|\s*rev\b|\brev\s*<<</, 'turns code around'],
  [
    /(?<![A-Za-z0-9+/])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*\d)[A-Za-z0-9+/]{160,}={0,2}/,
    'carries a long encoded text',
  ],
]
/** Characters that move, hide or turn what a person sees; line ends and tabs are ordinary in scripts. */
const INVISIBLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\p{Cf}]/u

/** How a command line hides what it does, as a sentence; undefined when it does not. */
export function obfuscationIn(process: SeenProcess): string | undefined {
  const text = process.argv.join(' ')
  if (INVISIBLE.test(text)) return 'its command line has characters that are not seen'
  // Other programs are given keys and tokens; here it would be code.
  if (!hasNoScript(process) || !(isKind(process, 'shell') || isKind(process, 'interpreter'))) return undefined
  const found = TRICKS.find(([shape]) => shape.test(text))
  return found === undefined ? undefined : `its command line ${found[1]}`
}
