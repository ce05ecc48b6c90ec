import { hasNoScript, isKind, type ProgramKind, programOf } from '../detect/programs.ts'
import type { SeenProcess } from './processes.ts'

const MOST_GENERATIONS = 32
/** Servers that run a shell as a part of what they are for, and what is in its command line then. */
const USUAL =
  /\b(?:rotatelogs|cronolog|logger|archive_command|pg_\w+|pgbackrest|wal-g|barman|sendmail|procmail|maildrop|sa-learn|dovecot-lda)\b/

/**
 * Why it is unusual that a process descends from where it does, as a sentence; undefined when it is not. Between a service
 * and its shell may be other shells, wrappers and interpreters that were given code instead of a script: `sh -c`,
 * `python -c 'import pty; …'`.
 */
export function strangeParentOf(
  process: SeenProcess,
  byPid: ReadonlyMap<number, SeenProcess>,
): string | undefined {
  if (!is(process, 'shell') || !isScriptless(process)) return undefined
  const { ancestor, passed } = ancestorOf(process, byPid)
  if (ancestor === undefined) return undefined
  if (is(ancestor, 'relay')) return `a shell below ${nameOf(ancestor)}, which hands connections on`
  if (is(ancestor, 'server')) {
    if (USUAL.test(process.argv.join(' '))) return undefined
    return `a shell below the server ${nameOf(ancestor)}`
  }
  // A service in a script: what it runs with `sh -c` is its work, a shell for somebody is not.
  const isService = is(ancestor, 'interpreter') && !isScriptless(ancestor) && ancestor.tty === undefined
  if (!isService || isBelowLogin(ancestor, byPid) || !isInteractive(process)) return undefined
  if (process.tty !== undefined && !passed.some((each) => is(each, 'interpreter'))) return undefined
  return `a shell that takes commands below the service ${nameOf(ancestor)}`
}

/** The nearest ancestor that is not only there to start another, and those between. */
function ancestorOf(
  process: SeenProcess,
  byPid: ReadonlyMap<number, SeenProcess>,
): { readonly ancestor: SeenProcess | undefined; readonly passed: readonly SeenProcess[] } {
  const passed: SeenProcess[] = []
  let at = byPid.get(process.ppid)
  while (at !== undefined && passed.length < MOST_GENERATIONS && isBetween(at)) {
    passed.push(at)
    at = byPid.get(at.ppid)
  }
  return { ancestor: at, passed }
}

const isBetween = (process: SeenProcess): boolean =>
  is(process, 'wrapper') || ((is(process, 'shell') || is(process, 'interpreter')) && isScriptless(process))

/** A person who logged in may do as he likes, and so may what he has started. */
export function isBelowLogin(process: SeenProcess, byPid: ReadonlyMap<number, SeenProcess>): boolean {
  let at = byPid.get(process.ppid)
  for (let generation = 0; at !== undefined && generation < MOST_GENERATIONS; generation++) {
    if (is(at, 'login')) return true
    at = byPid.get(at.ppid)
  }
  return false
}

/** No code in its words, or told to be interactive. */
const isInteractive = ({ argv }: SeenProcess): boolean =>
  argv.slice(1).some((word) => /^-[a-z]*i/.test(word)) ||
  !argv.slice(1).some((word) => /^-[a-z]*c/.test(word))

const isScriptless = (process: SeenProcess): boolean => hasNoScript(process)
const is = (process: SeenProcess, kind: ProgramKind): boolean => isKind(process, kind)

const nameOf = (process: SeenProcess): string =>
  `${programOf(process)}${process.script === '' ? '' : ` ${process.script}`} (pid ${process.pid})`
