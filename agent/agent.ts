import { setTimeout as sleep } from 'node:timers/promises'
import { storageFault } from './baseline/fault.ts'
import { CapturedNames } from './dns/capture.ts'
import { Feed, type LiveOptions, type News, type Senses, Session } from './session.ts'
import { RelaySocket } from './tail/relay.ts'
import { sourceOf } from './tail/source.ts'
import { readStdin } from './tail/stdin.ts'
import { KernelWatch } from './watch/kernel-watch.ts'

/** Between two tries to open a baseline that could not be written. */
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000

/**
 * Follows the live log: trains if there is no trained baseline yet, then reports what was never seen.
 *
 * All that it knows is in the baseline. When that cannot be written it waits, and begins again from what is there, as it
 * would after a crash.
 *
 * @param signal ends it; with the reason RELOAD it only makes way for another one, and says nothing
 * @throws UsageError when it cannot begin
 */
export async function runLive(options: LiveOptions, signal: AbortSignal): Promise<void> {
  const watched = await KernelWatch.over(options.auditd)
  if (!watched.ok) options.onPhase({ name: 'unwatched', reason: watched.error })
  const kernel = watched.ok ? watched.value : undefined
  const over = new AbortController()
  const { auditd, dnsInterface } = options
  const source = sourceOf(auditd)
  const stdin =
    source.kind === 'stdin' ? new Feed(readStdin(AbortSignal.any([signal, over.signal]))) : undefined
  const relay = source.kind === 'relay' ? await RelaySocket.open(source.socket) : undefined
  const names = dnsInterface === undefined ? undefined : new CapturedNames(dnsInterface)
  try {
    await names?.start()
    await inSessions(options, { kernel, names, stdin, relay }, signal)
  } finally {
    over.abort()
    await names?.close()
    await relay?.close()
  }
}

async function inSessions(options: LiveOptions, senses: Senses, signal: AbortSignal): Promise<void> {
  let waiting: readonly News[] = []
  let faultyMs: number | undefined
  let retryMs = FIRST_RETRY_MS
  let isFirst = true
  while (isFirst || !signal.aborted) {
    const session = new Session(options, senses, { isAgain: !isFirst, faultyMs, waiting }, signal)
    try {
      session.open()
      isFirst = false
      await session.run(signal)
      return
    } catch (error) {
      const fault = storageFault(error)
      if (fault === undefined || isFirst) throw error
      waiting = session.unsaved
      if (session.isSound) {
        faultyMs = undefined
        retryMs = FIRST_RETRY_MS
      }
      faultyMs ??= sayFault(options, fault)
    } finally {
      await session.close()
    }
    await sleep(retryMs, undefined, { signal }).catch(() => undefined)
    retryMs = Math.min(2 * retryMs, LAST_RETRY_MS)
  }
}

/** Not through the baseline, which cannot take it. */
function sayFault({ emit, onPhase }: LiveOptions, fault: string): number {
  const nowMs = Date.now()
  onPhase({ name: 'faulty', fault })
  const detail = `the baseline cannot be written: ${fault}; the log waits`
  emit({
    kind: 'blind-spot',
    reason: 'baseline-unwritable',
    fromMs: nowMs,
    toMs: nowMs,
    count: 0,
    detail,
    isOngoing: true,
  })
  return nowMs
}
