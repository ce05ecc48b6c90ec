import type Database from 'better-sqlite3'
import type { EdgeKind } from '../domain/edge.ts'

/** Processes of which it is remembered what was denied to them; all are forgotten together when there are more. */
const MOST_DENIERS = 1000
const NONE: readonly string[] = []

/** What a person said is never normal. */
export class Denials {
  private readonly statements: ReturnType<typeof prepare>
  private readonly known = new Map<string, readonly string[]>()
  private hasAny: boolean

  constructor(database: Database.Database) {
    this.statements = prepare(database)
    this.hasAny = this.statements.anyDenied.get() !== undefined
  }

  /** What is never normal when this process does it; the same object until that changes. */
  of(process: string, kind: EdgeKind): readonly string[] {
    if (!this.hasAny) return NONE
    const key = `${kind} ${process}`
    const before = this.known.get(key)
    if (before !== undefined) return before
    const denials = this.statements.denialsOf.all(process, kind).map(({ name }) => name)
    if (this.known.size >= MOST_DENIERS) this.known.clear()
    this.known.set(key, denials)
    return denials
  }

  /** Another one may have written. */
  forget(): void {
    this.hasAny = this.statements.anyDenied.get() !== undefined
    this.known.clear()
  }
}

const prepare = (database: Database.Database) => ({
  denialsOf: database.prepare<[string, string], { name: string }>(
    `SELECT name FROM denied JOIN nodes ON nodes.id = to_id
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ? ORDER BY name`,
  ),
  anyDenied: database.prepare<[], { any: 1 }>('SELECT 1 AS "any" FROM denied LIMIT 1'),
})
