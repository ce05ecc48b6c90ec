import type { Severity } from '../domain/report.ts'
import type { Notice } from '../report/notice.ts'
import { timeText } from '../report/text.ts'

const COLOURS: Readonly<Record<Severity, string>> = {
  low: '#3b82f6',
  medium: '#eab308',
  high: '#dc2626',
  critical: '#7f1d1d',
}
/** Slack refuses a section of more than 3000 characters, a header of more than 150. */
const MOST_CHARACTERS = 2800
const MOST_OF_HEADLINE = 600
/** Those that matter in a room; the rest is in the baseline. */
const SHOWN = new Set([
  'user',
  'exe',
  'script',
  'container',
  'target',
  'rule',
  'pid',
  'auid',
  'event',
  'argv',
])

/** A message as Slack takes it, and what speaks like it: Mattermost, Rocket.Chat, Discord below /slack. */
export function slackBody(notice: Notice, host: string): object {
  const { severity, headline, reasons, next, fields, timeMs } = notice
  const first = `${severity} on ${host}: ${headline}`
  const about = fields.filter(([name]) => SHOWN.has(name)).map(([name, value]) => `${name}: ${value}`)
  const rest = [
    ...about,
    ...reasons.map((reason) => `why: ${reason}`),
    ...next.map((step) => `next: ${step}`),
    timeText(timeMs),
  ]
  return {
    text: harmless(first, MOST_OF_HEADLINE),
    // No markup, no names, and nothing that Slack would fetch from an address that an attacker wrote.
    ...{ mrkdwn: false, parse: 'none', link_names: false, unfurl_links: false, unfurl_media: false },
    attachments: [
      {
        color: COLOURS[severity],
        fallback: harmless(first, MOST_OF_HEADLINE),
        blocks: [{ type: 'section', text: plain(harmless(rest.join('\n'), MOST_CHARACTERS)) }],
      },
    ],
  }
}

const plain = (text: string): object => ({ type: 'plain_text', text, emoji: false })

/**
 * As much text from the log as fits, which calls nobody and leads nowhere. Slack takes `<!channel>` for a call and
 * `<https://…|…>` for a link; others take the bare word.
 */
function harmless(text: string, mostCharacters: number): string {
  let told = ''
  for (const character of text.toWellFormed().replace(/@(?=channel|here|everyone|all)/giu, '@\u200b')) {
    const escaped = ESCAPES.get(character) ?? character
    if (told.length + escaped.length > mostCharacters) return `${told}…`
    told += escaped
  }
  return told
}

const ESCAPES = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
])
