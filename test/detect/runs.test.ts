import { expect, test } from 'vitest'
import { AgentRuns } from '../../agent/detect/runs.ts'

test('a run that ended in order is no news, one that was killed or had no time at a shutdown is', () => {
  const first = new AgentRuns(10, 'one')
  expect(first.begin([], 1000)).toBeUndefined()
  expect(new AgentRuns(11, 'one').begin(first.endedAt(5000), 6000)).toBeUndefined()
  expect(new AgentRuns(11, 'one').begin(first.memory, 6000)).toContain('(pid 10) was killed')
  expect(new AgentRuns(10, 'two').begin(first.memory, 6000)).toContain('before the host was booted')
  // A session that follows another one in the same process.
  expect(new AgentRuns(10, 'one').begin(first.memory, 6000)).toBeUndefined()
})

test('a pid was the agent while it ran, and one that was killed until the next one began', () => {
  const first = new AgentRuns(10, 'one')
  first.begin([], 10_000)
  const second = new AgentRuns(20, 'one')
  second.begin(first.memory, 50_000)
  expect([...second.pidsAt(5000)]).toEqual([])
  expect([...second.pidsAt(30_000)]).toEqual([10])
  expect([...second.pidsAt(60_000)]).toEqual([20])
  const third = new AgentRuns(30, 'one')
  third.begin(second.endedAt(70_000), 120_000)
  // It says that it ends, and removes files of its baseline after that.
  expect([...third.pidsAt(75_000)]).toEqual([20])
  expect([...third.pidsAt(105_000)]).toEqual([])
  expect(third.hasStoppedAt(72_000)).toBe(true)
  expect(third.hasStoppedAt(30_000)).toBe(false)
})

test('no more than the last few are remembered', () => {
  let memory = new AgentRuns(1, 'one').endedAt(1)
  for (let pid = 2; pid < 100; pid++) {
    const next = new AgentRuns(pid, 'one')
    next.begin(memory, pid)
    memory = next.endedAt(pid)
  }
  expect(memory.map(({ pid }) => pid)).toEqual([92, 93, 94, 95, 96, 97, 98, 99])
})
