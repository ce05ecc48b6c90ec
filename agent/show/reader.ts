import { Core, type CoreSink } from '../core.ts'
import { type Deed, NO_WORLD, type Understood } from '../domain/activity.ts'
import type { AuditEvent } from '../domain/event.ts'
import { type ShownEvent, type ShownSummary, shownEvent } from './event.ts'

/** Bytes of a log in, what was understood of it out, event by event in the order in which they were finished. */
export class EventReader {
  private readonly core: Core

  constructor(emit: (event: ShownEvent) => void) {
    let deeds: Deed[] = []
    const sink: CoreSink = {
      onEvent: () => undefined,
      onEdge: () => undefined,
      onDeed: (deed) => void deeds.push(deed),
      onUnderstood(event: AuditEvent, understood: Understood): void {
        emit(shownEvent(event, understood, deeds))
        if (deeds.length > 0) deeds = []
      },
    }
    this.core = new Core(NO_WORLD, sink, { keepsRecords: true })
  }

  /** Takes the next bytes of the log. */
  push(bytes: Buffer): void {
    this.core.push(bytes)
  }

  /** The log is at its end. */
  end(): ShownSummary {
    this.core.end()
    const { records, events, losses, forgedLines } = this.core
    return {
      kind: 'summary',
      records,
      events,
      unreadable: losses.unreadableLines,
      late: losses.lateRecords,
      ...(forgedLines > 0 && { forged: forgedLines }),
    }
  }
}
