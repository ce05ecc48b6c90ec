import { cut, exactName, shortName, targetName, userOf } from '../detect/phrases.ts'
import { processOf } from '../detect/nodes.ts'

/** What stands for a part of what happened in the title, the reason and the next steps of a rule. */
export const PLACEHOLDERS = ['process', 'user', 'parent', 'target', 'path', 'pid', 'how'] as const
type Placeholder = (typeof PLACEHOLDERS)[number]

/** What happened, by the printed names of its nodes. */
export interface Told {
  /** From the oldest ancestor known to the process that did it. */
  readonly chain: readonly string[]
  readonly to: string
  readonly pid: number
  /** How it ended, or how somebody became root. */
  readonly how: string
}

/** Names that a shell takes as they are; nobody pastes another one from a report. */
const HARMLESS = /^[\w\/][\w.\/@%+,:\-]*$/
const LONGEST = 200

/** Puts what happened into a sentence of a rule. */
export const tell = (sentence: string, told: Told): string =>
  sentence.replace(/\{(\w+)\}/g, (_, name: Placeholder) => partOf(name, told))

/** The same for a command: undefined when a part of it may not be pasted, or is not known. */
export function tellCommand(command: string, told: Told): string | undefined {
  const parts = [...command.matchAll(/\{(\w+)\}/g)].map(([, name]) => partOf(name as Placeholder, told))
  return parts.every((part) => HARMLESS.test(part)) ? tell(command, told) : undefined
}

function partOf(name: Placeholder, { chain, to, pid, how }: Told): string {
  const from = chain.at(-1) ?? ''
  switch (name) {
    case 'process':
      return shortName(from)
    case 'user':
      return cut(userOf(from))
    case 'parent':
      return shortName(chain.at(-2) ?? '')
    case 'target':
      return processOf(to) === undefined ? targetName(to) : exactName(to)
    case 'path':
      return cut(pathIn(to), LONGEST)
    case 'pid':
      return pid > 0 ? String(pid) : ''
    case 'how':
      return how
  }
}

/** The file that was changed, or the program or script that was run. */
function pathIn(to: string): string {
  const process = processOf(to)
  if (process === undefined) return to.replace(/^file:[^:]*:/, '')
  return process.script.startsWith('/') ? process.script : process.exe
}
