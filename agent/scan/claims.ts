import { closeSync, openSync, readSync, statSync } from 'node:fs'

/** What runs the programs of others under their names. */
const RUNS_OTHERS = /\/(?:qemu-[\w-]+|ld-[\w.-]+|valgrind|memcheck-[\w-]+|rosetta|box64|wine[\w-]*)$/
const ELF = Buffer.from('\x7fELF', 'latin1')

/**
 * The program that a process calls itself by the path of, when that is there and is another one; undefined else. Scripts
 * that start a program often give it their own path.
 *
 * @param directory of the process in /proc
 */
export function claimedProgram(directory: string, exe: string, argv: readonly string[]): string | undefined {
  const [path = ''] = argv[0]?.split(' ') ?? []
  if (!path.startsWith('/') || path === exe || exe.endsWith(' (deleted)') || RUNS_OTHERS.test(exe))
    return undefined
  try {
    const claimed = statSync(`${directory}/root${path}`)
    const own = statSync(`${directory}/exe`)
    const isOwn = claimed.ino === own.ino && claimed.dev === own.dev
    return !isOwn && claimed.isFile() && isElf(`${directory}/root${path}`) ? path : undefined
  } catch {
    // It is not there, or not for us: many programs call themselves what they like.
    return undefined
  }
}

function isElf(path: string): boolean {
  const fd = openSync(path, 'r')
  try {
    const beginning = Buffer.alloc(ELF.length)
    readSync(fd, beginning, 0, ELF.length, 0)
    return beginning.equals(ELF)
  } finally {
    closeSync(fd)
  }
}
