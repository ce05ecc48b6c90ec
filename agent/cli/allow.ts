import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { ALLOW_BY, type Allowance, allowancesOf } from '../allow.ts'
import { alertsIn } from '../baseline/alerts.ts'
import { holderOf } from '../baseline/lock.ts'
import { vouchForWrite } from '../baseline/vouched-writes.ts'
import { amended } from '../config/amend.ts'
import { type Config, loadConfig, loadWithPlaces } from '../config/config.ts'
import { foundConfig } from '../config/find.ts'
import { childOf, type Located, plain } from '../config/located.ts'
import { CONFIG_FILE } from '../config/places.ts'
import type { Alert } from '../domain/alert.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { onOneLine } from '../report/text.ts'
import { Digests } from '../scan/digests.ts'
import { scoreOf } from '../scan/score.ts'
import { replaceFile } from '../support/replace-file.ts'
import { alertIdOf } from './alerts.ts'
import { command } from './command.ts'
import { DECISION_OPTIONS, decisionOf } from './decisions.ts'

export const allowCommand = command({
  lists: ['id'],
  options: (yargs) =>
    yargs
      .positional('id', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'numbers of the alerts',
      })
      .options({
        by: {
          choices: ALLOW_BY,
          requiresArg: true,
          describe: 'by what it is known',
          defaultDescription: 'what fits the alert',
        },
        write: {
          type: 'boolean',
          default: false,
          describe: 'add the lines to the configuration, and leave all else in it as it is',
        },
        force: {
          type: 'boolean',
          default: false,
          describe: 'also what nobody should allow blindly: deleted programs, /tmp',
        },
        ...DECISION_OPTIONS,
      } as const)
      .example('sudo $0 allow 3', 'the lines of the configuration that make it allowed')
      .example('sudo $0 allow 3 4 --by sha256 --write', 'write them'),
  run: async (words) => {
    const config = loadConfig(words, { db: words.db })
    const alerts = chosenOf(config.db, words.id.map(alertIdOf))
    const allowances: Allowance[] = []
    for (const alert of alerts) allowances.push(...(await allowancesOf(alert, optionsOf(config, words))))
    const file = words.config ?? foundConfig() ?? CONFIG_FILE
    const vouch = (place: string): void => {
      const added = allowances.map(({ key, value }) => `${key.join('.')}: ${JSON.stringify(value)}`)
      const write = { file: place, pid: process.pid, added, alerts: alerts.map(({ id }) => id) }
      vouchForWrite(config.db, write, decisionOf(words))
    }
    const isChanged = words.write && write(file, allowances, vouch)
    const reload = isChanged ? holderOf(config.db)?.pid : undefined
    const text = words.json
      ? `${jsonOf({
          kind: 'allowance',
          entries: allowances.map(({ key, value }) => ({ key: key.join('.'), value })),
          file: words.write ? file : null,
          isChanged,
        })}\n`
      : words.write
        ? writtenText(alerts, allowances, { file, isChanged, reload })
        : linesText(alerts, allowances)
    process.stdout.write(text)
    return 0
  },
})

function chosenOf(db: string, ids: readonly number[]): readonly Alert[] {
  const all = alertsIn(db)
  return [...new Set(ids)].map((id) => {
    const alert = all.find((each) => each.id === id)
    if (alert === undefined) throw new UsageError(`there is no alert ${id} in ${db}`)
    return alert
  })
}

function optionsOf(
  { scan }: Config,
  { by, force }: { readonly by: (typeof ALLOW_BY)[number] | undefined; readonly force: boolean },
): Parameters<typeof allowancesOf>[1] {
  const digests = new Digests()
  return {
    by,
    isForced: force,
    isCovered: (score) => !scoreOf([], score, true, { ...scan, model_weight: 1 }).isSuspicious,
    digestOf: async (pids) => {
      for (const pid of pids) {
        const digest = await digests.of(pid)
        if (digest !== undefined) return digest
      }
      return undefined
    },
  }
}

/**
 * Adds the lines to a configuration.
 * @param vouch is given its path before it is written
 * @returns whether it has changed
 * @throws UsageError when it cannot be written, or would be wrong then
 */
function write(file: string, allowances: readonly Allowance[], vouch: (place: string) => void): boolean {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const after = amended(text, file, withInherited(file, text, allowances))
  if (after === text) return false
  try {
    vouch(existsSync(file) ? realpathSync(file) : resolve(file))
    replaceFile(file, after, (newFile) => {
      loadConfig({ config: newFile })
      if (existsSync(file) && readFileSync(file, 'utf8') !== text)
        throw new UsageError(`${file} was changed meanwhile: try again`)
    })
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
  return true
}

/** A list in the file replaces that of the profile, so what that says comes with it. */
function withInherited(
  file: string,
  text: string,
  allowances: readonly Allowance[],
): readonly { readonly key: readonly string[]; readonly value: unknown }[] {
  if (text === '') return allowances
  const { said } = loadWithPlaces({ config: file })
  const inherited = allowances.flatMap(({ key }) => {
    const list = key.reduce<Located | undefined>((here, step) => here && childOf(here, step), said)
    const values = list === undefined ? [] : plain(list)
    return Array.isArray(values) ? values.map((value: unknown) => ({ key, value })) : []
  })
  return [...inherited, ...allowances]
}

function linesText(alerts: readonly Alert[], allowances: readonly Allowance[]): string {
  return headOf(alerts) + amended('', 'the lines', allowances)
}

const headOf = (alerts: readonly Alert[]): string =>
  alerts.map(({ id, title }) => `# alert ${id}: ${onOneLine(title)}\n`).join('')

function writtenText(
  alerts: readonly Alert[],
  allowances: readonly Allowance[],
  { file, isChanged, reload }: { file: string; isChanged: boolean; reload: number | undefined },
): string {
  const what = [...new Set(allowances.map(({ key }) => key.join('.')))].join(', ')
  const open = alerts.filter(({ state }) => state !== 'reset').map(({ id }) => id)
  const lines = [
    isChanged ? `${file}: added to ${what}` : `${file} says so already: ${what}`,
    ...(reload === undefined
      ? []
      : [
          `the agent that runs reads it when it is told to: systemctl reload fullmon, or kill -HUP ${reload}`,
        ]),
    ...(open.length === 0 ? [] : [`what is open stays so: fullmon reset ${open.join(' ')}`]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}
