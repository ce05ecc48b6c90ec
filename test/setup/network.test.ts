import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig } from '../../agent/config/config.ts'
import { openNetwork } from '../../agent/setup/network.ts'
import { folderForTest } from '../support/folder.ts'

const UNIT = 'usr/lib/systemd/system/fullmon.service'
const DROP_IN = 'etc/systemd/system/fullmon.service.d/network.conf'

const configOf = (...set: readonly string[]): ReturnType<typeof loadConfig> => loadConfig({ set })
const WEBHOOK = configOf('outputs.webhook.url=https://hooks.example.com/x')

function host(): string {
  const root = folderForTest()
  mkdirSync(join(root, UNIT, '..'), { recursive: true })
  writeFileSync(join(root, UNIT), '')
  return root
}

test.each([WEBHOOK, configOf('http.port=9390'), configOf('outputs.webhook.url_file=/etc/fullmon/webhook')])(
  'the service gets the network where the configuration needs it, once',
  (config) => {
    const root = host()
    expect(openNetwork(config, root)).toBe(join(root, DROP_IN))
    expect(readFileSync(join(root, DROP_IN), 'utf8')).toMatch(
      /^\[Service\]\nRestrictAddressFamilies=AF_INET AF_INET6$/m,
    )
    expect(openNetwork(config, root)).toBeUndefined()
  },
)

test('and none where nothing needs it, where somebody has said what it may, or where there is no service', () => {
  expect(openNetwork(configOf(), host())).toBeUndefined()
  expect(openNetwork(WEBHOOK, folderForTest())).toBeUndefined()
  const root = host()
  mkdirSync(join(root, DROP_IN, '..'), { recursive: true })
  writeFileSync(join(root, DROP_IN), '[Service]\nIPAddressDeny=any\n')
  expect(openNetwork(WEBHOOK, root)).toBeUndefined()
  expect(readFileSync(join(root, DROP_IN), 'utf8')).toContain('IPAddressDeny')
})
