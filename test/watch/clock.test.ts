import { expect, test } from 'vitest'
import { type Clocks, ClockWatch } from '../../agent/watch/clock.ts'

const NOON_MS = Date.parse('2026-11-20T12:00:00Z')

interface Host {
  readonly clocks: Clocks
  readonly pass: (ms: number) => void
  readonly set: (ms: number) => void
}

/** It has been up for an hour. */
function host(): Host {
  let wallMs = NOON_MS
  let bootMs = 3_600_000
  return {
    clocks: { wallMs: () => wallMs, bootMs: () => bootMs },
    pass: (ms) => {
      wallMs += ms
      bootMs += ms
    },
    set: (ms) => void (wallMs = ms),
  }
}

test('time that passes is no jump, however long', () => {
  const { clocks, pass } = host()
  const watch = new ClockWatch(clocks)
  for (const ms of [0, 250, 2000, 86_400_000]) {
    pass(ms)
    expect(watch.jump()).toBeUndefined()
  }
})

test.each([
  [
    'back',
    NOON_MS - 86_400_000,
    'set back by 86400 s, from 2026-11-20T12:00:00.000Z to 2026-11-19T12:00:00.000Z',
  ],
  [
    'forward',
    NOON_MS + 11_000,
    'set forward by 11 s, from 2026-11-20T12:00:00.000Z to 2026-11-20T12:00:11.000Z',
  ],
])('a clock that is set %s is told once', (_, toMs, words) => {
  const { clocks, set, pass } = host()
  const watch = new ClockWatch(clocks)
  set(toMs)
  expect(watch.jump()).toEqual({
    kind: 'tamper',
    reason: 'clock-jump',
    timeMs: toMs,
    process: '',
    chain: [],
    detail: `the clock of the host was ${words}`,
  })
  pass(1000)
  expect(watch.jump()).toBeUndefined()
})

test('a clock that is corrected by a little is no news', () => {
  const { clocks, set } = host()
  const watch = new ClockWatch(clocks)
  set(NOON_MS - 10_000)
  expect(watch.jump()).toBeUndefined()
})

test('a clock that is set in small steps is told when they are a big one', () => {
  const { clocks, set, pass } = host()
  const watch = new ClockWatch(clocks)
  set(NOON_MS - 9000)
  expect(watch.jump()).toBeUndefined()
  pass(2000)
  set(NOON_MS - 16_000)
  expect(watch.jump()?.detail).toContain('set back by 18 s')
})

test('the clocks of this host agree from one look to the next', () => {
  const watch = new ClockWatch()
  expect(watch.jump()).toBeUndefined()
})
