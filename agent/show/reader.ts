import { Core } from '../core.ts'
import { NO_WORLD } from '../domain/activity.ts'
import type { AuditEvent } from '../domain/event.ts'
import { Interpreter } from '../interpret/interpreter.ts'
import { textOfBytes } from '../parse/text.ts'
import { type ShownEvent, type ShownSummary, shownEvent } from './event.ts'

/** Bytes of a log in, what was understood of it out, event by event in the order in which they were finished. */
export class EventReader {
  private readonly core: Core

  constructor(emit: (event: ShownEvent) => void) {
    const interpreter = new Interpreter(NO_WORLD, textOfBytes)
    const onEvent = (event: AuditEvent): void => emit(shownEvent(event, interpreter.understand(event)))
    this.core = new Core(NO_WORLD, { onEvent, onEdge: () => undefined }, true)
  }

  /** Takes the next bytes of the log. */
  push(bytes: Buffer): void {
    this.core.push(bytes)
  }

  /** The log is at its end. */
  end(): ShownSummary {
    this.core.end()
    const { records, events, losses } = this.core
    return {
      kind: 'summary',
      records,
      events,
      unreadable: losses.unreadableLines,
      late: losses.lateRecords,
    }
  }
}
