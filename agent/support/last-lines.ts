import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

const MOST_BYTES = 1024 * 1024
const NEWLINE = 0x0a

/**
 * The lines in the last mebibyte of a regular file; whether the file ends within a line, which is not among them.
 * Nothing of what cannot be read: a pipe, a terminal, a file that is not there.
 */
export function lastLines(path: string): { readonly lines: readonly string[]; readonly isCut: boolean } {
  const { bytes, isWhole } = lastBytes(path)
  const lines = bytes.toString('utf8').split('\n')
  lines.pop()
  return { lines: isWhole ? lines : lines.slice(1), isCut: bytes.length > 0 && bytes.at(-1) !== NEWLINE }
}

/**
 * Whether all lines of a text stand there one behind the other.
 * @param textOfFirst what its first line is without what is written before it
 */
export function holdsText(
  lines: readonly string[],
  text: string,
  textOfFirst: (line: string) => string = (line) => line,
): boolean {
  const [first = '', ...others] = text.split('\n')
  return lines.some(
    (line, at) =>
      textOfFirst(line) === first && others.every((other, index) => lines[at + 1 + index] === other),
  )
}

function lastBytes(path: string): { readonly bytes: Buffer; readonly isWhole: boolean } {
  let fd: number | undefined
  try {
    // O_NONBLOCK: nobody waits for the writer of a pipe.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const status = fstatSync(fd)
    if (!status.isFile()) return NOTHING
    const from = Math.max(0, status.size - MOST_BYTES)
    const bytes = Buffer.alloc(status.size - from)
    const count = readSync(fd, bytes, 0, bytes.length, from)
    return { bytes: bytes.subarray(0, count), isWhole: from === 0 }
  } catch {
    return NOTHING
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

const NOTHING = { bytes: Buffer.alloc(0), isWhole: true } as const
