import type { Finding } from '../domain/report.ts'
import { filePathOf, processOf } from './nodes.ts'
import { isKind, isSystemProgram } from './programs.ts'

/** Files that have an ending more than before, each beside one that is gone. */
export interface Replaced {
  readonly ending: string
  /** That made them. */
  readonly of: readonly Finding[]
}

/** So many people do not rename one by one. */
const MANY = 10
/** Of packers, of rotation, and of what is kept for a while. */
const HARMLESS = /^\.(?:\d+|gz|tgz|xz|bz2|zst|lz4|lzo|zip|7z|bak|old|orig|tmp|part|new|swp)$/
const ENDING = /\.[^./]{1,24}$/

/** What encrypts files for ransom leaves: X is gone, and there is X with an ending that all of them have. */
export function replacedIn(findings: readonly Finding[]): readonly Replaced[] {
  const gone = new Set(findings.filter(({ edge }) => edge.kind === 'delete').map(pathOf))
  if (gone.size < MANY) return []
  const made = new Map<string, Finding[]>()
  for (const finding of findings) {
    if (finding.edge.kind !== 'create') continue
    const path = pathOf(finding)
    const [ending] = ENDING.exec(path) ?? []
    if (ending === undefined || HARMLESS.test(ending) || !gone.has(path.slice(0, -ending.length))) continue
    const source = processOf(finding.edge.from)
    if (source === undefined || (isKind(source, 'packer') && isSystemProgram(source.exe))) continue
    const siblings = made.get(ending)
    if (siblings === undefined) made.set(ending, [finding])
    else siblings.push(finding)
  }
  return [...made].filter(([, of]) => of.length >= MANY).map(([ending, of]) => ({ ending, of }))
}

/** Patterns are compared as they are written. */
const pathOf = ({ edge }: Finding): string => (filePathOf(edge.to) ?? '').replace(/\\(.)/g, '$1')
