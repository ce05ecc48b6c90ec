import type { Observation } from '../domain/alert.ts'
import type { Severity } from '../domain/severity.ts'

/** Of whom an alert is: a user, of the host or in a container. */
export type AlertOwner = string

/** Alerts of one source, owner and gravity that are not reset and have a row each; what is more is one alert. */
const MOST_ALIKE = 50
/** The same for all gravities: what grows graver makes room for others. */
const MOST_OF_OWNER = 150
/** The same for all owners but the host itself: a user may have many names in containers. */
const MOST_OF_SOURCE = 400
const HOST: ReadonlySet<AlertOwner> = new Set([' ', ' root'])

/** Who has an alert: as the statement in alerts.ts says it of a row. */
export function ownerOf({ subject: { container, user } }: Observation): AlertOwner {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  return `${text(container)} ${text(user)}`
}

/** Alerts of one source that are not reset. */
export interface UnresetCount {
  readonly owner: AlertOwner
  readonly severity: Severity
  readonly count: number
}

/** Who has room for one more alert of its own: whoever makes many hides neither what is graver nor what others do. */
export class AlertRoom {
  private readonly alike = new Map<string, number>()
  private readonly owned = new Map<AlertOwner, number>()
  private all = 0

  constructor(counts: readonly UnresetCount[]) {
    for (const { owner, severity, count } of counts) this.add(owner, severity, count)
  }

  /** Whether it can have a row, which then counts. */
  take(observation: Observation): boolean {
    const owner = ownerOf(observation)
    const { severity } = observation
    const hasRoom =
      (this.alike.get(alikeKey(owner, severity)) ?? 0) < MOST_ALIKE &&
      (this.owned.get(owner) ?? 0) < MOST_OF_OWNER &&
      this.hasRoomFor(owner)
    if (hasRoom) this.add(owner, severity, 1)
    return hasRoom
  }

  /** Whether one alert for all that an owner has no room for can have a row. */
  hasRoomFor(owner: AlertOwner): boolean {
    return this.all < MOST_OF_SOURCE || HOST.has(owner)
  }

  private add(owner: AlertOwner, severity: Severity, count: number): void {
    const key = alikeKey(owner, severity)
    this.alike.set(key, (this.alike.get(key) ?? 0) + count)
    this.owned.set(owner, (this.owned.get(owner) ?? 0) + count)
    if (!HOST.has(owner)) this.all += count
  }
}

const alikeKey = (owner: AlertOwner, severity: Severity): string => `${severity} ${owner}`
