import type Database from 'better-sqlite3'

/** Which tree each process was found to be in. */
export class Members {
  private readonly statements: ReturnType<typeof prepare>

  constructor(database: Database.Database) {
    this.statements = prepare(database)
  }

  /** The tree that a process was found to be in. */
  treeOf(member: string): string | undefined {
    return this.statements.treeOfMember.get(member)?.tree
  }

  /** Processes were found to be in a tree. */
  add(tree: string, members: readonly string[], timeMs: number): void {
    for (const member of members) this.statements.addMember.run(member, tree, timeMs)
  }

  /** Forgets those that were found longest ago, when there are too many. */
  trim(most: number): void {
    const { count } = this.statements.countMembers.get() ?? { count: 0 }
    if (count > most) this.statements.trimMembers.run(count - most)
  }
}

const prepare = (database: Database.Database) => ({
  treeOfMember: database.prepare<[string], { tree: string }>('SELECT tree FROM members WHERE member = ?'),
  addMember: database.prepare<[string, string, number]>(
    `INSERT INTO members (member, tree, time_ms) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET time_ms = excluded.time_ms`,
  ),
  countMembers: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM members'),
  trimMembers: database.prepare<[number]>(
    `DELETE FROM members WHERE member IN (SELECT member FROM members ORDER BY time_ms, member LIMIT ?)`,
  ),
})
