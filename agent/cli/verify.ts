import { verifyBaseline } from '../baseline/verify.ts'
import { loadConfig } from '../config/config.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { CONFIG_OPTIONS, DB_OPTION, JSON_OPTION, command } from './command.ts'

const DOES_NOT_FIT = 1

export const verifyCommand = command({
  lists: ['head'],
  options: (yargs) =>
    yargs
      .options({
        db: DB_OPTION,
        head: {
          type: 'string',
          requiresArg: true,
          array: true,
          describe: 'a head that a report carried: some row must have it',
        },
        ...CONFIG_OPTIONS,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 verify', 'also while the agent runs; exit code 1: it does not fit')
      .example('sudo $0 verify --head 29d79bd7bd43', 'nobody has replaced the baseline since that report'),
  run: (words) => {
    const { db } = loadConfig(words, { db: words.db })
    const heads = (words.head ?? []).map(headOf)
    const { rows, head, problem, unknownHeads } = verifyBaseline(db, heads)
    const problems = [
      ...(problem === undefined ? [] : [problem.reason]),
      ...unknownHeads.map((unknown) => `no row of the journal has the head ${unknown}`),
    ]
    const fits = problems.length === 0
    const text = words.json
      ? jsonOf({ kind: 'verify', db, rows, head, fits, problem: problem ?? null, unknownHeads })
      : [
          `${label('baseline')}${db}`,
          `${label('journal')}${rows} rows${rows === 0 ? '' : `, head ${head}`}`,
          ...(fits ? [`${label('result')}fits`] : problems.map((each) => label('result') + each)),
        ].join('\n')
    process.stdout.write(`${text}\n`)
    return Promise.resolve(fits ? 0 : DOES_NOT_FIT)
  },
})

const label = (name: string): string => name.padEnd(13)

function headOf(text: string): string {
  if (!/^[0-9a-f]{12,64}$/i.test(text))
    throw new UsageError(`--head takes 12 to 64 hex digits, not ${JSON.stringify(text)}`)
  return text.toLowerCase()
}
