import type { Packet } from './packets.ts'

/** Packets longer than this are none: the longest of IP, with headers of the link. */
const LONGEST_PACKET = 262_144
/** Blocks of pcapng may hold more; what is longer is skipped as it comes. */
const LONGEST_BLOCK = 1_048_576
const EMPTY = Buffer.alloc(0)

/** By the first four bytes of a classic capture, as they stand in the file. */
const CLASSIC = new Map<number, { readonly isLittle: boolean; readonly unitsPerMs: number }>([
  [0xa1b2c3d4, { isLittle: false, unitsPerMs: 1000 }],
  [0xd4c3b2a1, { isLittle: true, unitsPerMs: 1000 }],
  [0xa1b23c4d, { isLittle: false, unitsPerMs: 1_000_000 }],
  [0x4d3cb2a1, { isLittle: true, unitsPerMs: 1_000_000 }],
])
const CLASSIC_HEADER_BYTES = 24
const CLASSIC_PACKET_BYTES = 16

/** pcapng: draft-ietf-opsawg-pcapng. */
const SECTION = 0x0a0d0d0a
const BYTE_ORDER = 0x1a2b3c4d
const INTERFACE = 1
const ENHANCED_PACKET = 6
const IF_TSRESOL = 9
const IF_TSOFFSET = 14

/** Whether these are the first bytes of a capture. */
export const isCapture = (bytes: Buffer): boolean =>
  bytes.length >= 4 && (CLASSIC.has(bytes.readUInt32BE(0)) || bytes.readUInt32BE(0) === SECTION)

interface Interface {
  readonly link: number
  readonly unitsPerMs: number
  readonly offsetMs: number
}

/**
 * Captures in the formats of tcpdump (microseconds and nanoseconds, both byte orders) and of Wireshark (pcapng), as they
 * come: nothing waits for more than its packet.
 */
export class CaptureReader {
  /** Whether the capture cannot be read any further: its lengths make no sense. */
  isBroken = false
  private rest: Buffer = EMPTY
  private skippedBytes = 0
  private format: 'unknown' | 'classic' | 'blocks' = 'unknown'
  private isLittle = true
  private classic: Interface = { link: 0, unitsPerMs: 1000, offsetMs: 0 }
  private interfaces: Interface[] = []

  /** Takes the next bytes, and calls `emit` for each packet; its bytes are valid until then. */
  push(bytes: Buffer, emit: (packet: Packet) => void): void {
    if (this.isBroken) return
    let at = Math.min(this.skippedBytes, bytes.length)
    this.skippedBytes -= at
    const all = this.rest.length === 0 ? bytes.subarray(at) : Buffer.concat([this.rest, bytes])
    at = 0
    let length = this.readOne(all, emit)
    while (length > 0) {
      at += length
      length = at < all.length ? this.readOne(all.subarray(at), emit) : 0
    }
    if (at > all.length) this.skippedBytes = at - all.length
    // Its own memory: what was handed in may be used again.
    this.rest = length < 0 ? EMPTY : Buffer.from(all.subarray(at))
  }

  /** Bytes at the end that are no whole packet. */
  get isCut(): boolean {
    return this.rest.length > 0 || this.skippedBytes > 0
  }

  /** @returns the bytes that were used, perhaps more than there are; 0 when more are needed, -1 when none can be read */
  private readOne(bytes: Buffer, emit: (packet: Packet) => void): number {
    switch (this.format) {
      case 'unknown':
        return this.readHeader(bytes)
      case 'classic':
        return this.readClassic(bytes, emit)
      case 'blocks':
        return this.readBlock(bytes, emit)
    }
  }

