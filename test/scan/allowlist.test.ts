import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AllowlistConfig } from '../../agent/config/scan.ts'
import type { ScanMark } from '../../agent/domain/scan.ts'
import { Allowlist } from '../../agent/scan/allowlist.ts'
import type { SeenProcess } from '../../agent/scan/processes.ts'
import { scoreOf } from '../../agent/scan/score.ts'

const DIGEST = 'ab'.repeat(32)
const PROCESS = {
  ...{
    comm: 'worker',
    exe: '/opt/app/bin/work (deleted)',
    script: '/srv/job.py',
    uid: 1005,
    user: 'builder',
  },
} as SeenProcess

const entry = (words: object, sha256?: string): string | undefined =>
  new Allowlist(AllowlistConfig.parse(words)).entryFor(PROCESS, sha256)

describe('an entry of the allowlist', () => {
  test.each([
    [{ names: ['worker'] }, 'names: worker'],
    [{ names: ['work'] }, 'names: work'],
    [{ names: ['job.py'] }, 'names: job.py'],
    [{ users: ['builder'] }, 'users: builder'],
    [{ users: [1005] }, 'users: 1005'],
    [{ users: ['1005'] }, 'users: 1005'],
    [{ paths: ['/opt/app/bin/work'] }, 'paths: /opt/app/bin/work'],
    [{ paths: ['/srv/job.py'] }, 'paths: /srv/job.py'],
    [{ patterns: ['/opt/*/bin/*'] }, 'patterns: /opt/*/bin/*'],
    [{ patterns: ['/srv/**'] }, 'patterns: /srv/**'],
    // Who knows more is told.
    [{ names: ['worker'], paths: ['/srv/job.py'] }, 'paths: /srv/job.py'],
  ])('%j is met as %s', (words, met) => {
    expect(entry(words)).toBe(met)
  })

  test.each([
    [{}],
    [{ names: ['Worker', 'work*', '/opt/app/bin/work'] }],
    [{ users: ['build', 100] }],
    [{ paths: ['/opt/app/bin'] }],
    [{ patterns: ['/opt/*'] }],
    [{ sha256: [DIGEST] }],
  ])('%j is not met', (words) => {
    expect(entry(words)).toBeUndefined()
  })

  test('is met by the digest of the program', () => {
    expect(entry({ sha256: [DIGEST.toUpperCase()] }, DIGEST)).toBe(`sha256: ${DIGEST}`)
    expect(entry({ sha256: [DIGEST] }, 'cd'.repeat(32))).toBeUndefined()
  })
})

describe('a score', () => {
  const SETTINGS = { min_score: 3, model_weight: 2, allowlist_bonus: 3 }
  const mark = (points: number): ScanMark => ({ heuristic: 'tmp_exe', points, reason: 'x' })

  test.each([
    [[], 0, false, 0, false],
    [[2], 0.5, false, 3, true],
    [[2], 0.4, false, 2.8, false],
    [[4], 0, true, 1, false],
    [[4], 0.5, true, 3, true],
    [[4, 4], 0, true, 5, true],
    [[1], 0, true, 0, false],
  ])('of %j with surprise %j, allowlisted: %j, is %j', (points, surprise, allowed, score, isSuspicious) => {
    expect(scoreOf(points.map(mark), surprise, allowed, SETTINGS)).toEqual({ score, isSuspicious })
  })

  test('is never made harmless when it is 5 or more, and never more by an allowlist', () => {
    const tenths = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 5 })
    fc.assert(
      fc.property(
        tenths,
        fc.integer({ min: 0, max: 10 }),
        fc.integer({ min: 0, max: 100 }),
        (each, part, bonus) => {
          const marks = each.map((points) => mark(points / 10))
          const settings = { ...SETTINGS, allowlist_bonus: bonus / 10 }
          const plain = scoreOf(marks, part / 10, false, settings)
          const allowed = scoreOf(marks, part / 10, true, settings)
          expect(allowed.score).toBeLessThanOrEqual(plain.score)
          if (plain.score >= 5) expect(allowed.isSuspicious).toBe(true)
        },
      ),
    )
  })
})
