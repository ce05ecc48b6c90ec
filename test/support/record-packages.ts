/**
 * Records test/fixtures/packages anew: `node test/support/record-packages.ts`, as root on Debian, with a way to a mirror.
 *
 * audit.log.gz is what auditd wrote with the rules of audit.rules while `PHASES` were played; marks.json is when each began.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { auditdUnavailable, ensureAuditd, rulesForLoginuid, startAuditd } from './auditd.ts'
import { debianUnavailable, findMirror } from './debian.ts'
import { PAUSE_MS, playAll, startHost } from './workload/packages.ts'

const ROOT = join(import.meta.dirname, '../..')
const FOLDER = join(ROOT, 'test/fixtures/packages')

ensureAuditd()
const mirror = findMirror()
const unavailable = auditdUnavailable() ?? (await debianUnavailable(mirror))
if (unavailable !== undefined) throw new Error(`nothing can be recorded here: ${unavailable}`)
mkdirSync(FOLDER, { recursive: true })
const host = await startHost(mirror)
try {
  const rules = rulesForLoginuid(readFileSync(join(ROOT, 'audit.rules'), 'utf8'))
  const lab = await startAuditd({ logFormat: 'ENRICHED', rules })
  try {
    const marks = await playAll(lab, host, PAUSE_MS)
    writeFileSync(join(FOLDER, 'audit.log.gz'), gzipSync(readFileSync(lab.logFile), { level: 9 }))
    writeFileSync(join(FOLDER, 'marks.json'), `${JSON.stringify(marks, undefined, 2)}\n`)
  } finally {
    await lab.stop()
  }
} finally {
  host.stop()
}
