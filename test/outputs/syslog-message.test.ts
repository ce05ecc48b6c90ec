import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { noticeOf } from '../../agent/report/notice.ts'
import { type SyslogOptions, syslogMessage } from '../../agent/outputs/syslog-message.ts'
import { readSyslog } from './rfc5424.ts'
import { edgeOf, HOSTILE, HOSTILE_INCIDENT, INCIDENT, incidentWith, REPORTS } from './reports.ts'

const OPTIONS: SyslogOptions = { facility: 'authpriv', host: 'web-1', pid: 17, mostBytes: 8192 }

const messageOf = (report: (typeof REPORTS)[number], options = OPTIONS): Buffer => {
  const notice = noticeOf(report)
  if (notice === undefined) throw new Error('it makes no message')
  return syslogMessage(notice, options)
}

describe('messages of RFC 5424', () => {
  test('an incident, for programs and for people', () => {
    expect(readSyslog(messageOf(INCIDENT))).toEqual({
      ...{ facility: 10, severity: 3, time: '2026-11-20T21:53:56.119Z', host: 'web-1', app: 'fullmon' },
      ...{ pid: '17', id: 'incident' },
      elements: {
        'fullmon@32473': {
          ...{ severity: 'high', incident: '7', user: 'app', exe: '/usr/bin/bash', container: 'c0ffee' },
          ...{ action: 'connect', target: 'host:203.0.113.66:4444', pid: '24010', ppid: '24009' },
          ...{ auid: '4242', event: '124870', score: '23.3', count: '4' },
        },
      },
      text:
        'bash (app) connected to 203.0.113.66:4444; bash (app) never connected to anybody; ' +
        'a shell with a socket',
    })
  })

  test.each(REPORTS)('$kind is one of them', (report) => {
    const { id, elements } = readSyslog(messageOf(report))
    expect(id).toBe(report.kind)
    expect(Object.keys(elements)).toEqual(['fullmon@32473'])
  })

  test('names that somebody chose end neither a value nor a line', () => {
    const message = messageOf(HOSTILE_INCIDENT)
    expect(message.includes('\n')).toBe(false)
    const asPrinted = HOSTILE.replace('\n', '?').replace('\u202e', '?').replace('\udc80', '\ufffd')
    expect(readSyslog(message)).toMatchObject({
      elements: { 'fullmon@32473': { argv: asPrinted } },
      text: expect.stringContaining(asPrinted) as string,
    })
  })

  test('law: whatever the names and the limit are, a message is one of the RFC, within the limit', () => {
    const name = fc.string({
      unit: fc.constantFrom('"', '\\', ']', '[', '=', ' ', 'é', '𝄞', '\n', 'a', '\ud800'),
    })
    fc.assert(
      fc.property(
        name,
        name,
        fc.integer({ min: 480, max: 4000 }),
        fc.integer({ min: 1, max: 400 }),
        (title, argv, mostBytes, times) => {
          const edge = edgeOf('exec', 'proc::app:/bin/sh', `proc::app:/bin/${title.replaceAll('<', '')}`, [
            argv.repeat(times),
          ])
          const incident = incidentWith([edge], { title: title.repeat(times) })
          const message = messageOf(incident, { ...OPTIONS, mostBytes })
          expect(message.length).toBeLessThanOrEqual(mostBytes)
          const { elements, text } = readSyslog(message)
          expect(elements['fullmon@32473']).toMatchObject({ incident: '7' })
          const whole = messageOf(incident, { ...OPTIONS, mostBytes: 65_000 })
          if (whole.length <= mostBytes) expect(message).toEqual(whole)
          else expect(elements['fullmon@32473']?.['cut'] === 'yes' || text.endsWith('…')).toBe(true)
        },
      ),
    )
  })

  test('what is cut says so', () => {
    const long = incidentWith([edgeOf('exec', 'proc::app:/bin/sh', 'proc::app:/bin/x', ['y'.repeat(3000)])], {
      title: 'z'.repeat(3000),
    })
    const { elements, text } = readSyslog(messageOf(long, { ...OPTIONS, mostBytes: 1024 }))
    expect(elements['fullmon@32473']).toMatchObject({ severity: 'high', pid: '24010', cut: 'yes' })
    expect(elements['fullmon@32473']?.['argv']).toMatch(/^y{16,}…$/)
    expect(text).toMatch(/^z{300,}…$/)
  })

  test.each([
    ['user', 'critical', 10],
    ['daemon', 'high', 27],
    ['local7', 'low', 189],
  ] as const)('%s and %s make priority %i', (facility, severity, priority) => {
    const message = messageOf(incidentWith(INCIDENT.edges, { severity }), { ...OPTIONS, facility })
    expect(message.toString('latin1').startsWith(`<${priority}>1 `)).toBe(true)
  })
})
