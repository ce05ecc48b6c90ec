import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { statusOfBytes } from '../../agent/watch/audit-status.ts'
import { askKernel, ASKER_ARGV, readAnswers } from '../../agent/watch/kernel-answers.ts'
import { ruleOfBytes } from '../../agent/watch/rule-text.ts'
import { auditctl, auditdMissing, type Lab, rulesForLoginuid, startAuditd } from '../support/auditd.ts'

const RULES = readFileSync(join(import.meta.dirname, '../../audit.rules'), 'utf8')

/** What administrators may write, besides our own rules. All but those of `fstype` are about the lab's login uid. */
const ZOO = [
  '-a always,exit -F arch=b64 -S all',
  '-a always,exit -F arch=b32 -S all -F success=0',
  '-a always,exit -F arch=b64 -S 452,463,openat -F a0=16 -F a1!=1 -F a2&0x10 -F a3&=3',
  '-a always,exit -F arch=b64 -S open -F exit<-2 -F exit>=5 -F exit=-EPERM -F exit!=-4095 -F exit>-115',
  '-a always,exit -F arch=b64 -S open -F devmajor=8 -F devminor=1 -F inode=4000000000',
  '-a always,exit -F arch=b64 -S open -F path=/etc/passwd -F perm=rwxa -k a -k b',
  '-a always,exit -F dir=/etc -F perm=x',
  '-a always,exit -F arch=b64 -S pread,pwrite -C uid!=euid -C auid!=obj_uid -C sgid=fsgid',
  '-a always,exit -F arch=b64 -S open -F exe=/usr/bin/perl -F dir=/etc -F sessionid=-1 -F pers=4',
  '-a always,exit -F arch=b64 -S open -F ppid=4294967295 -F pid=1 -F uid<4 -F euid<=4 -F suid>4 -F fsuid>=7',
  '-a always,exit -F arch=b64 -S open -F filetype=dir -F success=0 -F obj_uid=1 -F obj_gid=3 -F gid=5 -F egid!=6',
  '-a always,exit -F arch=b64 -S open -F auid!=unset -F sgid=9 -F fsgid=3000000000',
  '-a always,exit -F arch=b64 -S open -F subj_user=foo -F obj_lev_low=x -F path=/etc/hosts -F key=k',
  '-a never,exit -F arch=b32 -S socketcall -F saddr_fam=2 -F a0=3',
  `-a always,exit -F arch=b64 -S openat ${Array.from({ length: 62 }, (_, index) => `-F pid!=${index + 5}`).join(' ')}`,
  `-a always,exit -F arch=b64 -S open -k ${'k'.repeat(200)} -k b`,
  '-a always,exclude -F msgtype>=1300 -F msgtype<=1310 -F pid=4000000',
  '-a always,exit -F arch=b64 -S kill -F a1=0xffffffff -F a0>=0x80000000',
  '-a never,user',
  '-a never,task',
  '-a always,exclude -F msgtype=BPRM_FCAPS',
  '-a always,exclude -F msgtype=4999',
  '-A never,filesystem -F fstype=debugfs',
  '-a never,filesystem -F fstype=12345',
]

/** Calls and records that this agent has names for and an older auditctl has not. */
const withNumbers = (rule: string): string =>
  rule.replace('fchmodat2', '452').replace('setxattrat', '463').replace('removexattrat', '466')

const rulesAsRead = async (): Promise<readonly string[]> => {
  const answers = await askKernel()
  if (!answers.ok) throw new Error(answers.error)
  return answers.value.rules.map((bytes) => withNumbers(ruleOfBytes(bytes) ?? 'no rule'))
}
const rulesAsListed = (): readonly string[] => auditctl('-l').trim().split('\n').map(withNumbers)

const unavailable = auditdMissing('kernel-answers.test.ts: left out')

