import { describe, expect, test } from 'vitest'
import { PidClock } from '../../agent/interpret/pid-clock.ts'

const PID_MAX = 32_768
/** <linux/pid.h>: where the kernel begins again. */
const RESERVED = 300

/** The pids that the kernel hands out one after the other, with those taken left out. */
function* handedOut(first: number, count: number): Iterable<number> {
  let pid = first
  for (let given = 0; given < count; given++) {
    yield pid
    pid = pid + 1 === PID_MAX ? RESERVED : pid + 1
  }
}

function clockAfter(...pids: Iterable<number>[]): PidClock {
  const clock = new PidClock()
  for (const some of pids) for (const pid of some) clock.tick(pid)
  return clock
}

describe('the order of pids', () => {
  test('passes a pid when it comes there again, and not before', () => {
    const clock = clockAfter(handedOut(5000, 10))
    const born = clock.now
    for (const pid of handedOut(5010, PID_MAX - 5010)) clock.tick(pid)
    expect(clock.hasPassed(5000, born)).toBe(false)
    for (const pid of handedOut(RESERVED, 500)) clock.tick(pid)
    expect(clock.hasPassed(5000, born)).toBe(false)
    for (const pid of handedOut(RESERVED + 500, 5000)) clock.tick(pid)
    expect(clock.hasPassed(5000, born)).toBe(true)
    expect(clock.hasPassed(20_000, born)).toBe(false)
  })

  test('passes every pid in two rounds', () => {
    const clock = clockAfter(handedOut(5000, 10))
    const born = clock.now
    for (const pid of handedOut(5010, 2 * PID_MAX)) clock.tick(pid)
    for (const pid of [300, 5000, 32_000]) expect(clock.hasPassed(pid, born)).toBe(true)
  })

  // Daemons keep the pid of the boot, shells that of the login: when they exec, the order has not begun again.
  test.each([
    ['an old process', [700]],
    ['the same old process again and again', [700, 700, 700]],
    ['an old process with a large pid', [31_000]],
    ['old processes, one of these days and one of those', [700, 9101, 710, 9102, 720, 9103]],
  ])('is not moved by %s that runs another program', (_, pids) => {
    const clock = clockAfter(handedOut(5000, 4100))
    const born = clock.now
    for (const pid of [...pids, 9104, 9105, 9106]) clock.tick(pid)
    expect(clock.hasPassed(5000, born)).toBe(false)
  })

  test('is found again although the two ends of it mix where it begins again', () => {
    const clock = clockAfter(handedOut(30_000, 2700))
    const born = clock.now
    for (const pid of [32_765, 300, 32_766, 301, 32_767, 302, 303, 304]) clock.tick(pid)
    for (const pid of handedOut(305, 4700)) clock.tick(pid)
    expect(clock.hasPassed(5000, born)).toBe(true)
    expect(clock.hasPassed(30_000, born)).toBe(false)
  })

  test('may jump ahead: forks that exec nothing are not in the log', () => {
    const clock = clockAfter(handedOut(1000, 10))
    const born = clock.now
    for (const pid of [12_000, 12_010, 25_000, 25_020]) clock.tick(pid)
    expect(clock.hasPassed(1005, born)).toBe(false)
  })
})
