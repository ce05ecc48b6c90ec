import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Lasting } from '../../agent/tail/lasting.ts'

const looks = (lasting: Lasting, count: number) =>
  Array.from({ length: count }, () => lasting.look('it is gone')).filter((spot) => spot !== undefined)

test('told when it was so at ten looks in a row, once, and once more when it is over', () => {
  const lasting = new Lasting('log-missing', 0)
  expect(looks(lasting, 9)).toEqual([])
  expect(lasting.look(undefined)).toBeUndefined()
  expect(looks(lasting, 9)).toEqual([])
  const told = looks(lasting, 5)
  expect(told).toMatchObject([{ reason: 'log-missing', isOngoing: true, count: 0, detail: 'it is gone' }])
  const end = lasting.look(undefined)
  expect(end).toMatchObject({
    reason: 'log-missing',
    fromMs: told[0]?.fromMs,
    detail: 'it is gone: until now',
  })
  expect(end).not.toHaveProperty('isOngoing')
  expect(lasting.look(undefined)).toBeUndefined()
})

test('not told before its time, however often it is looked at', () => {
  expect(looks(new Lasting('log-missing', 3_600_000), 1000)).toEqual([])
})

test('it began after the last look at which all was well', async () => {
  const lasting = new Lasting('log-unreadable', 0)
  await sleep(20)
  const wellMs = Date.now()
  lasting.look(undefined)
  const [told] = looks(lasting, 10)
  expect(told?.fromMs).toBeGreaterThanOrEqual(wellMs)
  expect(told?.toMs).toBeGreaterThanOrEqual(told?.fromMs ?? Infinity)
})
