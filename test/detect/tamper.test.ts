import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { tamperOfFile, type TamperSign, TamperSigns } from '../../agent/detect/tamper.ts'
import type { FileAction } from '../../agent/domain/edge.ts'
import { runCore } from '../support/edges.ts'
import { event, line, syscall } from '../support/log.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/tamper')

/** Every sign in a log, in its order. */
function signsOf(log: Buffer | string): TamperSign[] {
  const signs = new TamperSigns()
  return runCore(log).events.flatMap((found) => signs.of(found))
}

const told = ({ reason, detail }: TamperSign): string => `${reason}: ${detail}`

describe('what was done with auditctl, as kernel 6.18 recorded it', () => {
  const signs = signsOf(readFileSync(join(FIXTURES, 'kernel.log')))

  test('is told in its order, and nothing else is', () => {
    // In the order of the commands that made the recording.
    expect(signs.map(told)).toEqual([
      'rules-changed: a rule with the key x was added',
      'rules-changed: a rule with the key x was removed',
      'rules-changed: a rule with the key y was added',
      'rules-changed: a rule with the key y was removed',
      'audit-changed: audit_backlog_limit was set from 16384 to 8000',
      'audit-changed: audit_failure was set from 1 to 0',
      'audit-changed: audit_failure was set from 0 to 1',
      'audit-changed: audit_rate_limit was set from 0 to 100000',
      'audit-changed: audit_rate_limit was set from 100000 to 0',
      'audit-changed: audit_backlog_wait_time was set from 0 to 7',
      'audit-changed: audit_backlog_wait_time was set from 7 to 0',
      'rules-changed: the rules of directories were changed (trim)',
      'rules-changed: the rules of directories were changed (make_equiv), in vain',
      'audit-disabled: audit_enabled was set from 1 to 0',
      'audit-changed: another program reads what the kernel records: /usr/bin/python3.11',
    ])
  })

  test('has its process in the same event', () => {
    expect(signs.filter(({ by }) => by !== undefined)).toEqual([])
  })
})

test('what auditd 3.0.9 tells of the signals it got is told with who sent them', () => {
  expect(signsOf(readFileSync(join(FIXTURES, 'auditd.log')))).toEqual([
    {
      reason: 'audit-changed',
      detail: 'auditd was told to read its configuration again, and it had changed',
      by: { pid: 19840, uid: -1, auid: 4242 },
    },
    {
      reason: 'audit-changed',
      detail: 'auditd was told to go on writing',
      by: { pid: 19840, uid: 0, auid: 4242 },
    },
    {
      reason: 'auditd-stopped',
      detail: 'auditd was told to end',
      by: { pid: 19849, uid: 0, auid: 4242 },
    },
  ])
})

