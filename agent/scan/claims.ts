import { isSystemProgram } from '../detect/programs.ts'
import { type ChosenPaths, isSameFile } from './chosen-paths.ts'

/** What runs the programs of others under their names. */
const RUNS_OTHERS = /\/(?:qemu-[\w-]+|ld-[\w.-]+|valgrind|memcheck-[\w-]+|rosetta|box64|wine[\w-]*)$/
const VENDOR_PROGRAM = /^\/(?:opt|snap)\//

/**
 * The program that a process calls itself by the path of, when that is there and is another one; undefined else. Scripts
 * that start a program often give it their own path.
 *
 * @param directory of the process in /proc
 */
export function claimedProgram(
  directory: string,
  exe: string,
  argv: readonly string[],
  paths: ChosenPaths,
): string | undefined {
  const [path = ''] = argv[0]?.split(' ') ?? []
  // Nobody is trusted for being called by a path of his own.
  if (!isSystemProgram(path) && !VENDOR_PROGRAM.test(path)) return undefined
  if (path === exe || exe.endsWith(' (deleted)') || RUNS_OTHERS.test(exe)) return undefined
  const claimed = paths.fileAt(directory, path)
  if (claimed?.isFile !== true) return undefined
  const own = paths.programOf(directory, exe)
  if (own === undefined || isSameFile(claimed, own)) return undefined
  return paths.isElfAt(directory, path) ? path : undefined
}
