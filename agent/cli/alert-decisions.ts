import type { Argv } from 'yargs'
import { AlertDecisions, type AlertChoice, type AlertOutcome } from '../baseline/alert-decisions.ts'
import type { Decision } from '../baseline/decisions.ts'
import { type Alert, type AlertSource } from '../domain/alert.ts'
import { UsageError } from '../domain/result.ts'
import type { Severity } from '../domain/severity.ts'
import { jsonOf } from '../report/printer.ts'
import { onOneLine, timeText } from '../report/text.ts'
import { ALERT_CHOICE_OPTIONS, alertIdOf } from './alerts.ts'
import { command, type Command } from './command.ts'
import { baselineOf, DECISION_OPTIONS, decisionOf, durationOf } from './decisions.ts'

export const ackCommand: Command = command({
  lists: ['id'],
  options: (yargs) =>
    chosen(yargs)
      .options(DECISION_OPTIONS)
      .example('sudo $0 ack 3 --reason "INC-42, Alice looks at it"', 'it is known, and stays on the list'),
  run: (words) => decide(words, (decisions, choice, decision) => decisions.acknowledge(choice, decision)),
})

export const muteCommand: Command = command({
  lists: ['id'],
  options: (yargs) =>
    chosen(yargs)
      .options({
        for: {
          type: 'string',
          requiresArg: true,
          default: '1h',
          describe: 'how long: a number with s, m, h, d or w',
        },
        ...DECISION_OPTIONS,
      } as const)
      .example('sudo $0 mute 3 4 --for 2h', 'two alerts, until a release is through'),
  run: (words) => {
    const forMs = durationOf(words.for)
    return decide(words, (decisions, choice, decision) =>
      decisions.mute(choice, decision, decision.timeMs + forMs),
    )
  },
})

export const unmuteCommand: Command = command({
  lists: ['id'],
  options: (yargs) => chosen(yargs).options(DECISION_OPTIONS).example('sudo $0 unmute 3', 'it counts again'),
  run: (words) => decide(words, (decisions, choice, decision) => decisions.unmute(choice, decision)),
})

export const resetCommand: Command = command({
  lists: ['id'],
  options: (yargs) =>
    chosen(yargs)
      .options(DECISION_OPTIONS)
      .example('sudo $0 reset 3 --reason "nginx runs again"', 'it was seen to')
      .example('sudo $0 reset --all --source missing', 'all required processes that did not run'),
  run: (words) => decide(words, (decisions, choice, decision) => decisions.reset(choice, decision)),
})

interface AlertWords {
  readonly id: readonly string[] | undefined
  readonly all: boolean
  readonly source: AlertSource | undefined
  readonly severity: Severity | undefined
}

/** Options that say which alerts are meant. */
const chosen = (yargs: Argv) =>
  yargs.positional('id', { type: 'string', array: true, describe: 'numbers of the alerts' }).options({
    all: { type: 'boolean', default: false, describe: 'instead of numbers: all that are not reset' },
    ...ALERT_CHOICE_OPTIONS,
  } as const)

/** @throws UsageError when the words do not say which, or say it twice */
function choiceOf({ id = [], all, source, severity }: AlertWords): AlertChoice {
  if (id.length > 0) {
    if (all || source !== undefined || severity !== undefined)
      throw new UsageError('which alerts? Either their numbers, or --all with --source and --severity')
    return { ids: id.map(alertIdOf) }
  }
  if (!all) throw new UsageError('which alerts? Their numbers, such as 3 4, or --all')
  return {
    ...(source === undefined ? {} : { source }),
    ...(severity === undefined ? {} : { least: severity }),
  }
}

function decide(
  words: AlertWords &
    Parameters<typeof decisionOf>[0] &
    Parameters<typeof baselineOf>[0] & { readonly json: boolean },
  change: (decisions: AlertDecisions, choice: AlertChoice, decision: Decision) => AlertOutcome,
): Promise<number> {
  const choice = choiceOf(words)
  const decisions = new AlertDecisions(baselineOf(words))
  try {
    const outcome = change(decisions, choice, decisionOf(words))
    process.stdout.write(words.json ? `${jsonOf(objectOf(outcome))}\n` : outcomeText(outcome))
  } finally {
    decisions.close()
  }
  return Promise.resolve(0)
}

const objectOf = ({ action, changed, unchanged, row }: AlertOutcome): object => ({
  ...{ kind: 'alert-decision', action, changed: idsOf(changed), unchanged: idsOf(unchanged) },
  journal: row ?? null,
})

const idsOf = (alerts: readonly Alert[]): readonly number[] => alerts.map(({ id }) => id)

function outcomeText({ action, changed, unchanged }: AlertOutcome): string {
  const lines = [
    ...changed.map((alert) => `alert ${alert.id} ${wordsOf(action, alert)}: ${onOneLine(alert.title)}`),
    ...unchanged.map(({ id, title }) => `alert ${id} is as before: ${onOneLine(title)}`),
  ]
  return lines.length === 0 ? 'no alerts\n' : lines.map((line) => `${line}\n`).join('')
}

function wordsOf(action: AlertOutcome['action'], { mutedUntilMs = 0, isPresent }: Alert): string {
  switch (action) {
    case 'acknowledge':
      return 'is acknowledged'
    case 'mute':
      return `is muted until ${timeText(mutedUntilMs)}`
    case 'unmute':
      return 'is not muted any more'
    case 'reset':
      return isPresent ? 'is reset; if it is still there, the next look opens another' : 'is reset'
  }
}
