import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Config } from '../config/config.ts'

/** As the package installs it; the same without a root before it. */
const UNIT = '/usr/lib/systemd/system/fullmon.service'
const DROP_IN = '/etc/systemd/system/fullmon.service.d/network.conf'
const TEXT = `# Made by fullmon setup: a webhook, or http.port, needs it. docs/hardening.md tells how to let less through.
[Service]
RestrictAddressFamilies=AF_INET AF_INET6
`

/**
 * Lets the service use the network, which its unit keeps from it, where a configuration needs that.
 *
 * @param root of the host
 * @returns the file that was written; undefined when there was nothing to do
 */
export function openNetwork({ http, outputs: { webhook } }: Config, root = ''): string | undefined {
  const isNeeded = http.port !== undefined || webhook.url !== undefined || webhook.url_file !== undefined
  const file = root + DROP_IN
  if (!isNeeded || !existsSync(root + UNIT) || existsSync(file)) return undefined
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 })
  writeFileSync(file, TEXT, { mode: 0o644 })
  return file
}
