import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const textOf = (file: string): string =>
  existsSync(join(ROOT, file)) ? readFileSync(join(ROOT, file), 'utf8') : ''

/** Rows of the fault matrix: a test file in backticks, then titles of tests in it between curly quotes. */
const rows = textOf('docs/reliability.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| fault'))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))

function provenBy(cell: string): { readonly file: string; readonly title: string }[] {
  let file = ''
  return [...cell.matchAll(/`(test\/[^`]+)`|“([^”]+)”/g)].flatMap(([, path, title]) => {
    file = path ?? file
    return [{ file, title: title ?? '' }]
  })
}

/** `…` stands for anything, ` > ` between a group and its test. */
function isIn(source: string, title: string): boolean {
  return title.split(' > ').every((part) => {
    let from = 0
    for (const text of part.split('…')) {
      const at = source.indexOf(text, from)
      if (at === -1) return false
      from = at + text.length
    }
    return true
  })
}

test('every row says what is promised, and names tests that are there', () => {
  expect(rows.length).toBeGreaterThan(50)
  for (const [, fault = '', promise = '', proof = '', ...rest] of rows) {
    expect({ fault, rest, isPromised: promise !== '' }).toEqual({ fault, rest: [''], isPromised: true })
    const proofs = provenBy(proof)
    expect(proofs.length, fault).toBeGreaterThan(0)
    for (const { file, title } of proofs) {
      const source = textOf(file).replaceAll("\\'", "'")
      expect(source, file).not.toBe('')
      expect({ file, title, isThere: isIn(source, title) }).toEqual({ file, title, isThere: true })
    }
  }
})
