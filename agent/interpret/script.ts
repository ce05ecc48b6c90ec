import type { PathRecord } from '../domain/record.ts'

/** How a program reads its options, as far as that tells what it runs. Letters are those of single-dash options. */
interface Interpreter {
  /** Code stands in the rest of the word or in the next: there is no script then. */
  readonly code: string
  /** The rest of the word or the next is what runs: a module by its name. */
  readonly module?: string
  /** The rest of the word or the next is what runs: a file. */
  readonly file?: string
  /** The rest of the word or the next is a value. */
  readonly value?: string
  /** The rest of the word is a value, if there is any. */
  readonly rest?: string
  /** The next word is a value, and the rest of this one more options. */
  readonly next?: string
  /** Options of several letters after which code stands, whose next word is a value, or whose next word is what runs. */
  readonly longCode?: RegExp
  readonly longValue?: RegExp
  readonly longFile?: RegExp
  /** Its long options begin with one dash too. */
  readonly hasOneDash?: boolean
  /** A shell: `+x` is an option as well, and `-` ends them. */
  readonly isShell?: boolean
  /** What runs is no file unless it ends like this. */
  readonly sourceFile?: RegExp
}

const SHELL: Interpreter = { code: 'cs', next: 'oO', longValue: /^--(rcfile|init-file)$/, isShell: true }
const PYTHON: Interpreter = { code: 'c', module: 'm', value: 'WXQ', longValue: /^--check-hash-based-pycs$/ }
const NODE: Interpreter = {
  code: 'ep',
  value: 'rC',
  longCode: /^--(eval|print)\b/,
  longValue: /^--(require|import|conditions|loader|experimental-loader|env-file)$/,
}

/** By the name of the executable, without its version. */
const INTERPRETERS: ReadonlyMap<string, Interpreter> = new Map<string, Interpreter>([
  ['sh', SHELL],
  ['dash', SHELL],
  ['bash', SHELL],
  ['rbash', SHELL],
  ['zsh', SHELL],
  ['ksh', SHELL],
  ['mksh', SHELL],
  ['ash', SHELL],
  ['fish', { code: 'c', value: 'Cdfop', longCode: /^--command\b/, longValue: /^--init-command$/ }],
  ['python', PYTHON],
  ['pypy', PYTHON],
  ['perl', { code: 'eE', value: 'I', rest: 'CDFMVdimx' }],
  ['ruby', { code: 'e', value: 'CEIr', rest: 'FKTWix', longValue: /^--(encoding|enable|disable)$/ }],
  ['node', NODE],
  ['nodejs', NODE],
  ['php', { code: 'rRBE', file: 'fF', value: 'cdgtzS', longFile: /^--(file|process-file)$/ }],
  ['lua', { code: 'e', value: 'l' }],
  ['tclsh', { code: '' }],
  ['Rscript', { code: 'e' }],
  [
    'java',
    {
      code: '',
      longFile: /^-jar$/,
      longValue: /^(-cp|-classpath|--class-path|-p|--module-path|--add-(modules|exports|opens|reads))$/,
      hasOneDash: true,
      sourceFile: /\.java$/,
    },
  ],
])

/** `python3.11` and `php8.2-cgi` are what their letters say. */
function interpreterNamed(name: string): Interpreter | undefined {
  return INTERPRETERS.get(name) ?? INTERPRETERS.get(name.replace(/[-.\d].*$/, ''))
}

/** Programs that are many: which one they are is told by the name they are called by, and by nothing else. */
const MULTI_CALL: ReadonlySet<string> = new Set(['busybox', 'toybox', 'coreutils'])
/** What else may stand there is no name of theirs, and they end at once. */
const APPLET = /^[\w[.-]+$/

/**
 * The script that a program runs, as a path relative to nothing but the current directory, or `-m MODULE`, which is also
 * how the programs within busybox and the like are told apart.
 *
 * Two witnesses: for a file with `#!` the kernel logs the script as PATH item 0 and the interpreter as item 1, and puts
 * both into argv; for `python3 app.py` only argv tells. argv[0] is the caller's choice and counts only for busybox, which
 * goes by it; the link that was executed does not decide what busybox does.
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
    return fileNamed(first.name)
  }
  const program = lastPart(exe)
  if (MULTI_CALL.has(program)) return appletAmong(argv, program)
  const interpreter = interpreterNamed(program)
  return interpreter === undefined ? undefined : scriptAmong(argv, interpreter)
}

/** `busybox wget …` and `wget …`; a shell among them is told by its script, if it has one. */
function appletAmong(argv: readonly string[], program: string): string | undefined {
  const called = calledBy(argv[0])
  const words = called === program ? argv.slice(1) : argv
  const applet = called === program ? lastPart(words[0] ?? '') : called
  if (!APPLET.test(applet) || applet.startsWith('-')) return undefined
  const interpreter = INTERPRETERS.get(applet)
  return (interpreter === undefined ? undefined : scriptAmong(words, interpreter)) ?? `-m ${applet}`
}

/** A login shell is called with a dash before its name. */
const calledBy = (word = ''): string => lastPart(word.startsWith('-') ? word.slice(1) : word)

const lastPart = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

function scriptAmong(argv: readonly string[], interpreter: Interpreter): string | undefined {
  const { code, module = '', file = '', value = '', rest = '', next = '', isShell = false } = interpreter
  for (let index = 1; index < argv.length; index++) {
    const word = argv[index] ?? ''
    const following = argv[index + 1]
    if (word === '--' || (word === '-' && isShell)) return fileNamed(following)
    // Without a file, or with `-` in its place, the code comes from standard input.
    if (word === '-') return undefined
    if (!word.startsWith('-') && !(isShell && word.startsWith('+'))) {
      const isModule = interpreter.sourceFile?.test(word) === false
      return isModule ? `-m ${word}` : fileNamed(word)
    }
    if (word.startsWith('--') || interpreter.hasOneDash === true) {
      if (interpreter.longCode?.test(word) === true) return undefined
      if (interpreter.longFile?.test(word) === true) return fileNamed(following)
      if (interpreter.longValue?.test(word) === true) index++
      continue
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at)
      const inWord = at + 1 < word.length ? word.slice(at + 1) : undefined
      if (code.includes(letter)) return undefined
      if (module.includes(letter)) return moduleNamed(inWord ?? following)
      if (file.includes(letter)) return fileNamed(inWord ?? following)
      if (next.includes(letter) || (value.includes(letter) && inWord === undefined)) index++
      if (value.includes(letter) || rest.includes(letter)) break
    }
  }
  return undefined
}

const moduleNamed = (name: string | undefined): string | undefined =>
  name === undefined ? undefined : `-m ${name}`

/** A file may be called `-m x`, and is no module for that. */
const fileNamed = (name: string | undefined): string | undefined =>
  name === '' ? undefined : name?.startsWith('-') === true ? `./${name}` : name
