import { openForReading } from './open.ts'

/** What a person did with an alert, as the journal tells. */
export interface AlertDeed {
  readonly timeMs: number
  readonly action: string
  readonly author: string
  readonly reason?: string
  /** Until when it was muted. Unix time in milliseconds. */
  readonly untilMs?: number
  /** The incident whose decision has reset it. */
  readonly incident?: number
}

/**
 * What persons have done with an alert, in the order of time.
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function historyOf(path: string, id: number): readonly AlertDeed[] {
  const database = openForReading(path)
  try {
    return database.prepare<{ id: number }, DeedRow>(HISTORY).all({ id }).map(deedOf)
  } finally {
    database.close()
  }
}

function deedOf({ timeMs, action, author, detail }: DeedRow): AlertDeed {
  const { reason, until, incident } = JSON.parse(detail) as {
    reason?: string
    until?: number
    incident?: number
  }
  return {
    ...{ timeMs, action, author },
    ...(reason === undefined ? {} : { reason }),
    ...(until === undefined ? {} : { untilMs: until }),
    ...(incident === undefined ? {} : { incident }),
  }
}

interface DeedRow {
  timeMs: number
  action: string
  author: string
  detail: string
}

/** Of the decision on an incident only the row tells that has reset its alert. */
const HISTORY = `
  SELECT time_ms AS timeMs, action, author, detail FROM journal
   WHERE id = (SELECT journal FROM alerts WHERE id = @id) OR action IN ('acknowledge', 'mute', 'unmute', 'reset')
         AND EXISTS (SELECT 1 FROM json_each(detail, '$.alerts') WHERE value = @id)
   ORDER BY id`
