import type { PathRecord } from '../domain/record.ts'

interface Interpreter {
  /** Options after which code stands in the next argument: there is no script then. */
  readonly inline: RegExp
  /** Options whose next argument is the script or module. */
  readonly module?: RegExp
  /** Options whose next argument is their value. */
  readonly takesValue?: RegExp
}

const SHELL: Interpreter = {
  inline: /^-[a-zA-Z]*[cs][a-zA-Z]*$/,
  takesValue: /^[-+][a-zA-Z]*[oO]$|^--(rcfile|init-file)$/,
}
const PYTHON: Interpreter = { inline: /^-[a-zA-Z]*c/, module: /^-[a-zA-Z]*m$/, takesValue: /^-[WXQ]$/ }

/** By the name of the executable, without its version. */
const INTERPRETERS: ReadonlyMap<string, Interpreter> = new Map([
  ['sh', SHELL],
  ['dash', SHELL],
  ['bash', SHELL],
  ['rbash', SHELL],
  ['zsh', SHELL],
  ['ksh', SHELL],
  ['mksh', SHELL],
  ['ash', SHELL],
  ['fish', { inline: /^(-[a-zA-Z]*c|--command)/, takesValue: /^-[CdfoP]$/ }],
  ['python', PYTHON],
  ['pypy', PYTHON],
  ['perl', { inline: /^-[a-zA-Z]*[eE]/, takesValue: /^-[I]$/ }],
  ['ruby', { inline: /^-[a-zA-Z]*e/, takesValue: /^-[rIC]$/ }],
  ['node', { inline: /^(-[ep]+|--eval|--print)/, takesValue: /^(-r|-C|--require|--import|--conditions)$/ }],
  ['nodejs', { inline: /^(-[ep]+|--eval|--print)/, takesValue: /^(-r|-C|--require|--import|--conditions)$/ }],
  ['php', { inline: /^-[rRB]/, takesValue: /^-[cdgtz]$/, module: /^(-f|-F|--file)$/ }],
  ['lua', { inline: /^-e/, takesValue: /^-l$/ }],
  ['tclsh', { inline: /^$/ }],
  ['Rscript', { inline: /^-e/ }],
  [
    'java',
    { inline: /^$/, module: /^-jar$/, takesValue: /^(-cp|-classpath|--class-path|-p|--module-path)$/ },
  ],
])

/** `/usr/bin/python3.11` and `php8.2-cgi` are what their letters say. */
function interpreterOf(exe: string): Interpreter | undefined {
  const name = exe.slice(exe.lastIndexOf('/') + 1)
  return INTERPRETERS.get(name) ?? INTERPRETERS.get(name.replace(/[-.\d].*$/, ''))
}

/**
 * The script that a program runs, as a path relative to nothing but the current directory, or `-m MODULE`.
 *
 * Two witnesses: for a file with `#!` the kernel logs the script as PATH item 0 and the interpreter as item 1, and puts
 * both into argv; for `python3 app.py` only argv tells. argv[0] is the caller's choice and never counts.
 */
export function scriptOf(
  exe: string,
  argv: readonly string[],
  paths: readonly PathRecord[],
): string | undefined {
  const [first, second] = paths
  if (
    first?.name !== undefined &&
    first.name !== '' &&
    second?.name === argv[0] &&
    argv.indexOf(first.name, 1) > 0
  ) {
    return first.name
  }
  const interpreter = interpreterOf(exe)
  return interpreter === undefined ? undefined : scriptAmong(argv, interpreter)
}

function scriptAmong(argv: readonly string[], interpreter: Interpreter): string | undefined {
  for (let index = 1; index < argv.length; index++) {
    const word = argv[index] ?? ''
    if (word === '--') return argv[index + 1]
    if (word === '-' || word === '') return undefined
    if (!word.startsWith('-') && !word.startsWith('+')) return word
    if (interpreter.module?.test(word) === true) {
      const next = argv[index + 1]
      return next === undefined || !word.endsWith('m') ? next : `-m ${next}`
    }
    if (interpreter.inline.test(word)) return undefined
    if (interpreter.takesValue?.test(word) === true) index++
  }
  return undefined
}
