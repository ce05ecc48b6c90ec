import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ProcessImage } from '../../agent/domain/activity.ts'
import { charactersOf, Images, MOST_ANCESTORS, withOrigins } from '../../agent/interpret/images.ts'
import { StateTable } from '../support/state.ts'

const program = (images: Images, exe: string, origin?: ProcessImage): ProcessImage =>
  images.of('', 'root', exe, undefined, origin)

/** So many programs, each the child of the one before. */
function chain(images: Images, length: number, name = '/bin/p'): ProcessImage {
  let image = program(images, `${name}0`)
  for (let number = 1; number < length; number++) image = program(images, name + String(number), image)
  return image
}

/** Names from an image to its oldest origin; an empty script is one too. */
function namesOf(image: ProcessImage): string[] {
  const { container, user, exe, script, origin } = image
  const name = `${container}:${user}:${exe}${script === undefined ? '' : `<${script}`}`
  return [name, ...(origin === undefined ? [] : namesOf(origin))]
}

describe('an image', () => {
  const names = fc.record({
    container: fc.constantFrom('', 'app'),
    user: fc.constantFrom('root', 'www'),
    exe: fc.constantFrom('/bin/a', '/bin/b'),
    script: fc.option(fc.constantFrom('', '/x', 'root'), { nil: undefined }),
    /** Which of those before is its origin; none when there are not so many. */
    origin: fc.nat(5),
  })

  test('is the same one exactly when its names are the same and its origin is the same one', () => {
    fc.assert(
      // Not so many that a chain of all of them would be shortened.
      fc.property(fc.array(names, { maxLength: MOST_ANCESTORS }), (all) => {
        const images = new Images()
        const made: ProcessImage[] = []
        const byNames = new Map<string, ProcessImage>()
        for (const { container, user, exe, script, origin } of all) {
          const from = made[origin]
          const image = images.of(container, user, exe, script, from)
          made.push(image)
          expect([image.container, image.user, image.exe, image.script, image.origin]).toEqual([
            ...[container, user, exe, script],
            from,
          ])
          const key = JSON.stringify(namesOf(image))
          expect(image).toBe(byNames.get(key) ?? image)
          for (const [other, same] of byNames) if (other !== key) expect(image).not.toBe(same)
          byNames.set(key, image)
        }
      }),
    )
  })

  test('that is made for ever keeps only its nearest origins', () => {
    const images = new Images()
    let image = program(images, '/bin/p0')
    for (let number = 1; number < 500; number++) {
      image = program(images, `/bin/p${number}`, image)
      const origins = namesOf(image)
      expect(image.depth).toBe(origins.length - 1)
      expect(image.depth).toBeLessThanOrEqual(MOST_ANCESTORS)
      // What is kept is what was nearest.
      expect(origins).toEqual(origins.map((_, index) => `:root:/bin/p${number - index}`))
      expect(origins.length).toBeGreaterThan(Math.min(number, 8))
    }
  })

  test('goes back to what it was with its user', () => {
    const images = new Images()
    const sudo = program(images, '/usr/bin/sudo')
    const asUser = images.changedUser(sudo, 'www')
    expect([asUser.user, asUser.exe, asUser.origin]).toEqual(['www', '/usr/bin/sudo', sudo])
    expect(images.changedUser(asUser, 'root')).toBe(sudo)
    expect(images.changedUser(asUser, 'mail').origin).toBe(asUser)
  })

  test('costs about its names, once', () => {
    const images = new Images()
    program(images, `/${'x'.repeat(9999)}`)
    program(images, `/${'x'.repeat(9999)}`)
    expect(images.charactersMade).toBeGreaterThan(10_000)
    expect(images.charactersMade).toBeLessThan(11_000)
    expect(charactersOf([program(images, `/${'x'.repeat(9999)}`)])).toBe(images.charactersMade)
    images.forget()
    expect(images.charactersMade).toBe(0)
  })
})

test('origins are counted once, however many come from them', () => {
  const images = new Images()
  const parent = chain(images, 5)
  const children = ['/a', '/b', '/c'].map((exe) => program(images, exe, parent))
  expect(withOrigins(children).size).toBe(8)
})

describe('the state', () => {
  /** What was stored, as another start finds it. */
  const restored = (table: StateTable): { images: Images; imageOf: (number: number) => ProcessImage } => {
    const images = new Images()
    return { images, imageOf: images.restore(table.entries()) }
  }

  test('gives every image back under its number, with its origins', () => {
    const images = new Images()
    const table = new StateTable('image')
    const deep = program(images, '/bin/deep', chain(images, 3 * MOST_ANCESTORS))
    const all = [deep, chain(images, 5), images.of('app', 'www', '/bin/sh', '/x', deep)]
    const numbers = all.map((image) => images.numberOf(image, table))
    expect(all.map((image) => images.numberOf(image, table))).toEqual(numbers)
    const again = restored(table)
    expect(numbers.map((number) => namesOf(again.imageOf(number)))).toEqual(all.map(namesOf))
    expect(numbers.map((number) => again.imageOf(number).depth)).toEqual(all.map(({ depth }) => depth))
    expect(() => again.imageOf(10_000)).toThrow('10000')
  })

  test('goes on with its numbers', () => {
    const images = new Images()
    const table = new StateTable('image')
    const old = images.numberOf(chain(images, 3), table)
    const again = restored(table)
    again.imageOf(old)
    expect(again.images.numberOf(chain(again.images, 3), table)).toBe(old)
    const other = again.images.numberOf(program(again.images, '/bin/other'), table)
    const third = restored(table)
    expect([old, other].map((number) => namesOf(third.imageOf(number))[0])).toEqual([
      ':root:/bin/p2',
      ':root:/bin/other',
    ])
  })

  test('loses what is not in use when that has become much, and has it again when it comes back', () => {
    const images = new Images()
    const table = new StateTable('image')
    const kept = program(images, '/bin/kept', chain(images, 3))
    const gone = program(images, '/bin/gone')
    for (const image of [kept, gone]) images.numberOf(image, table)
    for (let number = 0; !images.hasMuchWaste; number++) {
      expect(number).toBeLessThan(100_000)
      images.numberOf(program(images, `/tmp/${number}`), table)
    }
    const before = table.entries().length
    images.removeWaste(withOrigins([kept]), table)
    expect(images.hasMuchWaste).toBe(false)
    expect(before).toBeGreaterThan(10_000)
    expect(table.entries()).toHaveLength(4)
    const number = images.numberOf(gone, table)
    const again = restored(table)
    expect(namesOf(again.imageOf(images.numberOf(kept, table)))).toEqual(namesOf(kept))
    expect(namesOf(again.imageOf(number))).toEqual(namesOf(gone))
  })

  test('has an image twice that was made again, and loses neither as long as it is in use', () => {
    const images = new Images()
    const table = new StateTable('image')
    const before = chain(images, 3)
    images.forget()
    const after = chain(images, 3)
    const child = program(images, '/bin/child', after)
    const numbers = [before, after, child].map((image) => images.numberOf(image, table))
    const again = restored(table)
    const used = numbers.map((number) => again.imageOf(number))
    again.images.removeWaste(withOrigins(used), table)
    const third = restored(table)
    expect(numbers.map((number) => namesOf(third.imageOf(number)))).toEqual(
      [before, after, child].map(namesOf),
    )
  })
})
