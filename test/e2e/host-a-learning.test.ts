/** What a training of a live host says of itself, and what the budget does with what comes behind it. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Report } from '../../agent/domain/report.ts'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const HOST_A = join(ROOT, '../shared/corpus/host-a')
const isThere = existsSync(join(HOST_A, 'audit.log.xz'))
if (!isThere)
  process.stderr.write(
    'host-a-learning.test.ts: left out: the recording of host-a is not beside the checkout\n',
  )

interface Mark {
  readonly t: number
  readonly name: string
}

describe.skipIf(!isThere)('a training on host-a', () => {
  const marks = isThere
    ? readFileSync(join(HOST_A, 'phases.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Mark)
    : []
  const markOf = (name: string): number => marks.find((mark) => mark.name === name)?.t ?? Number.NaN

  /** Trains on a share of the training, replays the rest, and says how far the training had come. */
  function trained(share: number): { readonly reports: readonly Report[]; readonly status: unknown } {
    const folder = folderForTest()
    const db = join(folder, 'baseline.db')
    const dns = join(folder, 'dns.pcap')
    execFileSync('sh', ['-c', `xz -dc '${join(HOST_A, 'dns.pcap.xz')}' >'${dns}'`])
    const until = markOf('train') + share * (markOf('benign') - markOf('train'))
    const fullmon = (...words: readonly string[]): string =>
      execFileSync(process.execPath, ['agent/main.ts', ...words], {
        cwd: ROOT,
        encoding: 'utf8',
        maxBuffer: 1e9,
        // Quiet about an agent that does not run.
        stdio: ['ignore', 'pipe', 'ignore'],
      })
    const log = join(HOST_A, 'audit.log.xz')
    const said = fullmon('replay', log, '--db', db, '--train-until', String(until), '--dns', dns, '--json')
    const reports = said
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Report)
    let status = ''
    try {
      status = fullmon('status', '--db', db, '--json')
    } catch (error) {
      status = (error as { stdout: string }).stdout
    }
    return { reports, status: JSON.parse(status) }
  }

  test.each([
    [1, true],
    [0.25, false],
  ])(
    'over %f of its time: that it is enough is %s, and no attack is kept back',
    (share, isEnough) => {
      const { reports, status } = trained(share)
      expect(status).toMatchObject({ learning: { isEnough }, incidents: { withheld: 0 } })
      const incidents = reports.filter((report) => report.kind === 'incident')
      const attackMs = markOf('attack') * 1000 - 10
      const worst = (all: typeof incidents): number => Math.max(0, ...all.map(({ score }) => score))
      const benign = incidents.filter(({ firstMs }) => firstMs < attackMs)
      const steps = marks.slice(marks.findIndex(({ name }) => name === 'attack') + 1)
      for (const [index, { t, name }] of steps.slice(0, -1).entries()) {
        const endMs = (steps[index + 1]?.t ?? 0) * 1000
        const ofStep = incidents.filter(({ edges }) =>
          edges.some(({ firstMs }) => firstMs >= t * 1000 - 10 && firstMs < endMs),
        )
        expect({ name, isAbove: worst(ofStep) > worst(benign) }).toEqual({ name, isAbove: true })
      }
    },
    120_000,
  )
})
