import { temporaryPlaceOf } from '../detect/programs.ts'

/** Memory of a process that it may write and execute. */
export interface WritableCode {
  /** Length of each region. */
  readonly regionBytes: readonly number[]
  /** The libraries and the program that are mapped beside it. */
  readonly files: ReadonlySet<string>
}

/** Of a region without a file: start, end, permissions, `00000000 00:00 0`, and a name in brackets or none. */
const REGION = /^([0-9a-f]+)-([0-9a-f]+) (....) [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ (\d+) *(.*)$/
/** What the kernel or ld.so maps so by itself: trampolines of nested functions need a stack that is executed. */
const STACK = /^\[(?:stack.*|vsyscall|vdso|vvar.*|uprobes)\]$/
/** Memory that has a name although it is no file's: mmap(2) MAP_SHARED without a file, memfd_create(2). */
const NAMELESS = /^(?:\/dev\/zero|\/memfd:.*|\/SYSV[0-9a-f]*)(?: \(deleted\))?$/s

/**
 * What a process may write and execute that is no file, from the text of `/proc/PID/maps`; undefined when there is nothing.
 *
 * A program that asks for it has all its data executable (personality(2), READ_IMPLIES_EXEC; old programs do): that is no
 * sign of anything.
 */
export function writableCodeIn(maps: string): WritableCode | undefined {
  const files = new Set<string>()
  const regionBytes: number[] = []
  let isDataPlain = false
  for (const line of maps.split('\n')) {
    const [, start = '', end = '', permissions = '', inode = '', name = ''] = REGION.exec(line) ?? []
    const isFile = inode !== '0' && !NAMELESS.test(name)
    if (isFile && name.startsWith('/')) files.add(name)
    const isWritable = permissions[1] === 'w'
    const isExecutable = permissions[2] === 'x'
    if (isWritable && !isExecutable && !STACK.test(name)) isDataPlain = true
    if (isWritable && isExecutable && !isFile && !STACK.test(name))
      regionBytes.push(Number.parseInt(end, 16) - Number.parseInt(start, 16))
  }
  return regionBytes.length === 0 || !isDataPlain ? undefined : { regionBytes, files }
}

/** Of a region of a file that is executed: permissions, and the path. */
const EXECUTED_FILE = /^[0-9a-f]+-[0-9a-f]+ ..x. [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ [1-9]\d* +(\/.*)$/gm
/** Libraries that make small pieces of code keep them in files like these: libffi, Mesa, Orc. */
const MAKESHIFT = /\/(?:ffi\w{6}|\.gl\w{6}|orcexec\.\w{6}) \(deleted\)$/

/** A file in a place for temporary files that a process executes code of, from the text of `/proc/PID/maps`. */
export function temporaryCodeIn(maps: string): string | undefined {
  for (const [, path = ''] of maps.matchAll(EXECUTED_FILE))
    if (temporaryPlaceOf(path) !== undefined && !MAKESHIFT.test(path)) return path
  return undefined
}
