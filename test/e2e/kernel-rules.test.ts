import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { rulesFile } from '../../agent/support/kernel-rules.ts'
import { loadRulesWhereNone } from '../../agent/watch/no-rules.ts'
import { auditctl, auditdMissing, rulesForLoginuid, startAuditd } from '../support/auditd.ts'

const unavailable = auditdMissing('kernel-rules.test.ts: left out')

describe.skipIf(unavailable !== undefined)('a kernel without rules', () => {
  test('gets ours, and a second time nothing', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'fullmon-kernel-rules-')), 'audit.rules')
    // Not host-wide in a test: the same rules for the test's login uid.
    const rules = rulesForLoginuid(readFileSync(rulesFile(), 'utf8')).filter(
      (rule) => !rule.includes(' dir='),
    )
    writeFileSync(file, ['-c', ...rules, ''].join('\n'))
    const lab = await startAuditd({ logFormat: 'RAW', rules: [] })
    try {
      expect(auditctl('-l').trim()).toBe('No rules')
      expect(await loadRulesWhereNone(file)).toContain(file)
      const loaded = auditctl('-l')
      expect(loaded.trim().split('\n')).toHaveLength(rules.filter((rule) => rule.startsWith('-a')).length)
      expect(await loadRulesWhereNone(file)).toBeUndefined()
      expect(auditctl('-l')).toBe(loaded)
    } finally {
      await lab.stop()
      rmSync(join(file, '..'), { recursive: true })
    }
  })

  test("does not get them when an administrator's rules are there", async () => {
    const lab = await startAuditd({
      logFormat: 'RAW',
      rules: ['-a always,exit -F arch=b64 -S swapon -F auid=4242 -k x'],
    })
    try {
      expect(await loadRulesWhereNone()).toBeUndefined()
      expect(auditctl('-l').trim().split('\n')).toHaveLength(1)
    } finally {
      await lab.stop()
    }
  })
})
