import { posix } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { absolutePath, normalisePath } from '../../agent/interpret/path.ts'

const parts = fc.array(fc.constantFrom('', '.', '..', 'a', 'b c', '...', '.x', '\n', 'é', '-'), {
  maxLength: 8,
})
const absolute = parts.map((names) => `/${names.join('/')}`)

/** Node keeps a slash at the end; a directory is the same with it and without. */
const obvious = (path: string): string => {
  const normal = posix.normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

test('a normal path is what node:path makes of it', () => {
  fc.assert(
    fc.property(absolute, (path) => {
      expect(normalisePath(path)).toBe(obvious(path))
    }),
    { numRuns: 2000 },
  )
})

test('a name is seen from its directory', () => {
  fc.assert(
    fc.property(parts, absolute, (names, directory) => {
      const name = names.join('/')
      expect(absolutePath(name, directory)).toBe(obvious(posix.resolve(directory, name)))
    }),
    { numRuns: 2000 },
  )
})

test('without a directory nothing is guessed', () => {
  for (const directory of [undefined, '', '?', 'srv']) {
    expect(absolutePath('x', directory)).toBe('?/x')
    expect(absolutePath('a//./b/../x/', directory)).toBe('?/a/x')
    // The directory above one that is not known is not known either.
    expect(absolutePath('../x', directory)).toBe('?/x')
    expect(absolutePath('/a/../x', directory)).toBe('/x')
  }
})
