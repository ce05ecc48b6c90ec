import { globExpression } from '../support/glob.ts'
import { Expression } from './expression.ts'

/** Whether a text fits: quick for one without wildcards. */
export type Fits = (text: string) => boolean

/** In one name, or with `**` at its beginning. */
const MOST_STARS = 3

/** Any way to write a glob that is more than its words. */
const WILD = /[*?[\]{}\\]/

/**
 * A glob over a whole text, as anywhere else in the configuration, also when that is hostile and long.
 * @throws SyntaxError which says what is wrong
 */
export function globOf(glob: string): Fits {
  if (!WILD.test(glob)) return (text) => text === glob
  const expression = globExpression(glob)
  const matcher = isSimple(glob) ? expression : new Expression(expression.source)
  return (text) => matcher.test(text)
}

/**
 * Whether an expression that goes back to try again takes at most as long as a text times a name in it: the kernel's names are
 * 255 bytes long at most. With `**` twice it would be the square of the text.
 */
const isSimple = (glob: string): boolean =>
  glob.split('**').length <= 2 && glob.split('/').every((name) => name.split('*').length <= MOST_STARS + 1)

/** @throws SyntaxError which says what is wrong */
export function anyGlobOf(globs: readonly string[]): Fits {
  const simple = globs.filter(isSimple)
  const together = new RegExp(simple.map((glob) => globExpression(glob).source).join('|'), 's')
  const others = globs.filter((glob) => !isSimple(glob)).map(globOf)
  return (text) => (simple.length > 0 && together.test(text)) || others.some((fits) => fits(text))
}

/**
 * A prefix of paths, or a glob when it has wildcards: `/srv` and `/srv/` stand for everything below.
 * @throws SyntaxError which says what is wrong
 */
export function prefixOrGlobOf(text: string): Fits {
  if (WILD.test(text)) return globOf(text)
  const folder = text.endsWith('/') ? text : `${text}/`
  return (path) => path === text || path.startsWith(folder)
}