  private readHeader(bytes: Buffer): number {
    if (bytes.length < 4) return 0
    const magic = bytes.readUInt32BE(0)
    if (magic === SECTION) {
      this.format = 'blocks'
      return this.readBlock(bytes, () => undefined)
    }
    const known = CLASSIC.get(magic)
    if (known === undefined) return this.isNoMore()
    if (bytes.length < CLASSIC_HEADER_BYTES) return 0
    this.format = 'classic'
    this.isLittle = known.isLittle
    // The upper half may say how many bytes of checksum each packet has.
    this.classic = { link: this.word(bytes, 20) & 0xffff, unitsPerMs: known.unitsPerMs, offsetMs: 0 }
    return CLASSIC_HEADER_BYTES
  }

  private readClassic(bytes: Buffer, emit: (packet: Packet) => void): number {
    if (bytes.length < CLASSIC_PACKET_BYTES) return 0
    const captured = this.word(bytes, 8)
    if (captured > LONGEST_PACKET) return this.isNoMore()
    const end = CLASSIC_PACKET_BYTES + captured
    if (bytes.length < end) return 0
    emit({
      timeMs: this.word(bytes, 0) * 1000 + this.word(bytes, 4) / this.classic.unitsPerMs,
      link: this.classic.link,
      bytes: bytes.subarray(CLASSIC_PACKET_BYTES, end),
      isCut: captured < this.word(bytes, 12),
    })
    return end
  }

  private readBlock(bytes: Buffer, emit: (packet: Packet) => void): number {
    if (bytes.length < 12) return 0
    if (bytes.readUInt32BE(0) === SECTION) {
      this.isLittle = bytes.readUInt32LE(8) === BYTE_ORDER
      if (!this.isLittle && bytes.readUInt32BE(8) !== BYTE_ORDER) return this.isNoMore()
      this.interfaces = []
    }
    const type = this.word(bytes, 0)
    const length = this.word(bytes, 4)
    if (length < 12 || length % 4 !== 0) return this.isNoMore()
    if (length > LONGEST_BLOCK) return length
    if (bytes.length < length) return 0
    const body = bytes.subarray(8, length - 4)
    if (type === INTERFACE) this.addInterface(body)
    else if (type === ENHANCED_PACKET) this.emitPacket(body, emit)
    return length
  }

  private addInterface(body: Buffer): void {
    if (body.length < 8) return
    let unitsPerMs = 1000
    let offsetMs = 0
    for (let at = 8; at + 4 <= body.length;) {
      const code = this.half(body, at)
      const length = this.half(body, at + 2)
      if (code === 0 || at + 4 + length > body.length) break
      if (code === IF_TSRESOL && length >= 1) unitsPerMs = resolution(body[at + 4] ?? 6) / 1000
      if (code === IF_TSOFFSET && length >= 8) offsetMs = this.wide(body, at + 4) * 1000
      at += 4 + length + ((4 - (length % 4)) % 4)
    }
    this.interfaces.push({ link: this.half(body, 0), unitsPerMs, offsetMs })
  }

  private emitPacket(body: Buffer, emit: (packet: Packet) => void): void {
    if (body.length < 20) return
    const from = this.interfaces[this.word(body, 0)]
    const captured = this.word(body, 12)
    if (from === undefined || captured > body.length - 20) return
    const units = this.word(body, 4) * 0x1_0000_0000 + this.word(body, 8)
    emit({
      timeMs: units / from.unitsPerMs + from.offsetMs,
      link: from.link,
      bytes: body.subarray(20, 20 + captured),
      isCut: captured < this.word(body, 16),
    })
  }

  private isNoMore(): number {
    this.isBroken = true
    return -1
  }

  private word(bytes: Buffer, at: number): number {
    return this.isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)
  }

  private half(bytes: Buffer, at: number): number {
    return this.isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)
  }

  private wide(bytes: Buffer, at: number): number {
    return Number(this.isLittle ? bytes.readBigInt64LE(at) : bytes.readBigInt64BE(at))
  }
}

/** Units in a second: a power of ten, or with the upper bit of two. */
const resolution = (value: number): number => (value < 128 ? 10 ** value : 2 ** (value - 128))
