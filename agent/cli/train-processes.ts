import { setTimeout as sleep } from 'node:timers/promises'
import { learnHabits } from '../baseline/habits.ts'
import type { Config } from '../config/config.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { HabitTraining } from '../scan/training.ts'
import { commandAuthor } from './author.ts'
import { inMs } from './values.ts'

/** Looks so often that what is there for minutes is met, and the host does not feel it. */
const LOOK_MS = 5000
const LEAST_LOOKS = 5
/** What a log is needed for. */
const OF_THE_LOG = [
  'auditd',
  'until-stable',
  'at-most',
  'dns-interface',
  'dns',
  'learn-degraded',
  'alerts-per-day',
]

/** Looks at processes for as long as the training lasts, and writes what they are like into the baseline. */
export async function trainProcesses(
  words: Readonly<Record<string, unknown>>,
  config: Config,
  signal: AbortSignal,
): Promise<number> {
  const ofTheLog = OF_THE_LOG.find((option) => words[option] !== undefined)
  if (ofTheLog !== undefined || words['follow'] === false)
    throw new UsageError(`--processes reads no log: --${ofTheLog ?? 'no-follow'} is none of it`)
  const training = new HabitTraining(config)
  const endMs = performance.now() + inMs(config.baseline)
  const everyMs = Math.min(LOOK_MS, inMs(config.baseline) / LEAST_LOOKS)
  while (!signal.aborted) {
    await training.look()
    const leftMs = endMs - performance.now()
    if (leftMs <= 0) break
    // An end that was asked for is an end like any other: what was learned is kept.
    await sleep(Math.min(everyMs, leftMs), undefined, { signal }).catch(() => undefined)
  }
  const { learned, looks, suspicious } = training
  learnHabits(config.db, learned, { timeMs: Date.now(), author: commandAuthor() })
  const text =
    `${looks} ${looks === 1 ? 'look' : 'looks'}, ${learned.size} kinds of processes learned` +
    (suspicious.size === 0 ? '' : `; suspicious, and not learned: ${suspicious.size} (see fullmon scan)`)
  process.stdout.write(
    words['json'] === true
      ? `${jsonOf({ kind: 'habits', looks, learned: learned.size, suspicious: [...suspicious].sort() })}\n`
      : `${text}\n`,
  )
  return 0
}
