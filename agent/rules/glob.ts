import { globExpression, isWild } from '../support/glob.ts'

/** Whether a text fits. */
export type Fits = (text: string) => boolean

/**
 * A prefix of paths, or a glob when it has wildcards: `/srv` and `/srv/` stand for everything below.
 * @throws SyntaxError which says what is wrong
 */
export function prefixOrGlobOf(text: string): Fits {
  if (isWild(text)) return globOf(text)
  const folder = text.endsWith('/') ? text : `${text}/`
  return (path) => path === text || path.startsWith(folder)
}

/** A glob over a whole text, as anywhere else in the configuration. @throws SyntaxError which says what is wrong */
export function globOf(glob: string): Fits {
  const expression = globExpression(glob)
  return (text) => expression.test(text)
}
