import { existsSync, readFileSync } from 'node:fs'
import { LineCounter, parseDocument, isMap, isScalar, visit, type Document } from 'yaml'
import { z } from 'zod'
import { UsageError } from '../domain/result.ts'
import { CONFIG_FILE, DEFAULT_DB, DEFAULT_LOG } from './places.ts'

const YEAR_S = 365 * 86_400
const Path = z.string().min(1)

/** The whole configuration. Each key is also an option of `fullmon run`, which wins over the file. */
export const Config = z.strictObject({
  auditd: Path.default(DEFAULT_LOG).describe('log of auditd to follow; - reads standard input'),
  db: Path.default(DEFAULT_DB).describe('the baseline; created when it is missing'),
  log: Path.optional().describe('log file for people; rotated by size'),
  baseline: z
    .number()
    .min(0)
    .max(YEAR_S)
    .default(3600)
    .describe('seconds to learn before anything is reported'),
  monitor: z
    .number()
    .min(0.1)
    .max(YEAR_S)
    .default(60)
    .describe('seconds after which unseen edges are reported'),
  rebase: z.boolean().default(false).describe('merge what was reported into the baseline'),
  'learn-degraded': z
    .boolean()
    .default(false)
    .describe('learn also from windows in which something was not seen'),
  'alerts-per-day': z
    .number()
    .min(0)
    .max(1_000_000)
    .default(10)
    .describe('incidents to expect on a day besides those that are surely bad'),
  wait: z.number().min(0.01).max(60).default(0.5).describe('seconds between two looks at the log'),
})
export type Config = Readonly<z.infer<typeof Config>>

/**
 * Defaults, then the file, then the command line.
 *
 * @param file from --config; without it CONFIG_FILE when it exists
 * @param words options that were given on the command line
 * @throws UsageError with file:line:column of every mistake
 */
export function loadConfig(file: string | undefined, words: Partial<Config>): Config {
  const found = file ?? (existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined)
  const given = Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined))
  const config = Config.safeParse({ ...(found === undefined ? {} : readConfig(found)), ...given })
  if (config.success) return config.data
  // The file has been checked: what is wrong now was given on the command line.
  throw new UsageError(
    config.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`).join('\n'),
  )
}

function readConfig(file: string): Partial<Config> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(
      `cannot read the configuration ${file}: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  return parseConfig(text, file)
}

/** What a configuration file says. `file` is its name in complaints. */
export function parseConfig(text: string, file: string): Partial<Config> {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const [broken] = document.errors
  if (broken !== undefined) throw new UsageError(`${at(broken.pos[0])}: ${broken.message}`)
  visit(document, {
    Alias: (_, alias) => {
      throw new UsageError(`${at(alias.range?.[0] ?? 0)}: *${alias.source}: aliases are not understood here`)
    },
  })
  const read = Config.partial().safeParse(document.toJS() ?? {})
  if (read.success) return keysOf(document, read.data)
  const complaints = read.error.issues.flatMap((issue) => {
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [issue.path.map(String).join('.')]
    return keys.map((key) => ({
      offset: offsetOf(document, key),
      text: `${key === '' ? '' : `${key}: `}${complaintOf(issue)}`,
    }))
  })
  const inOrder = complaints.sort((one, other) => one.offset - other.offset)
  throw new UsageError(inOrder.map(({ offset, text }) => `${at(offset)}: ${text}`).join('\n'))
}

/** Only what stands in the file: a default is not something the file says. */
const keysOf = (document: Document, values: Readonly<Record<string, unknown>>): Partial<Config> =>
  Object.fromEntries(Object.entries(values).filter(([key]) => document.has(key)))

const complaintOf = (issue: z.core.$ZodIssue): string =>
  issue.code === 'unrecognized_keys'
    ? `no such key; there are ${Object.keys(Config.shape).join(', ')}`
    : issue.message

function offsetOf(document: Document, key: string): number {
  if (!isMap(document.contents)) return 0
  const pair = document.contents.items.find((item) => isScalar(item.key) && String(item.key.value) === key)
  return isScalar(pair?.key) ? (pair.key.range?.[0] ?? 0) : 0
}
