/** What the agent looks at leaves no record in the log that it watches. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { auditdMissing, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'
import { containerForTest } from '../support/container.ts'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')
/** Looks so often, as a program of its own. */
const LOOKS = `
const [looks, db] = process.argv.slice(1)
const { HostWatch } = await import('${ROOT}/agent/scan/host-watch.ts')
const { Config } = await import('${ROOT}/agent/config/config.ts')
const settings = { processes: { required: ['none'] }, scan: { expect_readonly_root: true } }
const watch = new HostWatch({ ...Config.parse(settings), db })
const { signal } = new AbortController()
const kept = new Set()
for (let look = 0; look < Number(looks); look++) {
  await watch.look(Date.now(), { isTraining: false, signal, onBlind: () => undefined })
  for (const name of watch.takeMemory().keys()) kept.add(name)
}
process.stdout.write([...kept].sort().join(' '))
`

const unavailable = auditdMissing('host-watch-audit.test.ts: left out')

describe.skipIf(unavailable !== undefined)('in the log of a real auditd', () => {
  let lab: Lab
  beforeAll(async () => {
    lab = await startAuditd({ logFormat: 'ENRICHED', rules: shippedRules() })
  })
  afterAll(() => lab.stop())

  /** How often each kind of record was written meanwhile. */
  async function recordsOf(
    looks: number,
  ): Promise<{ readonly syscalls: readonly string[]; readonly said: string }> {
    await lab.settle()
    const before = readFileSync(lab.logFile, 'latin1').length
    const argv = [
      process.execPath,
      '--input-type=module',
      '-e',
      LOOKS,
      String(looks),
      join(folderForTest(), 'none.db'),
    ]
    const { stdout, stderr, status } = await lab.run(argv)
    expect(stderr).toBe('')
    expect(status).toBe(0)
    await lab.settle()
    const lines = readFileSync(lab.logFile, 'latin1').slice(before).split('\n')
    const syscalls = lines.flatMap(
      (line) => /^type=SYSCALL .*? (syscall=\d+) .*(key=\S+)/.exec(line)?.slice(1).join(' ') ?? [],
    )
    return { syscalls, said: stdout }
  }

  test('looking at processes, layers and mounts leaves nothing', async () => {
    const container = await containerForTest(join(folderForTest(), 'diff'))
    await container.run('mkdir -p /srv/a/b; cp /bin/true /srv/a/b/x')
    const none = await recordsOf(0)
    const many = await recordsOf(10)
    // The program itself was seen to start.
    expect(none.syscalls).not.toEqual([])
    // It has looked into the layer, and learned from it.
    expect(many.said).toBe('host host-learned')
    expect(many.syscalls).toEqual(none.syscalls)
  })
})
