/** A set of characters, an escaped one, wildcards, or any one character. */
const TOKEN = /\[!?\]?[^\]]*\]|\\.|\*\*+\/?|[^]/g
const SPECIAL = /[\\^$.*+?()[\]{}|]/g

/**
 * A glob over a whole text, most often a path: `*` and `?` stay within a folder, `**` does not, and the two stars of a
 * whole name are also no folder at all; `[a-z]`, `[!a-z]`, `{one,other}` and `\` are what they are to a shell. A name
 * that begins with a dot is a name like any other.
 *
 * @throws SyntaxError when a set of characters makes no sense, as `[z-a]`
 */
export function globExpression(glob: string): RegExp {
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
    else text += expressionOf(token, text === '' || text.endsWith('/'))
  }
  if (depth > 0) throw new SyntaxError('a { without its }')
  return new RegExp(`^${text}$`, 's')
}

/** Whether a text is matched by one of these. @throws SyntaxError as globExpression */
export function anyGlob(globs: readonly string[]): (text: string) => boolean {
  const expressions = globs.map(globExpression)
  return (text) => expressions.some((expression) => expression.test(text))
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

function expressionOf(token: string, beginsName: boolean): string {
  if (token === '*') return '[^/]*'
  if (token === '?') return '[^/]'
  if (token.startsWith('**')) {
    if (!token.endsWith('/')) return '.*'
    return beginsName ? '(?:.*/)?' : '.*/'
  }
  if (token.length === 1) return token.replace(SPECIAL, '\\$&')
  if (token.startsWith('\\')) return token.slice(1).replace(SPECIAL, '\\$&')
  const within = token.slice(1, -1)
  const isNot = /^[!^]/.test(within)
  return `[${isNot ? '^' : ''}${within.slice(isNot ? 1 : 0).replace(/[\\\][^]/g, '\\$&')}]`
}
