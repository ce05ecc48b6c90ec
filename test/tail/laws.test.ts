import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Chunk } from '../../agent/domain/chunk.ts'
import { folderForTest } from '../support/folder.ts'
import { checkpoint, Follower, sha256 } from './follower.ts'
import { RotatingLog } from './writer.ts'

const POLL_MS = 5

type Step =
  'rotate' | 'copy' | { readonly write: number; readonly isLine: boolean } | { readonly waitMs: number }

const write = fc.record({ write: fc.nat(300), isLine: fc.boolean() })
const rotate = fc.constant('rotate' as const)
const copy = fc.constant('copy' as const)
const wait = fc.record({ waitMs: fc.nat(12) })

const rotations = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.oneof(write, rotate, wait), { maxLength })

/** With other means of rotation than auditd's own. */
const anything = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.oneof({ arbitrary: write, weight: 3 }, rotate, copy, wait), { maxLength })

/** Does what the steps say and returns what was written. No two lines are alike, as in a real log. */
async function perform(log: RotatingLog, name: string, steps: readonly Step[]): Promise<string> {
  let text = ''
  const put = (piece: string): void => {
    log.write(piece)
    text += piece
  }
  for (const [index, act] of steps.entries()) {
    if (act === 'rotate') log.rotate()
    else if (act === 'copy') {
      // A log that holds no whole line yet cannot be told from another.
      put(`${name} ${index} copy\n`)
      log.copyAndTruncate()
    } else if ('waitMs' in act) await sleep(act.waitMs)
    else put(`${name} ${index} `.repeat(act.write) + (act.isLine ? '\n' : ''))
  }
  return text
}

test('law: bytes come once and in order, and each position leads back to its bytes', async () => {
  await fc.assert(
    fc.asyncProperty(rotations(25), async (acts) => {
      const path = join(folderForTest(), 'audit.log')
      const log = new RotatingLog(path, 30)
      const follower = new Follower(path, { pollMs: POLL_MS })
      const all = (await perform(log, 'up', acts)) + 'end\n'
      log.write('end\n')
      log.close()
      await follower.length(all.length)
      expect((await follower.end()).text).toBe(all)
      expect([...follower.blindSpots, ...follower.tampers]).toEqual([])

      const logs = new Map(
        readdirSync(dirname(path)).map((name) => {
          const file = join(dirname(path), name)
          return [statSync(file).ino, readFileSync(file, 'latin1')]
        }),
      )
      for (const { bytes, at } of follower.chunks) {
        const content = logs.get(at?.inode ?? 0) ?? ''
        const [firstLine = '', ...others] = content.split('\n')
        expect(content.slice(at?.offset).startsWith(bytes.toString('latin1'))).toBe(true)
        expect(at?.fingerprint).toBe(others.length === 0 ? '' : sha256(firstLine))
      }
    }),
    { numRuns: 40 },
  )
})

test('law: who stops at any time and goes on where the last complete line ended has everything once', async () => {
  await fc.assert(
    fc.asyncProperty(rotations(15), rotations(10), async (up, down) => {
      const path = join(folderForTest(), 'audit.log')
      const log = new RotatingLog(path, 30)
      log.write('begin\n')
      const first = await new Follower(path, { pollMs: POLL_MS }).length(6)
      const written = await perform(log, 'up', up)
      const saved = checkpoint((await first.stop()).chunks)
      const all = 'begin\n' + written + (await perform(log, 'down', down)) + 'end\n'
      const second = new Follower(path, { from: saved.from, startAt: 'end', pollMs: POLL_MS })
      log.write('end\n')
      log.close()
      await second.length(all.length - saved.text.length)
      expect(saved.text + (await second.end()).text).toBe(all)
      expect([...second.blindSpots, ...second.tampers]).toEqual([])
    }),
    { numRuns: 30 },
  )
})

test('law: copied and truncated or renamed, in any order: every byte once, and nothing worse than truncation is told', async () => {
  await fc.assert(
    fc.asyncProperty(anything(25), async (acts) => {
      const path = join(folderForTest(), 'audit.log')
      const log = new RotatingLog(path, 30)
      log.write('begin\n')
      const follower = await new Follower(path, { pollMs: POLL_MS }).length(6)
      const all = 'begin\n' + (await perform(log, 'up', acts)) + '\nend\n'
      log.write('\nend\n')
      log.close()
      await follower.length(all.length)
      expect((await follower.end()).text).toBe(all)
      const told = new Set<string>([...follower.reasons, ...follower.tamperReasons])
      if (!acts.includes('copy')) expect(told).toEqual(new Set())
      expect([...told].filter((reason) => reason !== 'log-truncated')).toEqual([])
    }),
    { numRuns: 60 },
  )
})

/** Where somebody who was killed may go on: any byte of any chunk of which the log has a whole first line. */
const cuts = (chunks: readonly Chunk[]) =>
  chunks.flatMap(({ at, bytes }, index) => {
    if (at === undefined || at.fingerprint === '') return []
    const before = chunks.slice(0, index).map(({ bytes }) => bytes)
    const text = (length: number): string =>
      Buffer.concat([...before, bytes.subarray(0, length)]).toString('latin1')
    return [0, 1, bytes.length >> 1, bytes.length]
      .filter((length) => length <= bytes.length)
      .map((length) => ({ from: { ...at, offset: at.offset + length }, text: text(length) }))
  })

test('law: whichever chunk was the last that counted, and up to which byte: what follows is the rest', async () => {
  await fc.assert(
    fc.asyncProperty(rotations(15), rotations(6), fc.nat(), async (up, down, which) => {
      const path = join(folderForTest(), 'audit.log')
      const log = new RotatingLog(path, 30)
      log.write('begin\n')
      const first = await new Follower(path, { pollMs: POLL_MS }).length(6)
      const written = await perform(log, 'up', up)
      const all = 'begin\n' + written + (await perform(log, 'down', down)) + '\nend\n'
      const places = cuts((await first.stop()).chunks)
      const place = places[which % places.length]
      if (place === undefined) throw new Error('nothing was read')
      log.write('\nend\n')
      log.close()
      const second = new Follower(path, { from: place.from, startAt: 'end', pollMs: POLL_MS })
      await second.length(all.length - place.text.length)
      expect(place.text + (await second.end()).text).toBe(all)
      expect([...second.blindSpots, ...second.tampers]).toEqual([])
    }),
    { numRuns: 60 },
  )
})
