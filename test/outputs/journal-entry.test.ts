import { describe, expect, test } from 'vitest'
import { journalEntry } from '../../agent/outputs/journal-entry.ts'
import { noticeOf } from '../../agent/report/notice.ts'
import { HOSTILE_INCIDENT, INCIDENT, REPORTS } from './reports.ts'

/** https://systemd.io/JOURNAL_NATIVE_PROTOCOL/, as a receiver reads it. @throws Error where it is not kept */
function readEntry(bytes: Buffer): Map<string, string> {
  const fields = new Map<string, string>()
  for (let at = 0; at < bytes.length;) {
    const newline = bytes.indexOf('\n', at)
    if (newline === -1) throw new Error('a field has no end')
    const equals = bytes.subarray(at, newline).indexOf('=')
    const name = bytes.toString('latin1', at, equals === -1 ? newline : at + equals)
    if (!/^[A-Z][A-Z0-9_]{0,63}$/.test(name)) throw new Error(`${name} is no name`)
    if (equals === -1) {
      const length = Number(bytes.readBigUInt64LE(newline + 1))
      fields.set(name, bytes.toString('utf8', newline + 9, newline + 9 + length))
      at = newline + 9 + length + 1
      if (bytes[at - 1] !== 0x0a) throw new Error(`${name} does not end where it says`)
    } else {
      fields.set(name, bytes.toString('utf8', at + equals + 1, newline))
      at = newline + 1
    }
  }
  return fields
}

const entryOf = (report: (typeof REPORTS)[number]): Map<string, string> => {
  const notice = noticeOf(report)
  if (notice === undefined) throw new Error('it makes no entry')
  return readEntry(journalEntry(notice))
}

describe('entries of the journal', () => {
  test('an incident has its fields, and its reasons line by line', () => {
    expect(Object.fromEntries(entryOf(INCIDENT))).toMatchObject({
      ...{
        MESSAGE: 'bash (app) connected to 203.0.113.66:4444',
        PRIORITY: '3',
        SYSLOG_IDENTIFIER: 'fullmon',
      },
      ...{ FULLMON_SEVERITY: 'high', FULLMON_INCIDENT: '7', FULLMON_USER: 'app', FULLMON_PID: '24010' },
      FULLMON_WHY: 'bash (app) never connected to anybody\na shell with a socket',
      FULLMON_NEXT: 'ausearch --event 124870\nfullmon explain 7',
      MESSAGE_ID: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    })
  })

  test('each kind has an id of its own, and a rule its field', () => {
    const ids = REPORTS.map((report) => entryOf(report).get('MESSAGE_ID'))
    expect(new Set(ids).size).toBe(4)
    expect(entryOf({ ...INCIDENT, rule: 'shell-with-socket' }).get('FULLMON_RULE')).toBe('shell-with-socket')
  })

  test('names that somebody chose make no field', () => {
    const names = [...entryOf(HOSTILE_INCIDENT).keys()]
    expect(
      names.filter((name) => !/^(MESSAGE|MESSAGE_ID|PRIORITY|SYSLOG_IDENTIFIER|FULLMON_[A-Z]+)$/.test(name)),
    ).toEqual([])
  })
})
