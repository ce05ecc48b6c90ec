import { isIP } from 'node:net'
import { describe, expect, test } from 'vitest'
import { EDGE_KINDS } from '../../agent/domain/edge.ts'
import { ecsOf } from '../../agent/report/ecs.ts'
import { ALERT, edgeOf, INCIDENT, incidentWith, REPORTS, TIME_MS } from '../outputs/reports.ts'

const ORIGIN = { host: 'web-1.example.net', version: '0.1.0' }
const USER = { id: 'keyword', name: 'keyword' }
const PROGRAM = {
  ...{ executable: 'keyword', name: 'keyword', pid: 'long', args: 'keyword', args_count: 'long' },
  command_line: 'wildcard',
}
const PEER = { address: 'keyword', ip: 'ip', domain: 'keyword', port: 'long' }

/** Field types of ECS 9.3: generated/elasticsearch/composable in github.com/elastic/ecs. */
const ECS: object = {
  '@timestamp': 'date',
  message: 'match_only_text',
  ecs: { version: 'keyword' },
  event: {
    ...{ kind: 'keyword', category: 'keyword', type: 'keyword', action: 'keyword', module: 'keyword' },
    ...{ dataset: 'keyword', reason: 'keyword', id: 'keyword', severity: 'long', risk_score: 'float' },
    ...{ start: 'date', end: 'date' },
  },
  host: { name: 'keyword' },
  observer: { product: 'keyword', type: 'keyword', vendor: 'keyword', version: 'keyword' },
  rule: { id: 'keyword', name: 'keyword', ruleset: 'keyword' },
  process: { ...PROGRAM, thread: { name: 'keyword' }, parent: PROGRAM },
  user: { ...USER, effective: USER },
  container: { id: 'keyword' },
  destination: PEER,
  source: PEER,
  file: { path: 'keyword', name: 'keyword', mode: 'keyword' },
  related: { ip: 'ip', hosts: 'keyword', user: 'keyword' },
}

/** Of our own: what Elasticsearch makes of the first value that it sees has to fit all others. */
const OWN: object = {
  ...{ kind: 'keyword', severity: 'keyword', head: 'keyword' },
  evidence: { serial: 'long', syscall: 'keyword', node: 'keyword', auid: 'long' },
  incident: {
    ...{ id: 'long', score: 'float', chain: 'keyword', count: 'long', unlisted: 'long', next: 'keyword' },
    weights: { what: 'keyword', bits: 'float' },
    edges: {
      ...{ kind: 'keyword', from: 'keyword', to: 'keyword', count: 'long', bits: 'float', mark: 'keyword' },
      ...{ serial: 'long', syscall: 'keyword', pid: 'long', ppid: 'long', address: 'keyword' },
      ...{ first: 'date', last: 'date', argv: 'keyword' },
    },
  },
  alert: {
    ...{ id: 'long', source: 'keyword', key: 'keyword', count: 'long', present: 'boolean', state: 'keyword' },
    ...{ incident: 'long', next: 'keyword', muted_until: 'date', subject: 'keyword' },
  },
  tamper: { reason: 'keyword', chain: 'keyword' },
  blind_spot: { reason: 'keyword', count: 'long', ongoing: 'boolean' },
}

/** https://www.elastic.co/guide/en/ecs/current/ecs-allowed-values-event-category.html: types that each category expects. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  configuration: ['access', 'change', 'creation', 'deletion', 'info'],
  file: ['access', 'change', 'creation', 'deletion', 'info'],
  host: ['access', 'change', 'end', 'info', 'start'],
  intrusion_detection: ['allowed', 'denied', 'info'],
  network: ['access', 'allowed', 'connection', 'denied', 'end', 'info', 'protocol', 'start'],
  process: ['access', 'change', 'end', 'info', 'start'],
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const FITS: Readonly<Record<string, (value: unknown) => boolean>> = {
  keyword: (value) => typeof value === 'string' && value !== '',
  wildcard: (value) => typeof value === 'string',
  match_only_text: (value) => typeof value === 'string' && !value.includes('\n'),
  long: Number.isSafeInteger,
  float: (value) => typeof value === 'number' && Number.isFinite(value),
  boolean: (value) => typeof value === 'boolean',
  date: (value) => typeof value === 'string' && ISO.test(value),
  ip: (value) => typeof value === 'string' && isIP(value) !== 0,
}

/** What of a document is no field of the mapping, or no value of its type. */
function misfits(value: unknown, mapping: unknown, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((each) => misfits(each, mapping, path))
  if (typeof mapping === 'string') return FITS[mapping]?.(value) === true ? [] : [`${path} is no ${mapping}`]
  if (typeof mapping !== 'object' || mapping === null) return [`${path} is no field`]
  if (typeof value !== 'object' || value === null) return [`${path} is no object`]
  return Object.entries(value).flatMap(([name, each]) =>
    misfits(each, (mapping as Record<string, unknown>)[name], `${path}.${name}`),
  )
}

