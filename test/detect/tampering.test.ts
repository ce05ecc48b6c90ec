import { describe, expect, test } from 'vitest'
import { Tampering } from '../../agent/detect/tampering.ts'
import type { Tamper } from '../../agent/domain/report.ts'

const deed = (reason: Tamper['reason'], who: string, detail = 'x'): Tamper => ({
  ...{ kind: 'tamper', reason, timeMs: 1, process: who, chain: [who], detail },
})

describe('in a window', () => {
  test('the first deed of its kind by somebody is reported at once, others together at its end', () => {
    const tampering = new Tampering()
    expect(tampering.isFirst(deed('rules-changed', 'a', 'one'))).toBe(true)
    expect(tampering.isFirst(deed('rules-changed', 'a', 'two'))).toBe(false)
    expect(tampering.isFirst(deed('rules-changed', 'a', 'three'))).toBe(false)
    expect(tampering.isFirst(deed('rules-changed', 'b'))).toBe(true)
    expect(tampering.isFirst(deed('own-files', 'a'))).toBe(true)
    expect(tampering.end(9)).toEqual([
      {
        ...{ kind: 'tamper', reason: 'rules-changed', timeMs: 9, process: 'a', chain: ['a'] },
        detail: '2 more in this window; the last: three',
      },
    ])
    expect(tampering.isFirst(deed('rules-changed', 'a', 'one'))).toBe(true)
  })

  test('the same again is nothing to add', () => {
    const tampering = new Tampering()
    tampering.isFirst(deed('forged-lines', 'a'))
    tampering.isFirst(deed('forged-lines', 'a'))
    expect(tampering.end(9)).toEqual([])
  })

  test('one kind that comes from everywhere hides no other, and is counted', () => {
    const tampering = new Tampering()
    const first = Array.from({ length: 200 }, (_, number) =>
      tampering.isFirst(deed('forged-lines', `p${number}`)),
    )
    const reported = first.filter(Boolean).length
    expect(reported).toBeLessThan(100)
    expect(tampering.isFirst(deed('audit-disabled', 'root'))).toBe(true)
    expect(tampering.end(9)).toMatchObject([
      { reason: 'forged-lines', detail: `${200 - reported} more in this window; the last: x` },
    ])
  })

  test('a restart changes nothing', () => {
    const before = new Tampering()
    before.isFirst(deed('own-files', 'a', 'one'))
    before.isFirst(deed('own-files', 'a', 'two'))
    const after = new Tampering()
    after.resume(JSON.parse(JSON.stringify(before.memory)) as typeof before.memory)
    expect(after.isAsBefore(deed('own-files', 'a', 'two'))).toBe(true)
    expect(after.isFirst(deed('own-files', 'a', 'three'))).toBe(false)
    expect(after.end(9)).toMatchObject([{ detail: '2 more in this window; the last: three' }])
  })
})
