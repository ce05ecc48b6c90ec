import { expect, test } from 'vitest'
import { CRON, newBaseline, NOON_MS, paths, replay } from './support/engine.ts'
import { type Doer, LogBuilder } from './support/log-builder.ts'

const HOUR_MS = 3_600_000
const train = { plan: { kind: 'everything' } } as const
const monitor = { plan: { kind: 'none' } } as const

/** A job of one release writes down what it has done. */
function job(log: LogBuilder, pid: number, script: string, file = '/srv/shop/done.log'): LogBuilder {
  const shell: Doer = { pid, ppid: CRON.pid, exe: '/usr/bin/dash' }
  const python: Doer = { pid, ppid: CRON.pid, exe: '/usr/bin/python3.11' }
  return log
    .exec(shell, ['sh', '-c', script])
    .exec(python, ['python3', script])
    .create(python, file)
    .after(1000)
}

test('what the next release of a script does is what the script does', () => {
  const baseline = newBaseline()
  const before = new LogBuilder(NOON_MS)
  job(before, 901, '/srv/shop/releases/20261120101112-0ab3f4c/jobs.py')
  replay(before, train, baseline)
  const later = new LogBuilder(NOON_MS + HOUR_MS)
  job(later, 902, '/srv/shop/releases/20261121091011-d4e5f60/jobs.py')
  job(later, 903, '/srv/shop/releases/20261121091011-d4e5f60/jobs.py', '/srv/shop/other.log')
  job(later, 904, '/srv/shop/releases/20261121091011-d4e5f60/more.py')
  const found = paths(replay(later, monitor, baseline))
  expect(found.filter((path) => path.includes('done.log') && path.includes('jobs.py'))).toEqual([])
  expect(found.filter((path) => /jobs\.py->file:create:\/srv\/shop\/other\.log$/.test(path))).toHaveLength(1)
  expect(found.filter((path) => path.endsWith('/more.py'))).toHaveLength(1)
})
