import type { ShownEvent, ShownSummary } from '../../agent/show/event.ts'
import { EventReader } from '../../agent/show/reader.ts'

export interface Shown {
  /** In the order in which they were finished. */
  readonly events: readonly ShownEvent[]
  readonly summary: ShownSummary
}

/** What `fullmon events` has to say of a log; text is one character a byte. */
export function show(log: string | Buffer): Shown {
  const events: ShownEvent[] = []
  const reader = new EventReader((event) => events.push(event))
  reader.push(typeof log === 'string' ? Buffer.from(log, 'latin1') : log)
  return { events, summary: reader.end() }
}
