import type { Argv } from 'yargs'
import { UsageError } from '../domain/result.ts'
import { type Rebased, rebase } from '../rebase.ts'
import { jsonOf } from '../report/printer.ts'
import { onOneLine } from '../report/text.ts'
import { rawConversation } from '../support/conversation.ts'
import { command, type Command } from './command.ts'
import { baselineOf, DECISION_OPTIONS, decisionOf, refusalText } from './decisions.ts'

const REFUSED = 1

export const rebaseCommand: Command = command({
  lists: ['id'],
  options: (yargs: Argv) =>
    yargs
      .positional('id', {
        type: 'number',
        array: true,
        describe: 'incidents; without, all that are open, but for high, critical and withheld ones',
      })
      .options({
        'dry-run': {
          type: 'boolean',
          default: false,
          describe: 'say what would become normal, and change nothing',
        },
        yes: { type: 'boolean', default: false, describe: 'do not ask' },
        ...DECISION_OPTIONS,
      } as const)
      .example('sudo $0 rebase --dry-run', 'what would become normal')
      .example('sudo $0 rebase 12 14 --reason "release 4.2"', 'of two incidents'),
  run: async (words, signal) => {
    const ids = words.id === undefined || words.id.length === 0 ? undefined : words.id
    if (ids?.some((id) => !Number.isSafeInteger(id)) === true)
      throw new UsageError('which incidents? Their numbers, such as 12 14')
    const db = baselineOf(words)
    const decision = decisionOf(words)
    const planned = rebase(db, ids, decision, true)
    const isOver = words['dry-run'] || count(planned) === 0
    if (isOver || !words.yes) print(planned, { isDone: false, isJson: words.json })
    if (isOver) return 0
    if (!words.yes && !(await isAgreed(signal))) {
      process.stderr.write('fullmon: nothing was changed\n')
      return REFUSED
    }
    // Only what was shown: more may have happened since.
    const shown = planned.incidents.map(({ id }) => id)
    print(rebase(db, shown, decision, false), { isDone: true, isJson: words.json })
    return 0
  },
})

const count = ({ incidents }: Rebased): number => incidents.reduce((sum, { edges }) => sum + edges.length, 0)

async function isAgreed(signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new UsageError('nothing was changed: nobody can be asked here, so it takes --yes')
  const conversation = rawConversation(process.stdin, process.stdout, signal)
  try {
    return (await conversation.ask('make this normal? [y/N] ')) === 'y'
  } finally {
    conversation.close()
  }
}

function print(rebased: Rebased, { isDone, isJson }: { isDone: boolean; isJson: boolean }): void {
  const text = isJson ? jsonOf({ kind: 'rebase', isDone, ...rebased }) : textOf(rebased, isDone)
  process.stdout.write(`${text}\n`)
}

function textOf(rebased: Rebased, isDone: boolean): string {
  const { incidents, patterns, left, alerts } = rebased
  const lines = incidents.flatMap(({ id, title, edges, refused }) => [
    `incident ${id}: ${onOneLine(title)}`,
    ...edges.map(({ kind, from, to }) => `  + ${kind} ${from}->${to}`),
    ...refused.map((refusal) => `  - ${refusalText(refusal)}`),
  ])
  const others = left.map(
    ({ id, title, why }) => `incident ${id} is left out, as it is ${why} and not named: ${onOneLine(title)}`,
  )
  const total = `${count(rebased)} edges of ${incidents.length} incidents ${isDone ? 'are' : 'would become'} normal`
  const reset =
    alerts.length === 0
      ? []
      : [`alerts that ${isDone ? 'are' : 'would be'} reset with them: ${alerts.join(', ')}`]
  const learned = patterns.map((pattern) => `  + pattern ${pattern}`)
  return [...lines, ...learned, ...others, total, ...reset].join('\n')
}