describe('a record of another age or make', () => {
  test.each([
    ['CONFIG_CHANGE', 'audit_enabled=0 old=1 by auid=500 res=1', ['audit-disabled']],
    ['CONFIG_CHANGE', 'audit_pid=0 old=811 by auid=500 res=1', ['auditd-stopped']],
    ['CONFIG_CHANGE', 'audit_pid=4711 old=0 auid=500 ses=1 res=1', ['audit-changed']],
    ['CONFIG_CHANGE', 'op=set audit_enabled=2 old=1 auid=0 ses=1 res=1', ['audit-changed']],
    ['CONFIG_CHANGE', 'op=set audit_enabled=0 old=2 auid=0 ses=1 res=0', ['audit-disabled']],
    ['CONFIG_CHANGE', 'op=set lost=0 old=812 auid=0 ses=1 res=1', ['audit-changed']],
    ['CONFIG_CHANGE', 'auid=0 ses=1 op="remove rule" path="/x" key=(null) list=4 res=1', ['rules-changed']],
    ['CONFIG_CHANGE', 'auid=0 ses=1 subj=a:b:c op="add_rule" key="pam" list=4 res=1', ['rules-changed']],
    ['CONFIG_CHANGE', 'op=remove_rule dir="/root/x" key="y" list=4 res=1', ['rules-changed']],
    ['CONFIG_CHANGE', 'op=something-new auid=0', ['audit-changed']],
    ['FEATURE_CHANGE', 'auid=0 ses=1 feature=loginuid_immutable old=0 new=1 res=1', ['audit-changed']],
    ['DAEMON_ABORT', 'auditd error halt, auid=0 pid=1 res=failed', ['auditd-stopped']],
    ['DAEMON_START', 'auditd start, ver=2.2 format=raw auid=0 pid=1 res=failed', ['auditd-stopped']],
    ['DAEMON_END', 'auditd normal halt, sending auid=? pid=? subj=? res=success', ['auditd-stopped']],
    ['DAEMON_ERR', 'op=x res=failed', ['audit-changed']],
    // Routine.
    ['CONFIG_CHANGE', 'op=set audit_backlog_limit=8192 old=8192 auid=0 ses=1 res=1', []],
    ['CONFIG_CHANGE', 'op=set lost=0 old=0 auid=0 ses=1 res=1', []],
    ['CONFIG_CHANGE', 'auid=0 ses=1 op="updated_rules" path="/etc/passwd" key="p" list=4 res=1', []],
    ['CONFIG_CHANGE', 'pid=1 uid=0 auid=0 ses=1 op=tty_set old-enabled=0 new-enabled=1 res=1', []],
    ['DAEMON_START', 'op=start ver=4.0.2 format=raw auid=0 pid=1 uid=0 ses=1 res=success', []],
    ['DAEMON_CONFIG', 'op=reconfigure state=no-change auid=0 pid=1 subj=? res=success', []],
    ['DAEMON_ROTATE', 'op=rotate-logs auid=0 uid=0 ses=1 pid=1 res=success', []],
    ['EVENT_LISTENER', 'pid=1 uid=0 auid=0 exe="/usr/lib/systemd/systemd" nl-mcgrp=1 op=connect res=1', []],
    ['EVENT_LISTENER', 'pid=9 uid=0 auid=0 exe="/tmp/x" nl-mcgrp=1 op=disconnect res=1', []],
  ])('%s %s', (type, body, reasons) => {
    expect(signsOf(line(type, 1, body)).map(({ reason }) => reason)).toEqual(reasons)
  })

  test('is read up to what auditd added in ENRICHED format', () => {
    const body = 'op=set audit_failure=1 old=1 auid=0 ses=1 res=1\u001dAUID="audit_enabled=0 old=1"'
    expect(signsOf(line('CONFIG_CHANGE', 1, body))).toEqual([])
  })

  test('shows nothing that could move a cursor, and no more than a line', () => {
    const [sign] = signsOf(line('CONFIG_CHANGE', 1, `op=\u001b[2J\r${'x'.repeat(1000)}`))
    expect(sign?.detail).toMatch(/^[ -~]{20,200}$/)
  })
})

