import { expect, test } from 'vitest'
import { Turns } from '../../agent/http/turns.ts'

const always = (): boolean => true

/** Time that passes when it is told to. */
function clock() {
  let nowMs = 0
  const pauses: number[] = []
  return {
    pauses,
    /** Work of that length. */
    spend: (ms: number): number => (nowMs += ms),
    nowMs: () => nowMs,
    pause: (ms: number) => {
      pauses.push(ms)
      nowMs += ms
      return Promise.resolve()
    },
  }
}

test('who asks all the time gets a tenth of the time', async () => {
  const time = clock()
  const turns = new Turns(time)
  await Promise.all([3, 7, 0, 5].map((ms) => turns.take(() => time.spend(ms), always)))
  expect(time.pauses).toEqual([27, 63])
  time.spend(20)
  await turns.take(() => time.spend(1), always)
  expect(time.pauses).toEqual([27, 63, 25])
})

test('an error is its own, and the next one has its turn', async () => {
  const turns = new Turns()
  const wrong = turns.take(() => {
    throw new Error('wrong')
  }, always)
  const right = turns.take(() => 'right', always)
  await expect(wrong).rejects.toThrow('wrong')
  expect(await right).toBe('right')
})

test('what nobody wants any more is not done', async () => {
  const turns = new Turns()
  const done: string[] = []
  let isWanted = true
  const first = turns.take(() => done.push('first'), always)
  const second = turns.take(
    () => done.push('second'),
    () => isWanted,
  )
  isWanted = false
  expect(await first).toBe(1)
  expect(await second).toBeUndefined()
  expect(done).toEqual(['first'])
})

test('at the end nobody waits', async () => {
  const waits = { nowMs: () => nowMs, pause: (_: number, signal: AbortSignal) => ended(signal) }
  let nowMs = 0
  const turns = new Turns(waits)
  await turns.take(() => (nowMs += 300), always)
  const waiting = turns.take(() => 'never', always)
  turns.end()
  expect(await waiting).toBeUndefined()
})

const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve())
  })
