import { describe, expect, test } from 'vitest'
import { memberKey, type Tree, treeOf } from '../../agent/detect/trees.ts'
import type { Ancestor } from '../../agent/domain/activity.ts'

const NOW_MS = 1_795_000_000_000
const OLD_MS = NOW_MS - 3_600_000
const NEW_MS = NOW_MS - 100

const ancestor = (pid: number, exe: string, bornMs = NEW_MS, script?: string): Ancestor => ({
  ...{ pid, ppid: 1, bornMs, sinceMs: bornMs },
  image: { container: '', user: 'app', exe, script, origin: undefined, depth: 0 },
})
const INIT = ancestor(1, '/usr/lib/systemd/systemd', OLD_MS)
const APP = ancestor(500, '/usr/bin/python3', OLD_MS, '/srv/app.py')
const CRON = ancestor(600, '/usr/sbin/cron', OLD_MS)
const SSHD = ancestor(700, '/usr/sbin/sshd', OLD_MS)
const LOGIN = ancestor(710, '/usr/bin/bash', OLD_MS)
const STRANGER = ancestor(720, '/tmp/x', OLD_MS)

/** The pids of root, parent and members. */
const placed = (
  lineage: readonly [Ancestor, ...Ancestor[]],
  former: Readonly<Record<string, string>> = {},
): Tree =>
  treeOf('', lineage, NOW_MS, {
    isKnown: (who) => who.pid !== STRANGER.pid,
    treeOf: (member) => former[member],
  })
const key = (who: Ancestor): string => memberKey('', who)

describe('processes belong together', () => {
  const sh = ancestor(1000, '/usr/bin/dash')
  const curl = ancestor(1001, '/usr/bin/curl')

  test('below who was started by what has been there for long', () => {
    const { key: tree, parent, members } = placed([curl, sh, APP, INIT])
    expect([tree, parent, members]).toEqual([key(sh), APP, [key(curl), key(sh)]])
    expect(placed([sh, APP, INIT]).key).toBe(key(sh))
  })

  test('no more than two children of a service do', () => {
    const other = ancestor(1002, '/usr/bin/dash')
    expect(placed([other, APP, INIT]).key).not.toBe(placed([sh, APP, INIT]).key)
  })

  test('whatever they have become since', () => {
    const execed = { ...sh, sinceMs: NOW_MS, image: curl.image }
    expect(placed([execed, APP, INIT]).key).toBe(key(sh))
  })

  test('but not with what had the same pid before', () => {
    const later = { ...sh, bornMs: NOW_MS }
    expect(placed([later, APP, INIT]).key).not.toBe(key(sh))
  })

  test('at one prompt, with what sudo runs there', () => {
    const sudo = ancestor(1003, '/usr/bin/sudo', OLD_MS)
    const root = ancestor(1004, '/bin/bash', OLD_MS)
    for (const lineage of [
      [curl, LOGIN, SSHD, INIT],
      [LOGIN, SSHD, INIT],
      [curl, root, sudo, LOGIN, SSHD, INIT],
    ] as const) {
      const { key: tree, parent } = placed(lineage)
      expect([tree, parent]).toEqual([key(LOGIN), SSHD])
    }
  })

  test('in one job', () => {
    const fork = { ...CRON, pid: 1005, bornMs: NEW_MS, sinceMs: NEW_MS }
    expect(placed([curl, sh, fork, CRON, INIT])).toMatchObject({ key: key(fork), parent: CRON })
  })

  test('when a service does it itself, or what it has forked', () => {
    const worker = { ...APP, pid: 501 }
    expect(placed([APP, INIT])).toMatchObject({ key: key(APP), parent: APP, members: [] })
    expect(placed([worker, APP, INIT])).toMatchObject({ key: key(APP), parent: APP, members: [] })
    expect(placed([APP, CRON, INIT])).toMatchObject({ key: key(APP), parent: APP, members: [] })
    expect(placed([sh, worker, APP, INIT])).toMatchObject({ key: key(sh), parent: worker })
  })

  test('below a program that nobody knows, however long it is there', () => {
    expect(placed([curl, STRANGER, APP, INIT])).toMatchObject({ key: key(STRANGER), parent: APP })
  })

  test('with what they were found to belong to, when they live on', () => {
    const shell = { ...sh, bornMs: OLD_MS, sinceMs: OLD_MS }
    const relay = ancestor(1006, '/usr/bin/socat', OLD_MS)
    expect(placed([curl, relay, INIT]).key).toBe(key(curl))
    expect(placed([curl, relay, INIT], { [key(relay)]: key(shell) }).key).toBe(key(shell))
    expect(placed([relay, INIT], { [key(relay)]: key(shell) }).key).toBe(key(shell))
  })

  test('and a service that was just started is not remembered for what it will start', () => {
    const service = ancestor(1007, '/usr/sbin/nginx')
    expect(placed([curl, service, INIT])).toMatchObject({
      ...{ key: key(service), parent: undefined },
      members: [key(curl)],
    })
  })

  test('when nobody knows where they come from', () => {
    const forked = { ...sh, ppid: 999 }
    expect(placed([curl, forked])).toMatchObject({ parent: undefined, isOrphan: true })
    expect(placed([curl, sh])).toMatchObject({ key: key(sh), parent: undefined, isOrphan: false })
    expect(placed([curl, { ...APP, ppid: 999 }])).toMatchObject({ parent: { pid: APP.pid }, isOrphan: false })
    expect(placed([curl, forked], { [key(curl)]: key(sh) })).toMatchObject({ key: key(sh), isOrphan: false })
  })
})

test('the same pid on another machine is another process', () => {
  expect(memberKey('one', APP)).not.toBe(memberKey('other', APP))
})
