import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fail, ok } from '../../agent/domain/result.ts'
import { parseRules } from '../../agent/watch/audit-rules.ts'
import type { AuditStatus } from '../../agent/watch/audit-status.ts'
import { KernelJudge, type KernelLook, type KernelNews } from '../../agent/watch/kernel-judge.ts'

const RULES = `
-a never,exit -F arch=b64 -S read,write
-a always,exit -F arch=b64 -S execve,execveat -F success=1 -F key=exec
-a always,exit -F arch=b64 -S connect -F saddr_fam=2 -F key=connect
-a always,exit -F arch=b64 -S unlinkat -F success=1 -F key=name
`
const LINES = RULES.trim().split('\n')
const SECOND = 1000
const HEALTHY: AuditStatus = { enabled: 1, pid: 600, lost: 0, backlog: 0, backlogLimit: 1000 }

interface Seen {
  readonly status?: Partial<AuditStatus>
  readonly rules?: readonly string[]
  readonly bootId?: string
  readonly diverted?: string
  readonly silence?: KernelLook['silence']
  readonly error?: string
}

/** A host whose judge looks every second; a restart goes through JSON. */
class Host {
  timeMs = 0
  judge: KernelJudge
  private readonly rules: string

  constructor(rules = RULES) {
    this.rules = rules
    this.judge = new KernelJudge(parseRules(rules), 'rules 1')
  }

  look({ status, rules = LINES, bootId = 'a', diverted, silence = 'none', error }: Seen = {}): string[] {
    this.timeMs += SECOND
    return this.judge
      .judge({
        timeMs: this.timeMs,
        bootId,
        status: error === undefined ? ok({ ...HEALTHY, ...status }) : fail(error),
        loaded: error === undefined ? ok(parseRules(rules.join('\n'))) : fail(error),
        diverted,
        silence,
      })
      .map(told)
  }

  restart(rulesId = 'rules 1'): void {
    const memory = JSON.stringify(this.judge.memory)
    this.judge = new KernelJudge(parseRules(this.rules), rulesId)
    this.judge.restore(JSON.parse(memory))
  }
}

/** `began rules-missing 1000-2000 (1)`, with `standing` where it is. */
const told = ({ report, isStanding }: KernelNews): string => {
  const { reason, fromMs, toMs, count, isOngoing } = report
  const verb = isOngoing === true ? 'goes on' : 'over'
  return `${verb}: ${reason} ${fromMs}-${toMs} (${count})${isStanding ? ' standing' : ''}`
}

const without = (...indices: readonly number[]): string[] =>
  LINES.filter((_, index) => !indices.includes(index))

test('a host where nothing is wrong makes no news', () => {
  const host = new Host()
  expect([...host.look(), ...host.look(), ...host.look()]).toEqual([])
  expect(host.judge.isRecording).toBe(true)
})

