/** Who is told of reports: `syslog:medium webhook`. */
import type { Config } from '../config/config.ts'
import type { Setting } from '../config/settle.ts'
import { UsageError } from '../domain/result.ts'
import { SEVERITIES } from '../domain/report.ts'
import { webhookAddress } from '../outputs/outputs.ts'
import type { Draft } from './draft.ts'
import { listOf, NONE, quoted } from './words.ts'

const NAMES = ['syslog', 'journald', 'webhook'] as const
type Name = (typeof NAMES)[number]

export const OUTPUT_ANSWERS = `${NAMES.join(', ')}, each alone or with a severity as in syslog:medium (${SEVERITIES.join(', ')}), or ${NONE}`

/** Answer to the question for the address that leaves it. */
const AS_IT_IS = 'as it is'
const PRINTABLE = /^[\x21-\x7e]+$/

/** @param isPosted whether there will be a webhook, whatever the configuration says */
export function outputsProposal({ loaded: { config } }: Draft, isPosted: boolean): string {
  const chosen = NAMES.filter((name) => isUsed(config, name) || (name === 'webhook' && isPosted))
  return chosen.map((name) => `${name}:${config.outputs[name].min_severity}`).join(' ') || NONE
}

/** @throws UsageError when a word is no output */
export function outputsSettings(answer: string): readonly Setting[] {
  const chosen = new Map(listOf(answer).map(outputOf))
  return NAMES.flatMap((name): readonly Setting[] => {
    const severity = chosen.get(name)
    const least = severity === undefined ? [] : [{ key: ['outputs', name, 'min_severity'], value: severity }]
    if (name !== 'webhook') return [{ key: ['outputs', name, 'enabled'], value: chosen.has(name) }, ...least]
    return chosen.has(name) ? least : NO_ADDRESS
  })
}

/** Whether a webhook is among them. @throws UsageError as above */
export const hasWebhook = (answer: string): boolean => new Map(listOf(answer).map(outputOf)).has('webhook')

/** The address itself is a secret. */
export const addressProposal = ({ loaded: { config } }: Draft): string =>
  isUsed(config, 'webhook') ? AS_IT_IS : ''

/** @throws UsageError when it is no address, or a file that holds none */
export function addressSettings(answer: string, { loaded, file }: Draft): readonly Setting[] {
  if (answer === AS_IT_IS) return []
  const isFile = answer.startsWith('/')
  const { outputs } = loaded.config
  if (!isFile && (!/^https?:\/\//.test(answer) || !PRINTABLE.test(answer) || !URL.canParse(answer)))
    throw new UsageError(
      // An address is not shown, not even a wrong one.
      `expected an address that begins with https:// or http:// and has no blanks, or the path of a file${answer.includes('://') ? '' : `, not ${quoted(answer)}`}`,
    )
  if (isFile) webhookAddress({ ...outputs, webhook: { ...outputs.webhook, url_file: answer } }, file)
  return [
    ...NO_ADDRESS.filter(({ key }) => (key.at(-1) === 'url') === isFile),
    { key: ['outputs', 'webhook', isFile ? 'url_file' : 'url'], value: answer },
  ]
}

const NO_ADDRESS: readonly Setting[] = ['url', 'url_file'].map((key) => ({
  key: ['outputs', 'webhook', key],
  value: undefined,
}))

function isUsed({ outputs }: Config, name: Name): boolean {
  if (name !== 'webhook') return outputs[name].enabled
  return outputs.webhook.url !== undefined || outputs.webhook.url_file !== undefined
}

function outputOf(word: string): [Name, (typeof SEVERITIES)[number] | undefined] {
  const [said, least, ...more] = word.split(':')
  const name = NAMES.find((each) => each === said)
  const severity = SEVERITIES.find((each) => each === least)
  if (name === undefined || more.length > 0 || (least !== undefined && severity === undefined))
    throw new UsageError(`expected ${OUTPUT_ANSWERS}, not ${quoted(word)}`)
  return [name, severity]
}
