/**
 * The schema, one step after the other. A released step is never changed; a change is a new step. `user_version` of the
 * file says how many have been taken.
 *
 * Times are Unix time in milliseconds, days are those of UTC.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE nodes (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
  ) STRICT;

  -- What is normal. An edge stands here once it was learned in training or merged afterwards.
  CREATE TABLE edges (
    from_id   INTEGER NOT NULL REFERENCES nodes,
    to_id     INTEGER NOT NULL REFERENCES nodes,
    kind      TEXT NOT NULL,
    first_ms  INTEGER NOT NULL,
    last_ms   INTEGER NOT NULL,
    sightings INTEGER NOT NULL,
    days      INTEGER NOT NULL,
    PRIMARY KEY (from_id, to_id, kind)
  ) STRICT, WITHOUT ROWID;

  -- What was unseen, once for each chain of ancestors it happened in.
  CREATE TABLE findings (
    id          INTEGER PRIMARY KEY,
    from_id     INTEGER NOT NULL REFERENCES nodes,
    to_id       INTEGER NOT NULL REFERENCES nodes,
    kind        TEXT NOT NULL,
    chain       TEXT NOT NULL,
    evidence    TEXT NOT NULL,
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    sightings   INTEGER NOT NULL,
    reported_ms INTEGER,
    merged_ms   INTEGER,
    UNIQUE (from_id, to_id, kind, chain)
  ) STRICT;
  CREATE INDEX findings_unreported ON findings (first_ms) WHERE reported_ms IS NULL;

  -- Patterns over volatile file names; process and action are the only ones a pattern applies to.
  CREATE TABLE patterns (
    id         INTEGER PRIMARY KEY,
    process    TEXT NOT NULL,
    action     TEXT NOT NULL,
    path       TEXT NOT NULL,
    printed    TEXT NOT NULL,
    examples   TEXT NOT NULL,
    learned_ms INTEGER NOT NULL,
    UNIQUE (process, action, path)
  ) STRICT;

  -- Spans of the log that were learned from. planned_ms is how long the training was meant to last.
  CREATE TABLE trainings (
    id         INTEGER PRIMARY KEY,
    from_ms    INTEGER NOT NULL,
    to_ms      INTEGER NOT NULL,
    planned_ms INTEGER,
    finished   INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  -- Where in the log the agent is: one row for each log that is followed. finished: events behind that place that were
  -- finished before it, as JSON [[node, time, serial]]; their records are not taken again.
  CREATE TABLE checkpoints (
    log         TEXT PRIMARY KEY,
    path        TEXT NOT NULL,
    inode       INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    offset      INTEGER NOT NULL,
    finished    TEXT NOT NULL,
    clock_ms    INTEGER NOT NULL
  ) STRICT;
  `,
  `
  -- What the agent remembers from one start to the next: see domain/state.ts. Values are JSON; node is empty for this
  -- host, else the name of another machine that writes into the same log.
  CREATE TABLE state (
    node  TEXT NOT NULL,
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (node, kind, key)
  ) STRICT, WITHOUT ROWID;

  -- Reports that were decided on and perhaps not printed yet, as JSON.
  CREATE TABLE outbox (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    report TEXT NOT NULL
  ) STRICT;

  -- Edges that were learned in the window of the training that goes on: normal only if that window was seen whole.
  CREATE TABLE fresh (
    from_id INTEGER NOT NULL,
    to_id   INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    PRIMARY KEY (from_id, to_id, kind)
  ) STRICT, WITHOUT ROWID;

  -- Who changed what is normal. hash covers this row and the hash of the one before; content is the digest of everything
  -- that was normal afterwards. detail is a JSON object. See journal.ts.
  CREATE TABLE journal (
    id       INTEGER PRIMARY KEY,
    time_ms  INTEGER NOT NULL,
    action   TEXT NOT NULL,
    author   TEXT NOT NULL,
    detail   TEXT NOT NULL,
    content  TEXT NOT NULL,
    hash     TEXT NOT NULL
  ) STRICT;

  -- Everything that is normal, counted and summed up, so that a row of the journal need not go through all of it. The only
  -- row. See content.ts.
  CREATE TABLE content (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    edges        INTEGER NOT NULL,
    edges_sum    TEXT NOT NULL,
    patterns     INTEGER NOT NULL,
    patterns_sum TEXT NOT NULL
  ) STRICT;
  INSERT INTO content VALUES (1, 0, '0', 0, '0');

  -- Reported in a window that was not seen whole: not merged by --rebase until seen again in one that was.
  ALTER TABLE findings ADD COLUMN degraded INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- Distinct minutes (UTC) among the sightings, merged like days.
  ALTER TABLE edges ADD COLUMN windows INTEGER NOT NULL DEFAULT 1;
  UPDATE edges SET windows = days;

  -- Who else reaches a target, and who runs a program.
  CREATE INDEX edges_by_target ON edges (to_id, kind);

  -- tree: which processes it belongs to (see trees.ts); parent: who started that tree, as a key and a printed name; bits: its
  -- surprise.
  ALTER TABLE findings ADD COLUMN tree TEXT NOT NULL DEFAULT '';
  ALTER TABLE findings ADD COLUMN parent TEXT NOT NULL DEFAULT '';
  ALTER TABLE findings ADD COLUMN bits REAL NOT NULL DEFAULT 0;
  ALTER TABLE findings ADD COLUMN incident_id INTEGER REFERENCES incidents;
  CREATE INDEX findings_waiting ON findings (tree, bits) WHERE reported_ms IS NULL;
  CREATE INDEX findings_by_target ON findings (to_id);
  CREATE INDEX findings_of_incident ON findings (incident_id) WHERE incident_id IS NOT NULL;

  -- learned; pinned: stays though a wider one is learned; denied: what it covers has its own name, and teaches none.
  ALTER TABLE patterns ADD COLUMN state TEXT NOT NULL DEFAULT 'learned';

  -- Findings that belong together. report: as it was reported, as JSON. withheld: kept back by the budget. state: what a
  -- person said of it.
  CREATE TABLE incidents (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    tree     TEXT NOT NULL,
    time_ms  INTEGER NOT NULL,
    severity TEXT NOT NULL,
    score    REAL NOT NULL,
    withheld INTEGER NOT NULL,
    state    TEXT NOT NULL DEFAULT 'open',
    report   TEXT NOT NULL
  ) STRICT;
  CREATE INDEX incidents_by_time ON incidents (time_ms);
  CREATE INDEX incidents_of_tree ON incidents (tree);

  -- Processes that were found to be in a tree, for what they do later.
  CREATE TABLE members (
    member  TEXT PRIMARY KEY,
    tree    TEXT NOT NULL,
    time_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX members_by_time ON members (time_ms);

  -- What would have been an incident in a training, if that had been over: what alerts-per-day is calibrated on. time_ms: when
  -- it began; source: who was first to do something.
  CREATE TABLE rehearsal (
    id       INTEGER PRIMARY KEY,
    time_ms  INTEGER NOT NULL,
    source   TEXT NOT NULL,
    severity TEXT NOT NULL,
    score    REAL NOT NULL
  ) STRICT;
  CREATE INDEX rehearsal_by_time ON rehearsal (time_ms);

  -- States of an edge: see life.ts. doubt: why it is provisional although it was seen often; accepted: row of the journal
  -- in which a person accepted it.
  ALTER TABLE edges ADD COLUMN doubt TEXT;
  ALTER TABLE edges ADD COLUMN accepted INTEGER;
  -- Tree of the processes that made it: see trees.ts.
  ALTER TABLE fresh ADD COLUMN tree TEXT NOT NULL DEFAULT '';

  -- What a person said is never normal; journal: the row in which. Vouched for as edges are, by count and sum.
  CREATE TABLE denied (
    from_id INTEGER NOT NULL REFERENCES nodes,
    to_id   INTEGER NOT NULL REFERENCES nodes,
    kind    TEXT NOT NULL,
    journal INTEGER NOT NULL,
    PRIMARY KEY (from_id, to_id, kind)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE denied_content (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL,
    sum   TEXT NOT NULL
  ) STRICT;
  INSERT INTO denied_content VALUES (1, 0, '0');

  -- Days of the log's time on which an agent saw something: age is counted in these.
  CREATE TABLE days (
    day INTEGER PRIMARY KEY
  ) STRICT;

  -- Why a finding is more, or less, than an unseen edge: see EdgeMark.
  ALTER TABLE findings ADD COLUMN mark TEXT;
  -- moved: sightings that were of this incident until a later one took over the finding. later_ms: when a person wants to
  -- see it again (state 'later'). journal: the row in which the state was set.
  ALTER TABLE incidents ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE incidents ADD COLUMN later_ms INTEGER;
  ALTER TABLE incidents ADD COLUMN journal INTEGER;

  -- Places where a process never stops making new edges of a kind: see detect/unstable.ts. incidents: how many were of it;
  -- last_ms: when it had something new last; since_ms: since when it is unstable; incident_id: the one that stands for its
  -- findings now, told_ms: since when.
  CREATE TABLE unstable (
    process     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    place       TEXT NOT NULL,
    incidents   INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    since_ms    INTEGER,
    incident_id INTEGER,
    told_ms     INTEGER,
    PRIMARY KEY (process, kind, place)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- What is wrong and stays open until a person resets it: see domain/alert.ts. detail: reasons, next steps and subject as
  -- JSON; present: whether the last look at the host found it; journal: the row in which a person set the state.
  CREATE TABLE alerts (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    source         TEXT NOT NULL,
    key            TEXT NOT NULL,
    severity       TEXT NOT NULL,
    title          TEXT NOT NULL,
    detail         TEXT NOT NULL,
    first_ms       INTEGER NOT NULL,
    last_ms        INTEGER NOT NULL,
    count          INTEGER NOT NULL,
    present        INTEGER NOT NULL,
    state          TEXT NOT NULL DEFAULT 'open',
    muted_until_ms INTEGER,
    incident_id    INTEGER REFERENCES incidents,
    journal        INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX alerts_unreset ON alerts (source, key) WHERE state <> 'reset';
  CREATE INDEX alerts_of_incident ON alerts (incident_id) WHERE incident_id IS NOT NULL;

  -- What processes were like that a training looked at: see ProcessHabits, as JSON. name: of their node, without the container.
  CREATE TABLE habits (
    name   TEXT PRIMARY KEY,
    habits TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
]

/** What an INSERT into `edges` changes in an edge that is there, besides its counts of days and windows. */
export const SEEN_AGAIN = `
    first_ms = min(first_ms, excluded.first_ms),
    last_ms = max(last_ms, excluded.last_ms),
    sightings = sightings + excluded.sightings,
    doubt = CASE
      WHEN doubt <> 'incident' AND excluded.last_ms / 60000 > last_ms / 60000 THEN NULL
      ELSE doubt
    END`

/**
 * End of an INSERT into `edges` that may meet the same edge. Days are not stored one by one: the sum is exact while time
 * goes on, and never more than the truth when two spans overlap.
 */
export const ON_SAME_EDGE = `
  ON CONFLICT DO UPDATE SET ${SEEN_AGAIN},
    days = ${mergedCount('days', 86_400_000)},
    windows = ${mergedCount('windows', 60_000)}`

/** Distinct spans of time among the sightings of both rows, as far as their ends tell. */
function mergedCount(column: string, spanMs: number): string {
  return `CASE
      WHEN excluded.first_ms / ${spanMs} > last_ms / ${spanMs} OR excluded.last_ms / ${spanMs} < first_ms / ${spanMs}
        THEN ${column} + excluded.${column}
      WHEN excluded.first_ms / ${spanMs} = last_ms / ${spanMs} OR excluded.last_ms / ${spanMs} = first_ms / ${spanMs}
        THEN ${column} + excluded.${column} - 1
      ELSE max(${column}, excluded.${column})
    END`
}
