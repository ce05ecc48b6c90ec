import type { Loaded } from '../config/config.ts'
import { explain } from '../config/show.ts'
import { UsageError } from '../domain/result.ts'
import { tokenFor } from '../http/access.ts'
import { webhookAddress } from '../outputs/outputs.ts'
import { ruleBookOf } from '../rules/read.ts'
import { requireLooks } from '../scan/looks.ts'

/** What is wrong with the files that a configuration names, each with its place: what the agent would not begin with. */
export function mistakesBehind(loaded: Loaded): readonly string[] {
  const { config, file } = loaded
  const { address, port, token_file: token } = config.http
  // Complaints of rules name their own place.
  const checks: readonly (readonly [key: string | undefined, check: () => unknown])[] = [
    [undefined, () => ruleBookOf(config.rules, config.ports.watched)],
    ['processes.required', () => requireLooks(config)],
    ['http.address', () => port !== undefined && token === undefined && tokenFor(address, undefined)],
    ['http.token_file', () => token !== undefined && tokenFor(address, token)],
    ['outputs.webhook', () => webhookAddress(config.outputs, file)],
  ]
  return checks.flatMap(([key, check]) => {
    try {
      check()
      return []
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      return key === undefined
        ? error.message.split('\n')
        : [`${placeOf(loaded, key)}${key}: ${error.message}`]
    }
  })
}

/** Where a key, or the first of a section, stands. */
function placeOf(loaded: Loaded, key: string): string {
  const place = explain(loaded, key)
    .flatMap(({ from }) => from)
    .find((each) => each !== 'default')
  return place === undefined ? '' : `${place}: `
}