interface Document {
  readonly '@timestamp': string
  readonly message: string
  readonly event: { readonly category: string[]; readonly type: string[]; readonly severity: number }
  readonly [name: string]: unknown
}

const documentOf = (report: Parameters<typeof ecsOf>[0]): Document =>
  JSON.parse(JSON.stringify(ecsOf(report, ORIGIN))) as Document

const EVERY_KIND = EDGE_KINDS.flatMap((kind) =>
  [
    'proc:c1:0:/memfd:x (deleted)</srv/a.sh',
    'host:203.0.113.0/24:*',
    'host:[2001:db8::1]:443',
    'host:api.partner.test:8080',
    'host:unix:@x',
    'file:write:/etc/x',
    '?',
  ].map((to) => incidentWith([edgeOf(kind, 'proc::app:?', to, ['a', 'b'])])),
)

describe('names of the Elastic Common Schema', () => {
  test.each([...REPORTS, ...EVERY_KIND])('$kind $id: every field is one of its type', (report) => {
    expect(misfits(documentOf(report), { ...ECS, fullmon: OWN }, '')).toEqual([])
  })

  test.each([...REPORTS, ...EVERY_KIND])('$kind $id: each type is expected of a category', (report) => {
    const { category, type } = documentOf(report).event
    expect(category.length).toBeGreaterThan(0)
    for (const each of type) expect(category.some((name) => EXPECTED[name]?.includes(each))).toBe(true)
    for (const name of category) expect(type.some((each) => EXPECTED[name]?.includes(each))).toBe(true)
  })

  test('an incident tells who, where to and how grave, where programs look for it', () => {
    expect(documentOf(INCIDENT)).toMatchObject({
      '@timestamp': new Date(TIME_MS + 1500).toISOString(),
      event: { kind: 'alert', action: 'connect', id: 'incident-7', severity: 73, risk_score: 23.25 },
      host: { name: 'web-1.example.net' },
      process: {
        executable: '/usr/bin/bash',
        name: 'bash',
        pid: 24_010,
        parent: { executable: '/usr/sbin/nginx', pid: 24_009 },
      },
      user: { name: 'app' },
      container: { id: 'c0ffee' },
      destination: { ip: '203.0.113.66', port: 4444 },
      related: { ip: ['203.0.113.66'], user: ['app'] },
    })
  })

  test('who becomes another user is told with both', () => {
    const edge = edgeOf('privilege', 'proc::app:/tmp/.rb', 'proc::0:/tmp/.rb', ['/tmp/.rb', '-p'])
    expect(documentOf(incidentWith([edge]))).toMatchObject({
      user: { name: 'app', effective: { id: '0' } },
      process: { args: ['/tmp/.rb', '-p'], args_count: 2, command_line: '/tmp/.rb -p' },
    })
  })

  test('a host that is called by its name has its address, too', () => {
    const edge = edgeOf('connect', 'proc::app:/usr/bin/curl', 'host:api.partner.test:443')
    const named = { ...edge, evidence: { ...edge.evidence, address: '198.51.100.7' } }
    expect(documentOf(incidentWith([named]))).toMatchObject({
      destination: { address: 'api.partner.test', domain: 'api.partner.test', ip: '198.51.100.7', port: 443 },
      related: { ip: ['198.51.100.7'], hosts: ['api.partner.test'] },
    })
  })

  test('a rule has its name', () => {
    expect(documentOf({ ...INCIDENT, rule: 'shell-with-socket' })).toMatchObject({
      rule: { id: 'shell-with-socket', name: 'shell-with-socket' },
    })
  })

  test('an alert whose cause is gone has ended', () => {
    expect(documentOf({ ...ALERT, isPresent: false }).event.type).toContain('end')
  })

  test('what is not about the host has no such form', () => {
    const pattern = { kind: 'pattern', pattern: 'p', process: 'x', action: 'create', examples: [] } as const
    expect(ecsOf(pattern, ORIGIN)).toBeUndefined()
  })
})
