import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { journalEntry } from '../../agent/outputs/journal-entry.ts'
import { slackBody } from '../../agent/outputs/slack-body.ts'
import { syslogMessage } from '../../agent/outputs/syslog-message.ts'
import { ecsOf } from '../../agent/report/ecs.ts'
import { noticeOf } from '../../agent/report/notice.ts'
import { INCIDENT } from './reports.ts'

const HOST = 'web-1.example.net'
const text = readFileSync(join(import.meta.dirname, '../../docs/outputs.md'), 'utf8')

/** The example below a heading. */
const example = (heading: string): string =>
  new RegExp(`^## ${heading}\\n[^]*?^\`\`\`(?:json)?\\n([^]*?)\\n\`\`\`$`, 'm').exec(text)?.[1] ?? ''

const notice = noticeOf(INCIDENT)
if (notice === undefined) throw new Error('it makes no message')

test('the example of ECS is what is printed', () => {
  const object = ecsOf(INCIDENT, { host: HOST, version: '0.1.0' })
  expect(JSON.parse(example('Elastic Common Schema'))).toEqual(JSON.parse(JSON.stringify(object)))
})

test('the example of syslog is what is sent, but for the mark before its text', () => {
  const options = { facility: 'authpriv', host: HOST, pid: 812, mostBytes: 8192 } as const
  const message = syslogMessage(notice, options).toString('utf8').replace('\uFEFF', '')
  expect(example('syslog')).toBe(message)
})

test('the example of the journal is what is sent, with lengths as text', () => {
  const entry = journalEntry(notice).toString('latin1')
  const readable = entry.replace(/^(\w+)\n([^]{8})(?=\w)/gm, (_, name: string, length: string) => {
    return `${name} (${Buffer.from(length, 'latin1').readBigUInt64LE()} bytes)\n`
  })
  expect(`${example('journald')}\n`).toBe(readable)
})

test('the example of the webhook is what is posted', () => {
  expect(JSON.parse(example('webhook'))).toEqual(JSON.parse(JSON.stringify(slackBody(notice, HOST))))
})