describe.skipIf(unavailable !== undefined)('what the kernel answers', () => {
  let lab: Lab
  beforeAll(async () => {
    lab = await startAuditd({ logFormat: 'RAW', rules: [] })
  })
  afterAll(() => lab.stop())

  test('is what auditctl -s prints', async () => {
    auditctl('-b', '321')
    const listed = Object.fromEntries(
      auditctl('-s')
        .trim()
        .split('\n')
        .map((line) => line.split(' ') as [string, string]),
    )
    const answers = await askKernel()
    const status = answers.ok ? statusOfBytes(answers.value.status) : undefined
    expect(listed['backlog_limit']).toBe('321')
    expect(status).toEqual({
      enabled: Number(listed['enabled']),
      pid: Number(listed['pid']),
      lost: Number(listed['lost']),
      // Changes between the two; kernel-watch.test.ts lets it grow.
      backlog: expect.any(Number) as number,
      backlogLimit: 321,
    })
  })

  test('is no rule where there is none', async () => {
    expect(auditctl('-l').trim()).toBe('No rules')
    expect(await rulesAsRead()).toEqual([])
  })

  test('is of each of our rules, and of all kinds of others, what auditctl -l prints', async () => {
    const rules = rulesForLoginuid([RULES, ...ZOO].join('\n')).filter((rule) => !/^-[^aA]/.test(rule))
    try {
      for (const rule of rules) spawnSync('auditctl', rule.split(/\s+/))
      auditctl('-w', '/etc/fullmon-test-watched', '-p', 'wa', '-k', 'watched')
      auditctl('-w', import.meta.dirname, '-p', 'x', '-k', 'one', '-k', 'two')
      const listed = rulesAsListed()
      // What this kernel or this auditctl does not take is not listed.
      expect(listed.length).toBeGreaterThan(rules.length - 5)
      expect(await rulesAsRead()).toEqual(listed)
    } finally {
      auditctl('-D')
    }
  })

  test('cannot become another rule by what is in a name', async () => {
    const key = 'a b\n-a\talways,exit\\é'
    try {
      auditctl('-a', 'never,exit', '-F', 'arch=b64', '-S', 'open', '-F', 'auid=4242', '-F', `key=${key}`)
      expect(await rulesAsRead()).toEqual([
        '-a never,exit -F arch=b64 -S open -F auid=4242 -F key=a\\x20b\\x0a-a\\x09always,exit\\x5c\\xc3\\xa9',
      ])
    } finally {
      auditctl('-D')
    }
  })
})

const isRoot = process.getuid?.() === 0
const asked = (...wrapper: string[]): string => {
  const [program = '', ...words] = [...wrapper, ...ASKER_ARGV]
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' })
  return `${status} ${stderr}${stdout}`
}

describe.skipIf(!isRoot)('who may not ask', () => {
  const reason = (said: string): string => {
    expect(said.startsWith('0 ')).toBe(true)
    const answers = readAnswers(said.slice(2))
    return answers.ok ? 'answered' : answers.error
  }

  test('is told so in one sentence', () => {
    const caps = ['--inh-caps=-all', '--bounding-set=-all']
    expect(reason(asked('setpriv', '--reuid=65534', '--clear-groups', ...caps))).toMatch(/CAP_AUDIT_CONTROL/)
    expect(reason(asked('unshare', '--user', '--map-root-user'))).toMatch(/container/)
  })

  test('is nobody with CAP_AUDIT_CONTROL alone', () => {
    const cap = ['--inh-caps=-all,+audit_control', '--ambient-caps=+audit_control', '--no-new-privs']
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups', '--bounding-set=-all,+audit_control']
    expect(reason(asked('setpriv', ...user, ...cap))).toBe('answered')
  })
})

const header = (type: number, body = Buffer.alloc(0), length = 16 + body.length): string => {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE(length, 0)
  bytes.writeUInt16LE(type, 4)
  return `${Buffer.concat([bytes, body]).toString('hex')}\n`
}
const errorOf = (printed: string): string => {
  const answers = readAnswers(printed)
  return answers.ok ? 'ok' : answers.error
}

test.each([
  ['nothing', ''],
  ['no end', header(1000, Buffer.alloc(44))],
  ['no status', header(3)],
  ['a header that is cut', `${header(1000, Buffer.alloc(44))}10000000\n${header(3)}`],
  ['a length beyond the end', header(1000, Buffer.alloc(44), 4096) + header(3)],
  ['no hex', 'what is this\n'],
  ['a line that does not end', header(1000, Buffer.alloc(44)) + header(3).trim()],
])('an answer with %s is not whole', (_, printed) => {
  expect(errorOf(printed)).toBe('the answer of the kernel is not whole')
})

test('an error is told as it is', () => {
  expect(errorOf(header(2, Buffer.from([0xf5, 0xff, 0xff, 0xff])))).toBe(
    'the kernel does not tell its audit: EAGAIN',
  )
  expect(errorOf(header(2))).toBe('the kernel does not tell its audit: no reason')
  expect(errorOf('!Protocol not supported\n')).toBe('this kernel has no audit')
  expect(errorOf('!Address family not supported by protocol\n')).toMatch(/container.*AF_NETLINK/)
  expect(errorOf('!Out of memory\n')).toBe('the kernel does not tell its audit: Out of memory')
})

test('bytes of any kind and length are a rule on one line or none, and a status or none', () => {
  const words = fc.array(fc.oneof(fc.nat(8), fc.nat(255), fc.integer()), { maxLength: 300 })
  fc.assert(
    fc.property(words, fc.nat(3), (numbers, more) => {
      const bytes = Buffer.concat([Buffer.from(Int32Array.from(numbers).buffer), Buffer.alloc(more)])
      expect(ruleOfBytes(bytes) ?? '-').toMatch(/^-[^\n]*$/)
      expect(statusOfBytes(bytes) === undefined).toBe(bytes.length < 32)
    }),
    { numRuns: 2000 },
  )
})
