import type { ProcessImage } from '../domain/activity.ts'
import type { StateEntry, StateWriter } from '../domain/state.ts'

/** Images that are known apart; all are forgotten together when there are more. */
const MOST_IMAGES = 16_384
/** Origins behind an image; when there would be more, only the nearest are kept. */
export const MOST_ANCESTORS = 32
const KEPT_OF_DEEP_CHAIN = 8
/** What an image costs besides its names. */
const CHARACTERS_OF_IMAGE = 200

/** What the state keeps of an image: `script` null when there is none, `origin` by its number, 0 for none. */
type ImageState = readonly [
  container: string,
  user: string,
  exe: string,
  script: string | null,
  origin: number,
]

/**
 * Makes images, and the same one again for the same program of the same origin: hosts start the same programs in the
 * same ways all day, and whoever names them can remember what they are called.
 */
export class Images {
  /** What the images took that were made since `forget`, in characters. */
  charactersMade = 0
  private children = new WeakMap<ProcessImage, Map<string, ProcessImage>>()
  /** Those without an origin. */
  private first = new Map<string, ProcessImage>()
  private known = 0
  /** Numbers of images in the state. */
  private numbers = new WeakMap<ProcessImage, number>()
  private stored = new Set<number>()
  private storedInUse = 0
  private lastNumber = 0

  of(
    container: string,
    user: string,
    exe: string,
    script: string | undefined,
    origin: ProcessImage | undefined,
  ): ProcessImage {
    const siblings = origin === undefined ? this.first : this.childrenOf(origin)
    const key = `${container}\0${user}\0${exe}\0${script === undefined ? '' : `<${script}`}`
    let image = siblings.get(key)
    if (image === undefined) {
      const kept =
        origin !== undefined && origin.depth >= MOST_ANCESTORS
          ? shortened(origin, KEPT_OF_DEEP_CHAIN)
          : origin
      const depth = kept === undefined ? 0 : kept.depth + 1
      image = { container, user, exe, script, origin: kept, depth }
      siblings.set(key, image)
      this.charactersMade += sizeOf(image)
      if (++this.known > MOST_IMAGES) this.forgetSiblings()
    }
    return image
  }

  /** A program that switches to a user and back again is what it was before. */
  changedUser(now: ProcessImage, user: string): ProcessImage {
    const { origin } = now
    const isBack =
      origin?.user === user &&
      origin.exe === now.exe &&
      origin.script === now.script &&
      origin.container === now.container
    return isBack ? origin : this.of(now.container, user, now.exe, now.script, now)
  }

  /** Keeps no image alive any more. */
  forget(): void {
    this.charactersMade = 0
    this.forgetSiblings()
  }

  /** The number of an image in the state, which is written with its origins when it is not there yet. */
  numberOf(image: ProcessImage, writer: StateWriter): number {
    const known = this.numbers.get(image)
    if (known !== undefined) return known
    const { container, user, exe, script, origin } = image
    const originNumber = origin === undefined ? 0 : this.numberOf(origin, writer)
    const number = ++this.lastNumber
    const state: ImageState = [container, user, exe, script ?? null, originNumber]
    writer.put('image', String(number), state)
    this.numbers.set(image, number)
    this.stored.add(number)
    return number
  }

  /** Whether much of what is stored may be in use no more. */
  get hasMuchWaste(): boolean {
    return this.stored.size > 2 * this.storedInUse + MOST_IMAGES
  }

  /** Removes from the state what is not in use. */
  removeWaste(used: ReadonlySet<ProcessImage>, writer: StateWriter): void {
    const kept = new Set<number>()
    for (const image of used) {
      const number = this.numbers.get(image)
      if (number !== undefined) kept.add(number)
    }
    for (const number of this.stored) if (!kept.has(number)) writer.remove('image', String(number))
    // What was removed must be written again when it comes into use again.
    const numbers = new WeakMap<ProcessImage, number>()
    for (const image of used) {
      const number = this.numbers.get(image)
      if (number !== undefined) numbers.set(image, number)
    }
    this.numbers = numbers
    this.stored = kept
    this.storedInUse = kept.size
  }

  /** Takes the images of the state, and gives them by their numbers. */
  restore(entries: Iterable<StateEntry>): (number: number) => ProcessImage {
    const states = new Map([...entries].map(({ key, value }) => [Number(key), value as ImageState]))
    const images = new Map<number, ProcessImage>()
    const imageOf = (number: number): ProcessImage => {
      const known = images.get(number)
      if (known !== undefined) return known
      const state = states.get(number)
      if (state === undefined) throw new Error(`no image ${number} in the state`)
      const [container, user, exe, script, origin] = state
      const same = this.of(
        container,
        user,
        exe,
        script ?? undefined,
        origin === 0 ? undefined : imageOf(origin),
      )
      // One that was made again stands there twice, and tasks and children name either number: both must stay.
      const image = this.numbers.has(same) ? { ...same } : same
      images.set(number, image)
      this.numbers.set(image, number)
      return image
    }
    for (const number of states.keys()) {
      this.lastNumber = Math.max(this.lastNumber, number)
      this.stored.add(number)
    }
    this.storedInUse = this.stored.size
    return imageOf
  }

  /** A child keeps its origin, and an origin its children: they must all go, or none would. */
  private forgetSiblings(): void {
    this.children = new WeakMap()
    this.first = new Map()
    this.known = 0
  }

  private childrenOf(origin: ProcessImage): Map<string, ProcessImage> {
    let children = this.children.get(origin)
    if (children === undefined) this.children.set(origin, (children = new Map<string, ProcessImage>()))
    return children
  }
}

/** These images and all that are behind them. */
export function withOrigins(images: Iterable<ProcessImage>): ReadonlySet<ProcessImage> {
  const all = new Set<ProcessImage>()
  for (let image of images) {
    while (!all.has(image)) {
      all.add(image)
      if (image.origin === undefined) break
      image = image.origin
    }
  }
  return all
}

/** What images take, in characters. */
export function charactersOf(images: Iterable<ProcessImage>): number {
  let sum = 0
  for (const image of images) sum += sizeOf(image)
  return sum
}

const sizeOf = ({ exe, script, user, container }: ProcessImage): number =>
  CHARACTERS_OF_IMAGE + exe.length + (script?.length ?? 0) + user.length + container.length

/** The same image with only its nearest origins, so that a process which execs for ever does not keep its whole past. */
function shortened(deep: ProcessImage, levels: number): ProcessImage {
  const origin = levels > 1 && deep.origin !== undefined ? shortened(deep.origin, levels - 1) : undefined
  return { ...deep, origin, depth: origin === undefined ? 0 : origin.depth + 1 }
}
