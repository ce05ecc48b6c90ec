import { Core } from '../../agent/core.ts'
import { type Deed, NO_WORLD } from '../../agent/domain/activity.ts'
import { processName } from '../../agent/graph/names.ts'

/** What the core tells of a log besides edges. */
export function deedsOf(log: Buffer | string): Deed[] {
  const deeds: Deed[] = []
  const ignore = (): void => undefined
  const core = new Core(NO_WORLD, {
    onEvent: ignore,
    onEdge: ignore,
    onDeed: (deed) => void deeds.push(deed),
  })
  core.push(typeof log === 'string' ? Buffer.from(log, 'latin1') : log)
  core.end()
  return deeds
}

/** A deed as one line, without the pid. */
export function deedText(deed: Deed): string {
  const actor = processName(deed.actor)
  const login = deed.auid === undefined ? '' : ` by login ${deed.auid}`
  switch (deed.kind) {
    case 'escalation': {
      const { how, succeeded, before, program = '', claims } = deed
      const says =
        claims === undefined ? '' : ` ${claims.record} ${claims.account ?? ''} ${claims.command ?? ''}`
      return (
        `${how} ${succeeded ? 'done' : 'refused'}: ${processName(before)}->${actor} ${program}${says}`.trim() +
        login
      )
    }
    case 'end':
      return `end ${deed.signal === undefined ? String(deed.status) : `by signal ${deed.signal}`}: ${actor}${login}`
    case 'exec-failed':
      return `exec-failed ${deed.error}: ${actor} ${deed.path}${login}`
  }
}
