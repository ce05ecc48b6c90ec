import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { auditdUnavailable, ensureAuditd } from '../support/auditd.ts'
import { deedsOf, deedText } from '../support/deeds.ts'
import { runCore } from '../support/edges.ts'
import { deedsUnavailable, expectedDeeds, logOfDeeds, YARD } from '../support/workload/deeds.ts'

ensureAuditd()
const unavailable =
  process.arch !== 'x64'
    ? 'the workload is a program for x86'
    : (auditdUnavailable() ?? deedsUnavailable() ?? (existsSync(YARD) ? `${YARD} exists` : undefined))
if (unavailable !== undefined) process.stderr.write(`deeds.test.ts: left out: ${unavailable}\n`)

// What setuid(2), a setuid file, su, statuses and signals really leave in the log of this kernel.
test.skipIf(unavailable !== undefined)(
  'root taken and refused, bad ends and refused programs are told',
  async () => {
    const log = await logOfDeeds('ENRICHED')
    const ours = deedsOf(log).filter(({ auid }) => auid === 4242)
    expect(ours.map(deedText)).toEqual(expectedDeeds('ENRICHED'))
    expect(runCore(log).core.losses).toMatchObject({
      unreadableLines: 0,
      lateRecords: 0,
      incompleteEvents: 0,
    })
  },
)
