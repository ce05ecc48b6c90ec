import { describe, expect, test } from 'vitest'
import { slackBody } from '../../agent/outputs/slack-body.ts'
import { noticeOf } from '../../agent/report/notice.ts'
import { edgeOf, HOSTILE_INCIDENT, INCIDENT, incidentWith, REPORTS } from './reports.ts'

interface Body {
  readonly text: string
  readonly attachments: readonly {
    color: string
    blocks: readonly { text: { type: string; text: string } }[]
  }[]
  readonly [name: string]: unknown
}

const bodyOf = (report: (typeof REPORTS)[number]): Body => {
  const notice = noticeOf(report)
  if (notice === undefined) throw new Error('it makes no message')
  return JSON.parse(JSON.stringify(slackBody(notice, 'web-1'))) as Body
}
const textsOf = ({ text, attachments }: Body): string[] => [
  text,
  ...attachments.flatMap(({ blocks }) => blocks.map((block) => block.text.text)),
]

describe('messages for Slack', () => {
  test('tell what, who, why and what to do', () => {
    const [text, below] = textsOf(bodyOf(INCIDENT))
    expect(text).toBe('high on web-1: bash (app) connected to 203.0.113.66:4444')
    expect(below).toMatch(/^user: app\nexe: \/usr\/bin\/bash\n/)
    expect(below).toContain('\nwhy: a shell with a socket\n')
    expect(below).toContain('\nnext: fullmon explain 7\n')
  })

  test.each(REPORTS)('$kind $id: nobody is called, and nothing leads anywhere', (report) => {
    const body = bodyOf(report)
    for (const text of textsOf(body)) {
      expect(text).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)|@(?:channel|here|everyone|all)/)
    }
    expect(body).toMatchObject({ mrkdwn: false, parse: 'none', unfurl_links: false, unfurl_media: false })
    for (const { blocks } of body.attachments)
      for (const { text } of blocks) expect(text.type).toBe('plain_text')
  })

  test('what somebody chose is still there to be read', () => {
    expect(textsOf(bodyOf(HOSTILE_INCIDENT)).join('\n')).toContain('&lt;!channel&gt;')
  })

  test('Slack takes no more than 3000 characters', () => {
    const edge = edgeOf('exec', 'proc::app:/bin/sh', 'proc::app:/bin/x', ['<&>'.repeat(3000)])
    const texts = textsOf(bodyOf(incidentWith([edge], { title: '&'.repeat(5000) })))
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(3000)
  })

  test('graver is another colour', () => {
    const colours = (['low', 'medium', 'high', 'critical'] as const).map(
      (severity) => bodyOf(incidentWith(INCIDENT.edges, { severity })).attachments[0]?.color,
    )
    expect(new Set(colours).size).toBe(4)
  })
})
