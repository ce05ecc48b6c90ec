import { loadConfig } from '../config/config.ts'
import { type Check, diagnose } from '../doctor/checks.ts'
import { findFacts } from '../doctor/facts.ts'
import { jsonOf } from '../report/printer.ts'
import { ANSI, type Look, PLAIN } from '../report/text.ts'
import { hasColours } from '../support/standard-output.ts'
import { AUDITD_OPTION, CONFIG_OPTIONS, DB_OPTION, JSON_OPTION, command, fileFromYargs } from './command.ts'

const SOMETHING_BAD = 1

export const doctorCommand = command({
  options: (yargs) =>
    yargs
      .options({
        auditd: AUDITD_OPTION,
        db: DB_OPTION,
        ...CONFIG_OPTIONS,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 doctor', 'every check, one a line')
      .example('sudo $0 doctor --json', 'exit code 1: something is bad'),
  run: async (words) => {
    const { auditd, db } = loadConfig(words, {
      auditd: words.auditd === undefined ? undefined : fileFromYargs(words.auditd),
      db: words.db,
    })
    const checks = diagnose(await findFacts(auditd, db))
    const colours = hasColours(process.stdout.isTTY, process.env) ? ANSI : PLAIN
    for (const check of checks) {
      process.stdout.write(`${words.json ? jsonOf(check) : textOf(check, colours)}\n`)
    }
    return checks.some(({ state }) => state === 'bad') ? SOMETHING_BAD : 0
  },
})

function textOf({ name, state, detail, mend }: Check, { bad, dim, off }: Look): string {
  const colour = { ok: '', bad, unknown: dim }[state]
  const line = `${colour}${state.padEnd(7)}${colour && off} ${name.padEnd(13)} ${printable(detail)}`
  return mend === undefined ? line : `${line}; mend: ${printable(mend)}`
}

/** Paths and rules are others' words: they shall not move the cursor of a terminal, or begin a line. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, '?')
