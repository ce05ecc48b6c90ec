import { describe, expect, test } from 'vitest'
import { adviceOf } from '../../agent/detect/advice.ts'
import { dangersOf } from '../../agent/detect/dangers.ts'
import { type Habits, reasonsOf } from '../../agent/detect/reasons.ts'
import type { Finding } from '../../agent/domain/report.ts'
import { APP, file, finding, program, SHELL } from '../support/findings.ts'
import { NOTHING_NORMAL } from '../support/incidents.ts'

const CURL = program('/usr/bin/curl')
const HABITS: Habits = {
  habitOf: (process, kind) =>
    process === SHELL && kind === 'exec' ? { targets: 2, sightings: 926 } : { targets: 0, sightings: 0 },
  isKnown: (process) => process === SHELL || process === APP,
  isReached: (target) => target === program('/usr/bin/id'),
}
const reasons = (...findings: Finding[]): readonly string[] =>
  reasonsOf(findings, dangersOf(findings, { ...NOTHING_NORMAL, isService: (name) => name === APP }), HABITS)

describe('reasons', () => {
  test('say what the source did instead, and how often', () => {
    expect(
      reasons(finding('exec', [SHELL], CURL), finding('exec', [SHELL], program('/usr/bin/tar'))),
    ).toEqual([
      'a shell (app) ran 2 programs 926 times, but never curl or tar; nothing else on this host did so either',
    ])
    expect(reasons(finding('exec', [SHELL], program('/usr/bin/id')))).toEqual([
      'a shell (app) ran 2 programs 926 times, but never id',
    ])
  })

  test('say of whom that is not known', () => {
    expect(reasons(finding('write', [APP], file('write', '/x')))).toEqual([
      'app.py (app) was seen before, but never wrote anything',
    ])
    expect(reasons(finding('write', [CURL], file('write', '/x')))).toEqual([
      'curl was never seen as app before',
    ])
  })

  test('begin with what weighs most', () => {
    const found = reasons(
      finding('exec', [APP, SHELL], CURL, { bits: 9 }),
      finding('connect', [APP, SHELL, CURL], 'host:203.0.113.66:8080', { bits: 1 }),
    )
    expect(found).toEqual([
      'a shell (app) ran 2 programs 926 times, but never curl; nothing else on this host did so either',
      'a shell below app.py, which takes connections, ran curl',
      'curl connected to 203.0.113.66:8080, to which no name was seen to resolve',
      'curl was never seen as app before',
    ])
  })
})

describe('advice', () => {
  const advice = (one: Finding): readonly string[] => adviceOf(12, one, dangersOf([one], NOTHING_NORMAL))

  test('is to look at the log, then at what is there, then to decide', () => {
    expect(advice(finding('connect', [SHELL], 'host:203.0.113.66:4444', { pid: 77 }))).toEqual([
      'ausearch --event 4711',
      'ls -l /proc/77/exe /proc/77/fd',
      'ss -tunap | grep -F :4444',
      'fullmon explain 12',
      'fullmon accept 12 (when it was meant to be)',
    ])
    expect(advice(finding('create', [APP], file('create', '/srv/x'), { node: 'web-1' }))).toEqual([
      'ausearch --event 4711 --node web-1',
      'ls -l /srv/x',
      'fullmon explain 12',
      'fullmon accept 12 (when it was meant to be)',
    ])
  })

  test.each([
    '/tmp/$(reboot)',
    '/tmp/a;b',
    '/tmp/a b',
    "/tmp/'",
    '/tmp/\\x0a',
    '/tmp/`x`',
    '/tmp/|x',
    '/tmp/é',
  ])('never holds a name that a shell would not take as it is: %s', (path) => {
    for (const one of [
      finding('exec', [SHELL], program(path)),
      finding('write', [SHELL], file('write', path)),
      finding('connect', [SHELL], `host:${path}:80`, { node: path }),
    ])
      expect(advice(one).join('\n')).not.toContain(path)
  })
})
