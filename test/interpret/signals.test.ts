import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { attackOn } from '../../agent/interpret/signals.ts'
import { runCore } from '../support/edges.ts'
import { event, syscall } from '../support/log.ts'

const LOG = readFileSync(join(import.meta.dirname, '../fixtures/tamper/kernel.log'))
const recorded = runCore(LOG).events

const attacksOn = (...pids: readonly number[]): string[] =>
  recorded.flatMap((each) => attackOn(each, new Set(pids)) ?? [])

test('signals to a process are seen, as kernel 6.18 recorded them', () => {
  expect(attacksOn(17199)).toEqual([
    'kill sent SIGHUP to pid 17199',
    'kill sent SIGSTOP to pid 17199',
    'kill sent SIGKILL to pid 17199',
  ])
})

test('by a descriptor, with a value, or to a thread', () => {
  expect(attacksOn(17235)).toEqual([
    'pidfd_send_signal sent SIGUSR1 to pid 17235',
    'pidfd_send_signal sent SIGKILL to pid 17235',
  ])
  expect(attacksOn(17236)).toEqual(['rt_sigqueueinfo sent SIGTERM to pid 17236'])
  expect(attacksOn(17237)).toEqual(['tgkill sent SIGQUIT to pid 17237'])
})

test('to a group, whose number is no pid of the target', () => {
  expect(attacksOn(17241)).toEqual(['kill sent SIGTERM to pid 17241'])
})

test('a question whether it is there, and what it does to itself, are none', () => {
  expect(attacksOn(1)).toEqual([])
  // 17239 sent the signal to its own group.
  expect(attacksOn(17239)).toEqual([])
  expect(attacksOn(4)).toEqual([])
})

test('taking hold of a process is one, a failed try is none', () => {
  const trace = (success: string): string =>
    event(1, [
      ['SYSCALL', syscall('ptrace', { a0: '10', a1: '1092', success })],
      ['OBJ_PID', 'opid=4242 oauid=0 ouid=0 oses=1 ocomm="node"'],
    ])
  const seen = (log: string): (string | undefined)[] =>
    runCore(log).events.map((each) => attackOn(each, new Set([4242])))
  expect(seen(trace('yes'))).toEqual(['ptrace took hold of pid 4242'])
  expect(seen(trace('no'))).toEqual([undefined])
})

test('what init sends to stop or reload a service is none, what it sends for nobody is', () => {
  const sent = (
    signal: string,
    pid: number,
    of: Readonly<Record<string, number>> = {},
  ): string | undefined => {
    const log = event(1, [
      ['SYSCALL', syscall('kill', { a0: '1092', a1: signal, pid, ...of })],
      ['OBJ_PID', 'opid=4242 oauid=-1 ouid=0 oses=-1 ocomm="node"'],
    ])
    return runCore(log)
      .events.flatMap((each) => attackOn(each, new Set([4242])) ?? [])
      .at(0)
  }
  expect([sent('f', 1), sent('1', 1)]).toEqual([undefined, undefined])
  expect(sent('13', 1)).toBe('kill sent SIGSTOP to pid 4242')
  expect([sent('f', 2), sent('1', 2)]).toEqual([
    'kill sent SIGTERM to pid 4242',
    'kill sent SIGHUP to pid 4242',
  ])
  const byInit = { ppid: 1, auid: 0xffffffff }
  expect(sent('1', 2, byInit)).toBeUndefined()
  expect(sent('f', 2, byInit)).toBe('kill sent SIGTERM to pid 4242')
  expect(sent('1', 2, { ...byInit, ppid: 3 })).toBe('kill sent SIGHUP to pid 4242')
})
