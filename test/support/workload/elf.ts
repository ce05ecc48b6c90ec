/** As audit rules say it: `b64` is x86_64 here, `b32` is i386. */
export type Bits = 'b64' | 'b32'

/** What goes into a register: a number, or the address of a string (NUL is added), of bytes, of an array of words. */
export type Argument = number | string | Buffer | readonly Argument[]

/** One system call: its number in the architecture's table, and up to six arguments. */
export type Call = readonly [number: number, ...args: Argument[]]

/**
 * A static Linux program that makes these system calls one after the other and exits with 0.
 *
 * Assembled by hand, so that tests need neither a compiler nor 32-bit libraries, and so that the program does nothing
 * else: what its events show is what was asked for. Results are not kept; the first descriptor it opens is 3.
 * A buffer that stands in two calls is one place in memory, so one call can read what another one wrote.
 */
export function elf(bits: Bits, calls: readonly Call[]): Buffer {
  const machine = MACHINES[bits]
  const memory = new Memory(machine.base, machine.headerBytes, machine.wordBytes)
  const code = calls.map((call) =>
    machine.call(
      call[0],
      call.slice(1).map((arg) => memory.word(arg)),
    ),
  )
  return machine.file(memory.bytes(), Buffer.concat([...code, machine.call(machine.exit, [0])]))
}

interface Machine {
  readonly base: number
  readonly headerBytes: number
  readonly wordBytes: 4 | 8
  readonly exit: number
  call(number: number, words: readonly number[]): Buffer
  file(memory: Buffer, code: Buffer): Buffer
}

/** Everything the arguments point to, laid out between the ELF header and the code. */
class Memory {
  readonly #start: number
  readonly #wordBytes: number
  readonly #places = new Map<Argument, number>()
  #content = Buffer.alloc(0)

  constructor(base: number, headerBytes: number, wordBytes: number) {
    this.#start = base + headerBytes
    this.#wordBytes = wordBytes
  }

  word(argument: Argument): number {
    if (typeof argument === 'number') return argument
    const known = this.#places.get(argument)
    if (known !== undefined) return known
    const place = this.#add(this.#encode(argument))
    this.#places.set(argument, place)
    return place
  }

  bytes(): Buffer {
    return this.#content
  }

  #encode(argument: Exclude<Argument, number>): Buffer {
    if (typeof argument === 'string') return Buffer.from(`${argument}\0`)
    if (Buffer.isBuffer(argument)) return argument
    const words = Buffer.alloc(argument.length * this.#wordBytes)
    argument.forEach((item, index) => words.writeInt32LE(this.word(item) | 0, index * this.#wordBytes))
    return words
  }

  #add(bytes: Buffer): number {
    const place = this.#start + this.#content.length
    this.#content = Buffer.concat([this.#content, bytes, Buffer.alloc(16 - (bytes.length % 16))])
    return place
  }
}

const le32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value | 0)
  return bytes
}

const le64 = (value: number): Buffer => Buffer.concat([le32(value), Buffer.alloc(4)])
const le16 = (value: number): Buffer => Buffer.from([value & 0xff, value >> 8])

const EXECUTABLE = 2
const LOAD = 1
const READ_WRITE_EXECUTE = 7
const PAGE = 0x1000
const identity = (wordClass: 1 | 2): Buffer =>
  Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, wordClass, 1, 1]), Buffer.alloc(9)])

const MACHINES: Record<Bits, Machine> = {
  b64: {
    base: 0x400000,
    headerBytes: 0x80,
    wordBytes: 8,
    exit: 60,
    call(number, words) {
      // mov rdi, rsi, rdx, r10, r8, r9 with a sign-extended constant; mov eax; syscall
      const registers = [
        [0x48, 0xc7, 0xc7],
        [0x48, 0xc7, 0xc6],
        [0x48, 0xc7, 0xc2],
        [0x49, 0xc7, 0xc2],
        [0x49, 0xc7, 0xc0],
        [0x49, 0xc7, 0xc1],
      ]
      return assemble(registers, number, words, [0x0f, 0x05])
    },
    file(memory, code) {
      const end = this.headerBytes + memory.length + code.length
      const header = Buffer.concat([
        ...[
          identity(2),
          le16(EXECUTABLE),
          le16(62),
          le32(1),
          le64(this.base + this.headerBytes + memory.length),
        ],
        ...[le64(64), le64(0), le32(0), le16(64), le16(56), le16(1), le16(0), le16(0), le16(0)],
        ...[le32(LOAD), le32(READ_WRITE_EXECUTE), le64(0), le64(this.base), le64(this.base)],
        ...[le64(end), le64(end), le64(PAGE)],
      ])
      return Buffer.concat([header, Buffer.alloc(this.headerBytes - header.length), memory, code])
    },
  },
  b32: {
    base: 0x8048000,
    headerBytes: 0x60,
    wordBytes: 4,
    exit: 1,
    call(number, words) {
      // mov ebx, ecx, edx, esi, edi, ebp; mov eax; int 0x80
      return assemble([[0xbb], [0xb9], [0xba], [0xbe], [0xbf], [0xbd]], number, words, [0xcd, 0x80])
    },
    file(memory, code) {
      const end = this.headerBytes + memory.length + code.length
      const header = Buffer.concat([
        ...[
          identity(1),
          le16(EXECUTABLE),
          le16(3),
          le32(1),
          le32(this.base + this.headerBytes + memory.length),
        ],
        ...[le32(52), le32(0), le32(0), le16(52), le16(32), le16(1), le16(0), le16(0), le16(0)],
        ...[le32(LOAD), le32(0), le32(this.base), le32(this.base), le32(end), le32(end)],
        ...[le32(READ_WRITE_EXECUTE), le32(PAGE)],
      ])
      return Buffer.concat([header, Buffer.alloc(this.headerBytes - header.length), memory, code])
    },
  },
}

function assemble(
  registers: readonly (readonly number[])[],
  number: number,
  words: readonly number[],
  enter: readonly number[],
): Buffer {
  const moves = words.map((word, index) => Buffer.concat([Buffer.from(registers[index] ?? []), le32(word)]))
  return Buffer.concat([...moves, Buffer.from([0xb8]), le32(number), Buffer.from(enter)])
}
