import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Measured } from '../../scripts/evaluation.ts'

const ROOT = join(import.meta.dirname, '../..')
const HOST_B = join(ROOT, 'test/fixtures/host-b')
const file = (name: string): string => join(HOST_B, name)

/** Incidents of four minutes of ordinary life; docs/detection.md explains each. */
const MOST_BENIGN = 12
const MOST_ATTACK = 40

/** A live host with other software than host-a, recorded with audit.rules: see its README. */
describe('the recording of host-b', () => {
  const words = [
    file('audit.log.xz'),
    file('phases.jsonl'),
    '--dns',
    file('dns.pcap.xz'),
    '--whole',
    '--json',
  ]
  const { whole } = JSON.parse(
    execFileSync(join(ROOT, 'scripts/evaluate'), words, { encoding: 'utf8', maxBuffer: 100_000_000 }),
  ) as Measured
  const steps = whole?.steps ?? []

  test('is read whole', () => {
    const lines = execFileSync('sh', ['-c', `xz -dc '${file('audit.log.xz')}' | wc -l`], { encoding: 'utf8' })
    expect(whole?.records).toBe(Number(lines))
  })

  test('every attack step is covered by an incident that leads where the step did', () => {
    const marked = readFileSync(file('phases.jsonl'), 'utf8').match(/"kind":"attack"/g) ?? []
    expect(steps).toHaveLength(marked.length)
    expect(steps.filter(({ best }) => best === undefined).map(({ name }) => name)).toEqual([])
  })

  test('nine of ten attack steps rank above all of ordinary life', () => {
    const below = steps.filter(({ rank }) => rank !== 1).map(({ name }) => name)
    expect(below.length, below.join(', ')).toBeLessThanOrEqual(steps.length / 10)
  })

  test('what is known of it by other means is in the incident', () => {
    const edgeOf = (step: string): string | undefined => steps.find(({ name }) => name === step)?.best?.edge
    expect(edgeOf('miner')).toContain('/dev/shm/systemd-journald')
    expect(edgeOf('ssh-key')).toContain('/root/.ssh')
    expect(edgeOf('git-hook')).toContain('/srv/git/site.git/hooks/post-receive')
  })

  test('there are few incidents', () => {
    expect(whole?.benign.length).toBeLessThanOrEqual(MOST_BENIGN)
    expect(whole?.attack).toBeLessThanOrEqual(MOST_ATTACK)
  })
})
