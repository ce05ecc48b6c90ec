import { once } from 'node:events'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import type { ShownEvent, ShownSummary } from '../show/event.ts'
import { EventReader } from '../show/reader.ts'
import { eventText, summaryText } from '../show/text.ts'
import { readSaved, sizeOf } from '../tail/saved.ts'
import { command, fileFromYargs, INTERRUPTED, JSON_OPTION, LOGS_POSITIONAL } from './command.ts'
import { Progress } from './progress.ts'

export const eventsCommand = command({
  lists: ['log'],
  options: (yargs) =>
    yargs
      .positional('log', LOGS_POSITIONAL)
      .options({ json: JSON_OPTION } as const)
      .example('$0 events audit.log.1 audit.log | less', 'what the log says, one event a line')
      .example('$0 events --json audit.log.gz | jq .exe', 'the same for programs'),
  run: (words, signal) => showEvents(words.log.map(fileFromYargs), words.json, signal),
})

/** Shows the events of saved logs in the order in which they were finished, and the summary last. */
async function showEvents(logs: readonly string[], json: boolean, signal: AbortSignal): Promise<number> {
  if (logs.length === 0) throw new UsageError('there is no log to read')
  let text = ''
  const show = (shown: ShownEvent | ShownSummary): void => {
    text += `${json ? jsonOf(shown) : shown.kind === 'event' ? eventText(shown) : summaryText(shown)}\n`
  }
  const progress = new Progress('reading', sizeOf(logs), process.stderr)
  const flush = async (): Promise<void> => {
    progress.clear()
    if (text !== '' && !process.stdout.write(text)) await drained(signal)
    text = ''
  }
  const reader = new EventReader(show)
  try {
    for await (const { bytes } of readSaved(logs, signal, (count) => progress.advance(count))) {
      reader.push(bytes)
      await flush()
    }
  } finally {
    progress.clear()
  }
  if (signal.aborted) return INTERRUPTED
  show(reader.end())
  await flush()
  return 0
}

/** Until whoever reads standard output has kept up, or until the signal. */
async function drained(signal: AbortSignal): Promise<void> {
  try {
    await once(process.stdout, 'drain', { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