describe('auditd itself', () => {
  const starts = (exe: string): string[] =>
    ['op=set audit_enabled=1 old=0 res=1', 'op=set audit_pid=811 old=0 res=1']
      .map((body, index) =>
        event(index + 1, [
          ['CONFIG_CHANGE', body],
          ['SYSCALL', syscall('sendto', { exe })],
        ]),
      )
      .flatMap((log) => signsOf(log).map(({ reason }) => reason))

  test('may turn audit on and say who it is', () => {
    expect(starts('"/usr/sbin/auditd"')).toEqual([])
    expect(starts('"/sbin/auditd"')).toEqual([])
  })

  test('is not every program of that name', () => {
    expect(starts('"/tmp/sbin/auditd"')).toEqual(['audit-changed', 'audit-changed'])
  })

  test('may not turn audit off', () => {
    const log = event(1, [
      ['CONFIG_CHANGE', 'op=set audit_enabled=0 old=1 res=1'],
      ['SYSCALL', syscall('sendto', { exe: '"/usr/sbin/auditd"' })],
    ])
    expect(signsOf(log)).toMatchObject([{ reason: 'audit-disabled' }])
  })

  test.each([
    ['SYSTEM_SHUTDOWN', 'pid=900 uid=0 auid=0 ses=1 msg=\' comm="x" res=success\''],
    // Of Debian 13.
    [
      'SERVICE_STOP',
      'pid=1 uid=0 auid=0 ses=1 msg=\'unit=systemd-user-sessions comm="systemd" res=success\'',
    ],
  ])('that ends in a shutdown says so, and one that ends later does not: %s', (type, body) => {
    const shutdown = line(type, 1, body, { timeMs: 1000 })
    const end = (timeMs: number): string =>
      line('DAEMON_END', 2, 'op=terminate auid=0 uid=0 ses=1 pid=1 res=success', { timeMs })
    expect(signsOf(shutdown + end(5000))[0]?.detail).toBe('auditd ended while the host shut down')
    expect(signsOf(shutdown + end(3_600_000))[0]?.detail).toBe('auditd was told to end')
    const byOther = shutdown.replace(/pid=\d+ uid=\d+/, 'pid=666 uid=1000')
    expect(signsOf(byOther + end(5000))[0]?.detail).toBe('auditd was told to end')
  })

  test('is stopped as a service when init says so, and nobody else is believed', () => {
    const stop = (pid: number, unit: string): string =>
      line('SERVICE_STOP', 1, `pid=${pid} uid=0 auid=0 ses=1 msg='unit=${unit} comm="systemd" res=success'`)
    expect(signsOf(stop(1, 'auditd')).map(told)).toEqual(['auditd-stopped: the service auditd was stopped'])
    expect(signsOf(stop(1, 'fullmon')).map(told)).toEqual(['agent-stopped: the service fullmon was stopped'])
    expect(signsOf(stop(1, 'cron'))).toEqual([])
    expect(signsOf(stop(666, 'auditd'))).toEqual([])
  })

  test('is not claimed by a record that any program may send', () => {
    const claim = "pid=7 uid=0 auid=0 ses=1 msg='op=set audit_enabled=0 old=1 res=1'"
    for (const type of ['USER', 'USER_MGMT', 'USYS_CONFIG', 'USER_MAC_CONFIG_CHANGE'])
      expect(signsOf(line(type, 1, claim))).toEqual([])
  })
})

describe('a change of a file', () => {
  const places = {
    log: '/var/log/audit/audit.log',
    own: ['/var/lib/fullmon/baseline.db', '/usr/lib/fullmon/'],
    configuration: ['/etc/fullmon/config.yaml', '/etc/fullmon/rules/'],
  }
  const reasonOf = (kind: FileAction, path: string): string | undefined =>
    tamperOfFile({ kind, from: 'proc::root:/usr/bin/rm', to: `file:${kind}:${path}` }, path, places)?.reason

  test.each([
    ['delete', '/var/log/audit/audit.log', 'log-touched'],
    ['rename', '/var/log/audit/audit.log.3', 'log-touched'],
    ['write', '/var/log/audit/audit.log', 'log-touched'],
    ['rename', '/var/log/audit', 'log-touched'],
    ['write', '/var/lib/fullmon/baseline.db', 'own-files'],
    ['delete', '/var/lib/fullmon/baseline.db-wal', 'own-files'],
    ['write', '/usr/lib/fullmon/agent/main.js', 'own-files'],
    ['rename', '/usr/lib/fullmon', 'own-files'],
    ['write', '/var/log/audit/other', undefined],
    ['create', '/var/log/auditor', undefined],
    ['write', '/var/lib/fullmon/baseline.dbx', undefined],
    ['create', '/usr/lib/fullmonitor', undefined],
    // What takes its place names no file of fullmon.
    ['rename', '/usr/lib', 'own-files'],
    ['delete', '/var/lib/fullmon', 'own-files'],
    ['attribute', '/usr/lib', undefined],
    ['rename', '/usr/libexec', undefined],
  ] as const)('%s %s', (kind, path, reason) => {
    expect(reasonOf(kind, path)).toBe(reason)
  })

  test('is told by its printed name', () => {
    const edge = { kind: 'delete', from: 'proc::root:/usr/bin/rm', to: 'file:delete:printed' } as const
    expect(tamperOfFile(edge, places.log, places)?.detail).toBe('file:delete:printed is of the log of auditd')
  })

  test('of the log means nothing where the log is standard input', () => {
    const edge = { kind: 'delete', from: 'x', to: 'y' } as const
    expect(tamperOfFile(edge, places.log, { ...places, log: undefined })).toBeUndefined()
  })
})
