/**
 * Records test/fixtures/recorded anew: `node test/support/record-fixtures.ts`, as root on Debian for x86_64.
 *
 * NAME.log is what auditd wrote with the rules of audit.rules; NAME.json is what was done, as its author knows it.
 * test/fixtures/forged has logs of a process that forges records, test/fixtures/deeds of root taken and refused.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  auditdUnavailable,
  ensureAuditd,
  type LabOptions,
  rulesForLoginuid,
  startAuditd,
  TEST_LOGINUID,
} from './auditd.ts'
import { deedsUnavailable, logOfDeeds, YARD } from './workload/deeds.ts'
import { logOfForgery } from './workload/forgery.ts'
import { RECORDED_ADDRESSES, type Recording, RECORDINGS, SHOP } from './workload/recordings.ts'
import type { ExpectedEdge } from './workload/syscalls.ts'

const ROOT = join(import.meta.dirname, '../..')
const RECORDED = join(ROOT, 'test/fixtures/recorded')
/** Beside the others, as no law about lines holds for lines that are none. */
const FORGED = join(ROOT, 'test/fixtures/forged')
const DEEDS = join(ROOT, 'test/fixtures/deeds')
const STATE = '/var/lib/fullmon'
const NODE = 'web-01'

type Format = Omit<LabOptions, 'rules'> & { readonly suffix: string }

const PLAIN: Format = { suffix: '', logFormat: 'ENRICHED' }
const RAW_NODE: Format = { suffix: '-raw-node', logFormat: 'RAW', nodeName: NODE }
const RAW: Format = { suffix: '-raw', logFormat: 'RAW' }
const ENRICHED_NODE: Format = { suffix: '-node', logFormat: 'ENRICHED', nodeName: NODE }

/** All four ways that auditd can write, for one of them; two for the others. */
const formatsOf = ({ name }: Recording): readonly Format[] =>
  name === 'exec' ? [PLAIN, RAW_NODE, RAW, ENRICHED_NODE] : [PLAIN, RAW_NODE]

async function record(recording: Recording, format: Format): Promise<void> {
  const rules = rulesForLoginuid(readFileSync(join(ROOT, 'audit.rules'), 'utf8'))
  const lab = await startAuditd({ ...format, rules })
  mkdirSync(SHOP)
  try {
    recording.prepare()
    const { status, stderr } = await lab.run(recording.command, { addresses: RECORDED_ADDRESSES })
    if (status !== 0 || stderr !== '') throw new Error(`${recording.name} went wrong: ${stderr}`)
    await lab.settle()
    const target = join(RECORDED, recording.name + format.suffix)
    writeFileSync(`${target}.log`, ofLoginuid(readFileSync(lab.logFile)))
    writeFileSync(`${target}.json`, truth(recording, format))
  } finally {
    rmSync(SHOP, { recursive: true })
    await lab.stop()
  }
}

/** The events of the test's own login uid: the others tell how auditd was started and how rules were loaded. */
function ofLoginuid(log: Buffer): Buffer {
  const lines = log.toString('latin1').split(/(?<=\n)/)
  const idOf = (line: string): string => /msg=audit\(([^)]*)\)/.exec(line)?.[1] ?? ''
  const kept = new Set(lines.filter((line) => line.includes(` auid=${TEST_LOGINUID} `)).map(idOf))
  return Buffer.from(lines.filter((line) => kept.has(idOf(line))).join(''), 'latin1')
}

function truth({ what, edges }: Recording, { logFormat, nodeName }: Format): string {
  // A RAW log knows users by number only.
  const named = logFormat === 'ENRICHED' ? edges : edges.map(byNumber)
  const document = { what, logFormat, ...(nodeName === undefined ? {} : { nodeName }), edges: named }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

const byNumber = (edge: ExpectedEdge): ExpectedEdge =>
  JSON.parse(
    JSON.stringify(edge).replaceAll('"proc::root:', '"proc::0:').replaceAll('"proc::www-data:', '"proc::33:'),
  ) as ExpectedEdge

ensureAuditd()
const taken = [SHOP, YARD].find((folder) => existsSync(folder))
const unavailable =
  auditdUnavailable() ?? deedsUnavailable() ?? (taken === undefined ? undefined : `${taken} exists`)
if (unavailable !== undefined) throw new Error(`nothing can be recorded here: ${unavailable}`)
for (const folder of [RECORDED, FORGED, DEEDS]) mkdirSync(folder, { recursive: true })
const stateExisted = existsSync(STATE)
mkdirSync(STATE, { recursive: true })
try {
  for (const recording of RECORDINGS) {
    for (const format of formatsOf(recording)) {
      process.stdout.write(`${recording.name}${format.suffix}\n`)
      await record(recording, format)
    }
  }
  for (const logFormat of ['ENRICHED', 'RAW'] as const) {
    // What is forged has no login uid: all but how auditd was started and how rules were loaded.
    const log = (await logOfForgery(logFormat)).toString('latin1')
    const kept = log.replace(/^type=(?:DAEMON_START|CONFIG_CHANGE) .*\n/gm, '')
    writeFileSync(join(FORGED, `${logFormat.toLowerCase()}.log`), kept, 'latin1')
    writeFileSync(join(DEEDS, `${logFormat.toLowerCase()}.log`), ofLoginuid(await logOfDeeds(logFormat)))
  }
} finally {
  if (!stateExisted) rmSync(STATE, { recursive: true })
}
