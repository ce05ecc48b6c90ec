import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { Activity, ProcessImage } from '../../agent/domain/activity.ts'
import type { AuditEvent } from '../../agent/domain/event.ts'
import { EdgeNamer, type SeenEdge } from '../../agent/graph/edges.ts'

const IMAGE: ProcessImage = {
  container: '',
  user: 'root',
  exe: '/usr/bin/x',
  script: undefined,
  origin: undefined,
  depth: 0,
}
const EVENT = {} as AuditEvent
const created = (path: string): Activity => ({
  kind: 'file',
  actor: IMAGE,
  event: EVENT,
  action: 'create',
  path,
  executableBy: 'nobody',
})

function edgeOf(namer: EdgeNamer, activity: Activity): SeenEdge {
  const seen: SeenEdge[] = []
  namer.edgesOf(activity, (edge) => seen.push(edge))
  const [only] = seen
  if (only === undefined || seen.length > 1) throw new Error(`${seen.length} edges`)
  return only
}

describe('an edge', () => {
  test('is the same object when it is seen again', () => {
    const namer = new EdgeNamer()
    const first = edgeOf(namer, created('/tmp/x'))
    expect(first.edge).toEqual({ kind: 'create', from: 'proc::root:/usr/bin/x', to: 'file:create:/tmp/x' })
    for (let index = 0; index < 8000; index++) edgeOf(namer, created(`/tmp/${index}`))
    expect(edgeOf(namer, created('/tmp/x'))).toBe(first)
  })

  test.each([
    ['very many', (index: number) => `/tmp/${index}`],
    ['very long ones', (index: number) => `/${'д'.repeat(4000)}/${index}`],
  ])('is forgotten among %s, which cost a fixed amount of memory', (_, pathOf) => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const namer = new EdgeNamer()
    const first = edgeOf(namer, created('/tmp/x'))
    collect()
    const before = process.memoryUsage().heapUsed
    for (let index = 0; index < 8100; index++) edgeOf(namer, created(pathOf(index)))
    collect()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(16_000_000)
    for (let index = 8100; index < 8200; index++) edgeOf(namer, created(pathOf(index)))
    const again = edgeOf(namer, created('/tmp/x'))
    expect(again).not.toBe(first)
    expect(again).toEqual(first)
  })
})