describe('what lasts', () => {
  test.each<readonly [string, Seen, number]>([
    ['audit-disabled', { status: { enabled: 0 } }, 0],
    ['auditd-stopped', { status: { pid: 0 } }, 0],
    ['auditd-replaced', { diverted: 'pid 7 (/tmp/x) receives the records instead of auditd' }, 0],
    ['never-task', { rules: ['-a never,task', ...LINES] }, 1],
    ['kernel-backlog', { status: { backlog: 750 } }, 750],
    ['rules-missing', { rules: without(1) }, 1],
    ['kernel-unknown', { error: 'perl is not installed' }, 0],
  ])('%s is told when it begins and when it ends, with its interval', (reason, seen, count) => {
    const host = new Host()
    host.look()
    expect(host.look(seen)).toEqual([`goes on: ${reason} 1000-2000 (${count})`])
    expect(host.look(seen)).toEqual([])
    expect(host.look()).toEqual([`over: ${reason} 1000-4000 (${count})`])
    expect(host.look()).toEqual([])
  })

  test('is told when it is so at the first look, from then on', () => {
    expect(new Host().look({ status: { enabled: 0 } })).toEqual(['goes on: audit-disabled 1000-1000 (0)'])
  })

  test('is told anew after a restart, from its beginning, and ends with the whole interval', () => {
    const host = new Host()
    host.look()
    host.look({ status: { pid: 0 } })
    host.restart()
    expect(host.look({ status: { pid: 0 } })).toEqual(['goes on: auditd-stopped 1000-3000 (0)'])
    expect(host.look({ status: { pid: 0 } })).toEqual([])
    host.restart()
    expect(host.look()).toEqual(['over: auditd-stopped 1000-5000 (0)'])
  })

  test('stays as it was while the kernel cannot be asked', () => {
    const host = new Host()
    host.look()
    host.look({ status: { enabled: 0 } })
    expect(host.look({ error: 'x' })).toEqual(['goes on: kernel-unknown 2000-3000 (0)'])
    expect(host.look({ status: { enabled: 0 } })).toEqual(['over: kernel-unknown 2000-4000 (0)'])
  })

  test('keeps records from being expected, but for a backlog', () => {
    const isRecording = (seen: Seen): boolean => {
      const host = new Host()
      host.look()
      host.look(seen)
      return host.judge.isRecording
    }
    expect(isRecording({ status: { enabled: 0 } })).toBe(false)
    expect(isRecording({ rules: without(2) })).toBe(false)
    expect(isRecording({ status: { backlog: 900 } })).toBe(true)
  })

  test('without a limit no backlog is near it', () => {
    expect(new Host().look({ status: { backlog: 5000, backlogLimit: 0 } })).toEqual([])
  })
})

describe('an optional rule', () => {
  const END = '-a always,exit -F arch=b64 -S exit_group -F a0!=0 -F key=end'
  const withEnd = `${RULES}\n# Optional.\n${END}\n`

  test('that was never loaded is missed by nobody, after a restart neither', () => {
    const host = new Host(withEnd)
    expect([host.look(), host.look()]).toEqual([[], []])
    host.restart()
    expect(host.look()).toEqual([])
    expect(host.judge.isRecording).toBe(true)
  })

  test('is not counted among those that are missing', () => {
    expect(new Host(withEnd).look({ rules: without(1) })).toEqual([
      'goes on: rules-missing 1000-1000 (1) standing',
    ])
  })

  test('that was loaded and is gone is missed', () => {
    const host = new Host(withEnd)
    expect(host.look({ rules: [...LINES, END] })).toEqual([])
    expect(host.look()).toEqual(['goes on: rules-missing 1000-2000 (1)'])
    expect(host.look({ rules: [...LINES, END] })).toEqual(['over: rules-missing 1000-3000 (1)'])
  })
})

describe('records that the kernel lost', () => {
  test('are counted from one look to the next', () => {
    const host = new Host()
    expect(host.look({ status: { lost: 100 } })).toEqual([])
    expect(host.look({ status: { lost: 107 } })).toEqual(['over: kernel-lost 1000-2000 (7)'])
    expect(host.look({ status: { lost: 107 } })).toEqual([])
  })

  test('while the agent was away are told at its next start', () => {
    const host = new Host()
    host.look({ status: { lost: 3 } })
    host.restart()
    expect(host.look({ status: { lost: 5 } })).toEqual(['over: kernel-lost 1000-2000 (2)'])
  })

  test('are counted over the wrap', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.integer({ min: 1, max: 2 ** 31 - 1 }), (before, grown) => {
        const host = new Host()
        host.look({ status: { lost: before } })
        const lost = (before + grown) % 2 ** 32
        expect(host.look({ status: { lost } })).toEqual([`over: kernel-lost 1000-2000 (${grown})`])
      }),
    )
  })

  test('since a reset or a boot are all that is known then', () => {
    const host = new Host()
    host.look({ status: { lost: 100 } })
    expect(host.look({ status: { lost: 0 } })).toEqual([])
    expect(host.look({ status: { lost: 4 } })).toEqual(['over: kernel-lost 2000-3000 (4)'])
    expect(host.look({ status: { lost: 6 }, bootId: 'b' })).toEqual(['over: kernel-lost 3000-4000 (6)'])
  })
})

