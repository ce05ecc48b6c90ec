import { Expression } from './expression.ts'

/** A set of characters, an escaped one, wildcards, or any one character. */
const TOKEN = /\[!?\]?[^\]]*\]|\\.|\*\*+\/?|[^]/g
/** Any folders, or none. */
const FOLDERS = '(?:.*/)?'
const SPECIAL = /[\\^$.*+?()[\]{}|]/g

/** Any way to write a glob that is more than its words. */
const WILD = /[*?[\]{}\\]/

/** What is looked for in a text. */
export interface Glob {
  readonly test: (text: string) => boolean
}

/**
 * A glob over a whole text, most often a path: `*` and `?` stay within a folder, `**` does not, and the two stars of a
 * whole name are also no folder at all; `[a-z]`, `[!a-z]`, `{one,other}` and `\` are what they are to a shell. A name
 * that begins with a dot is a name like any other. Whoever chooses the text does not choose how long it takes.
 *
 * @throws SyntaxError when a set of characters makes no sense, as `[z-a]`
 */
export function globExpression(glob: string): Glob {
  if (!isWild(glob)) return { test: (text) => text === glob }
  const source = sourceOf(glob)
  return isSimple(glob) ? new RegExp(source, 'su') : new Expression(source)
}

/** Whether a text is matched by one of these. @throws SyntaxError as globExpression */
export function anyGlob(globs: readonly string[]): (text: string) => boolean {
  const simple = globs.filter(isSimple).map(sourceOf)
  const together = simple.length === 0 ? undefined : new RegExp(simple.join('|'), 'su')
  const others = globs.filter((glob) => !isSimple(glob)).map(globExpression)
  return (text) => together?.test(text) === true || others.some((other) => other.test(text))
}

/** Whether a glob makes sense. */
export function isGlob(text: string): boolean {
  try {
    globExpression(text)
    return true
  } catch {
    return false
  }
}

/** Whether it is more than its words. */
export const isWild = (glob: string): boolean => WILD.test(glob)

/** Whether an expression that goes back to try again has only one place to do so. */
const isSimple = (glob: string): boolean => glob.split(/\*+/).length <= 2

function sourceOf(glob: string): string {
  let text = ''
  let depth = 0
  for (const [token] of glob.matchAll(TOKEN)) {
    if (token === '{') {
      depth++
      text += '(?:'
    } else if (token === '}' && depth > 0) {
      depth--
      text += ')'
    } else if (token === ',' && depth > 0) text += '|'
    else text += expressionOf(token, text === '' || text.endsWith('/') || text.endsWith(FOLDERS))
  }
  if (depth > 0) throw new SyntaxError('a { without its }')
  return `^${text}$`
}

function expressionOf(token: string, beginsName: boolean): string {
  if (token === '*') return '[^/]*'
  if (token === '?') return '[^/]'
  if (token.startsWith('**')) {
    if (!token.endsWith('/')) return '.*'
    return beginsName ? FOLDERS : '.*/'
  }
  if (token.length === 1) return token.replace(SPECIAL, '\\$&')
  if (token.startsWith('\\')) return token.slice(1).replace(SPECIAL, '\\$&')
  const within = token.slice(1, -1)
  const isNot = /^[!^]/.test(within)
  return `[${isNot ? '^' : ''}${within.slice(isNot ? 1 : 0).replace(/[\\\][^]/g, '\\$&')}]`
}
