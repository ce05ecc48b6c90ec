import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { NO_WORLD, type World } from '../../agent/domain/activity.ts'
import type { AuditEvent } from '../../agent/domain/event.ts'
import type { Report } from '../../agent/domain/report.ts'
import { auditdMissing } from '../support/auditd.ts'
import { edgeTexts, runCore } from '../support/edges.ts'
import { FORGED_RECORDS, FORGED_TIME_S, logOfForgery } from '../support/workload/forgery.ts'

const ROOT = join(import.meta.dirname, '../..')
const FORGER = /^proc::nobody:\/usr\/bin\/python[\d.]+<\/srv\/lair\/forge\.py$/
const CLAIMER = /^proc::root:\/usr\/bin\/python[\d.]+<\/srv\/lair\/claim\.py$/
/** The users of a RAW log, which an ENRICHED one names itself. */
const USERS: World = {
  ...NO_WORLD,
  userName: (uid) =>
    new Map([
      [0, 'root'],
      [65_534, 'nobody'],
    ]).get(uid),
}

/** What a forger did, as auditd wrote it in both of its formats. */
interface Logs {
  readonly enriched: Buffer
  readonly raw: Buffer
}

/** In the RAW log no line is forged: newlines stay hex. */
const linesOf = (raw: Buffer): number => raw.toString('latin1').split('\n').length - 1

/** What an event says, without what differs from one run to another: ids, pids, and garbage behind a path. */
const told = ({ syscall, argv, cwd, paths, saddr }: AuditEvent): unknown => ({
  ...{ syscall: syscall?.syscall, success: syscall?.success, comm: syscall?.comm, exe: syscall?.exe },
  ...{ argv, cwd, paths: paths.map(({ name }) => name), family: saddr?.slice(0, 4) },
})

function tampers(log: Buffer): Extract<Report, { kind: 'tamper' }>[] {
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-forged-'))
  try {
    writeFileSync(join(folder, 'audit.log'), log)
    const words = ['replay', join(folder, 'audit.log'), '--train', '0', '--json']
    const { stdout } = spawnSync(process.execPath, [join(ROOT, 'agent/main.ts'), ...words], {
      encoding: 'utf8',
    })
    const reports = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Report)
    return reports.filter((report) => report.kind === 'tamper')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function law(logs: () => Logs): void {
  test('what is forged stands in the ENRICHED log, as lines of its own', () => {
    const forged = logs()
      .enriched.toString('latin1')
      .match(new RegExp(`^type=[A-Z_]+ msg=audit\\(${FORGED_TIME_S}\\.000:9999\\): `, 'gm'))
    expect(forged).toHaveLength(FORGED_RECORDS)
  })

  test('all true records are read, and nothing else', () => {
    const { enriched, raw } = logs()
    for (const log of [enriched, raw]) {
      const { core, events } = runCore(log)
      expect(core.records).toBe(linesOf(raw))
      expect(core.losses).toMatchObject({ unreadableLines: 0, lateRecords: 0, incompleteEvents: 0 })
      expect(events.filter(({ id }) => id.timeMs === FORGED_TIME_S * 1000)).toEqual([])
    }
  })

  test('the ENRICHED log tells what the RAW log tells', () => {
    const { enriched, raw } = logs()
    const named = runCore(enriched)
    const numbered = runCore(raw, USERS)
    expect(named.events.map(told)).toEqual(numbered.events.map(told))
    expect(edgeTexts(named.edges)).toEqual(edgeTexts(numbered.edges))
    expect(edgeTexts(named.edges).filter((edge) => edge.endsWith('->host:127.0.0.1:4444'))).toHaveLength(1)
  })

  test.each(['enriched', 'raw'] as const)('who tried it is reported, from the %s log', (format) => {
    // Of a real auditd whoever loaded its rules is there too.
    const found = tampers(logs()[format]).filter(({ reason }) => reason === 'forged-lines')
    const processes = found.map((report) =>
      report.process.replace('::0:', '::root:').replace('::65534:', '::nobody:'),
    )
    expect(processes.filter((name) => FORGER.test(name))).not.toEqual([])
    expect(processes.filter((name) => CLAIMER.test(name))).not.toEqual([])
    expect(processes.filter((name) => !FORGER.test(name) && !CLAIMER.test(name))).toEqual([])
    for (const { chain, process: name } of found) expect(chain.at(-1)).toBe(name)
  })
}

describe('recorded logs of a forger', () => {
  const recorded = (name: string): Buffer => readFileSync(join(ROOT, 'test/fixtures/forged', `${name}.log`))
  law(() => ({ enriched: recorded('enriched'), raw: recorded('raw') }))
})

const unavailable = auditdMissing('forged.test.ts: auditd is left out')

describe.skipIf(unavailable !== undefined)('an unprivileged forger, and one who may write records', () => {
  let logs: Logs = { enriched: Buffer.alloc(0), raw: Buffer.alloc(0) }

  beforeAll(async () => {
    logs = { enriched: await logOfForgery('ENRICHED'), raw: await logOfForgery('RAW') }
  })

  law(() => logs)
})