describe('rules', () => {
  test('that were missing at the first look are a standing condition', () => {
    const host = new Host()
    expect(host.look({ rules: without(1) })).toEqual(['goes on: rules-missing 1000-1000 (1) standing'])
    expect(host.look({ rules: without(1) })).toEqual([])
    host.restart()
    expect(host.look({ rules: without(1) })).toEqual(['goes on: rules-missing 1000-3000 (1) standing'])
    expect(host.judge.isRecording).toBe(true)
    expect(host.look()).toEqual(['over: rules-missing 1000-4000 (1) standing'])
  })

  test('that go later do not stand, and what stood stands again when they are back', () => {
    const host = new Host()
    host.look({ rules: without(1) })
    expect(host.look({ rules: without(1, 2) })).toEqual([
      'over: rules-missing 1000-2000 (1) standing',
      'goes on: rules-missing 1000-2000 (2)',
    ])
    expect(host.look({ rules: without(1) })).toEqual([
      'over: rules-missing 1000-3000 (2)',
      'goes on: rules-missing 2000-3000 (1) standing',
    ])
  })

  test('that were missing, came and went are missed', () => {
    const host = new Host()
    host.look({ rules: without(1) })
    host.look()
    expect(host.look({ rules: without(1) })).toEqual(['goes on: rules-missing 2000-3000 (1)'])
  })

  test('that are lost one after the other are told each time, from the first on', () => {
    const host = new Host()
    host.look()
    host.look({ rules: without(1) })
    expect(host.look({ rules: without(1, 2) })).toEqual(['goes on: rules-missing 1000-3000 (2)'])
  })

  test('that only hide are not missed', () => {
    expect(new Host().look({ rules: without(0) })).toEqual([])
  })

  const narrowed = LINES.map((rule) => `${rule} -F auid=4242`)

  test('that an administrator had made narrower count as loaded', () => {
    const host = new Host()
    expect(host.look({ rules: narrowed })).toEqual([])
    host.restart()
    expect(host.look({ rules: narrowed })).toEqual([])
  })

  test('that somebody makes narrower later do not', () => {
    const host = new Host()
    host.look()
    expect(host.look({ rules: narrowed })).toEqual(['goes on: rules-missing 1000-2000 (4)'])
  })

  test('of others that hide are taken at the first look, and told when they come later', () => {
    const hiding = ['-a never,exit -F arch=b64 -S execve -F exe=/tmp/x', ...LINES]
    const host = new Host()
    expect(host.look({ rules: hiding })).toEqual([])
    const later = ['-a always,exclude -F msgtype=EXECVE', ...hiding]
    expect(host.look({ rules: later })).toEqual(['goes on: rules-missing 1000-2000 (1)'])
  })

  test('of another version are another matter', () => {
    const host = new Host()
    host.look()
    host.restart('rules 2')
    expect(host.look({ rules: without(3) })).toEqual(['goes on: rules-missing 1000-2000 (1) standing'])
  })
})

describe('silence', () => {
  const silence = { sinceMs: 500, detail: 'the kernel was asked by pid 7' }

  test('lasts from the first record that did not come until it is known to be over', () => {
    const host = new Host()
    host.look()
    expect(host.look({ silence })).toEqual(['goes on: nothing-arrives 500-2000 (0)'])
    expect(host.look({ silence: 'unknown' })).toEqual([])
    expect(host.look()).toEqual(['over: nothing-arrives 500-4000 (0)'])
  })
})

test('what is no memory is none', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const host = new Host()
      host.judge.restore(value)
      expect(host.look({ status: { lost: 100 } })).toEqual([])
    }),
  )
})
