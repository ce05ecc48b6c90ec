import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { learnHabits } from '../../agent/baseline/habits.ts'
import { verifyBaseline } from '../../agent/baseline/verify.ts'
import { Config } from '../../agent/config/config.ts'
import type { ProcessHabits, ProcessScan, ScannedProcess } from '../../agent/domain/scan.ts'
import { withModel } from '../../agent/scan/learned.ts'
import { ProcessScanner } from '../../agent/scan/scanner.ts'
import { HabitTraining } from '../../agent/scan/training.ts'
import { folderForTest } from '../support/folder.ts'
import { FOREVER, noPython, python, running } from '../support/running.ts'

const NOW_MS = Date.parse('2026-11-20T12:00:00Z')
const ENTRY = { timeMs: NOW_MS, author: 'a test' }

const isPackaged = (): boolean => spawnSync('dpkg', ['-S', realpathSync('/usr/bin/python3')]).status === 0

/** A program that no package has brought. */
function copyOfPython(): string {
  const copy = join(folderForTest(), 'worker')
  copyFileSync(realpathSync('/usr/bin/python3'), copy)
  chmodSync(copy, 0o755)
  return copy
}

const look = (db: string): Promise<ProcessScan> =>
  withModel(db, (model) => new ProcessScanner(Config.parse({})).look(model))

async function lookAt(db: string, pid: number): Promise<ScannedProcess> {
  const found = (await look(db)).processes.find((each) => each.pid === pid)
  if (found === undefined) throw new Error(`the scan has not found ${pid}`)
  return found
}

/** A trained baseline that has seen these programs be executed. */
function trained(...edges: readonly (readonly [from: string, to: string])[]): string {
  const db = join(folderForTest(), 'baseline.db')
  const baseline = new Baseline(db)
  baseline.batch(() => {
    baseline.trainings.begin(NOW_MS, undefined)
    for (const [from, to] of edges) baseline.edges.learn({ kind: 'exec', from, to }, NOW_MS)
    baseline.trainings.extend(NOW_MS + 1000, true)
  })
  baseline.close()
  return db
}

describe.skipIf(noPython !== undefined)('what the log has taught', () => {
  const CRON = 'proc::root:/usr/sbin/cron'
  const nameOf = async (pid: number): Promise<{ own: string; parent: string }> => {
    const { processes } = await new ProcessScanner(Config.parse({})).look()
    const name = (wanted?: number): string => processes.find((each) => each.pid === wanted)?.name ?? ''
    return { own: name(pid), parent: name(process.pid) }
  }

  test('a process that was started as it was in the training is no surprise', async () => {
    const { pid } = await python(FOREVER)
    const { own, parent } = await nameOf(pid)
    const db = trained([parent, own])
    expect(await look(db)).toMatchObject({ surpriseFrom: ['baseline'], unlearned: null })
    expect(await lookAt(db, pid)).toMatchObject({ surprise: 0, surpriseReasons: [], score: 0 })
  })

  test('one that another started then is half a surprise', async () => {
    const { pid } = await python(FOREVER)
    const { own, parent } = await nameOf(pid)
    expect(await lookAt(trained([CRON, own]), pid)).toMatchObject({
      ...{ surprise: 0.5, score: 1, surpriseReasons: [`${parent} did not start it in the training`] },
    })
  })

  test('one that another user ran then is more, and one that nobody ran is all', async () => {
    const { pid } = await python(FOREVER)
    const { own } = await nameOf(pid)
    const ofOther = own.replace(/^proc:([^:]*):[^:]*/, 'proc:$1:somebody')
    expect(await lookAt(trained([CRON, ofOther]), pid)).toMatchObject({ surprise: 0.7, score: 1.4 })
    const stranger = await running(copyOfPython(), ['-c', FOREVER])
    const db = trained([CRON, 'proc::root:/usr/bin/true'])
    expect(await lookAt(db, stranger.pid)).toMatchObject({
      ...{ surprise: 1, surpriseReasons: ['it was not seen in the training'] },
    })
  })

  test.skipIf(noPython !== undefined || !isPackaged())(
    'one that a package has brought is a little less',
    async () => {
      const { pid } = await python(FOREVER)
      expect(await lookAt(trained([CRON, 'proc::root:/usr/bin/true']), pid)).toMatchObject({
        ...{ surprise: 0.8, score: 1.6, isSuspicious: false },
      })
    },
  )

  test('what was only found, and is not normal, is a surprise', async () => {
    const { pid } = await running(copyOfPython(), ['-c', FOREVER])
    const { own, parent } = await nameOf(pid)
    const db = trained([CRON, 'proc::root:/usr/bin/true'])
    const database = new Database(db)
    database.prepare('INSERT INTO nodes (name) VALUES (?), (?)').run(own, parent)
    database.close()
    expect(await lookAt(db, pid)).toMatchObject({ surprise: 1 })
  })

  test('it is read while an agent has it open', async () => {
    const { pid } = await python(FOREVER)
    const { own, parent } = await nameOf(pid)
    const db = trained([parent, own])
    const agent = new Baseline(db)
    expect(await lookAt(db, pid)).toMatchObject({ surprise: 0 })
    agent.close()
  })
})

describe('nothing was taught', () => {
  test('by a baseline that is not there', async () => {
    const db = join(folderForTest(), 'none.db')
    const { surpriseFrom, unlearned, processes } = await look(db)
    expect({ surpriseFrom, unlearned }).toEqual({
      surpriseFrom: [],
      unlearned: `there is no baseline that can be read at ${db}`,
    })
    expect(new Set(processes.map(({ surprise }) => surprise))).toEqual(new Set([null]))
  })

  test('by one that is not trained', async () => {
    const db = join(folderForTest(), 'baseline.db')
    new Baseline(db).close()
    expect(await look(db)).toMatchObject({ surpriseFrom: [], unlearned: `${db} is not trained` })
  })
})

describe.skipIf(noPython !== undefined)('what looking at processes has taught', () => {
  /** A baseline that has learned from some looks. */
  async function learned(): Promise<string> {
    const training = new HabitTraining(Config.parse({}))
    await training.look()
    await training.look()
    const db = join(folderForTest(), 'baseline.db')
    learnHabits(db, training.learned, ENTRY)
    return db
  }

  test('who is as before is no surprise, and who is not there before is one', async () => {
    const { pid } = await python(FOREVER)
    const db = await learned()
    const same = await python(`${FOREVER} # another`, { argv0: 'python3' })
    const stranger = await running(copyOfPython(), ['-c', FOREVER])
    expect(await look(db)).toMatchObject({ surpriseFrom: ['processes'], unlearned: null })
    expect(await lookAt(db, pid)).toMatchObject({ surprise: 0, score: 0 })
    // The same program by the same user from the same parent is the same kind of process.
    expect(await lookAt(db, same.pid)).toMatchObject({ surprise: 0 })
    expect(await lookAt(db, stranger.pid)).toMatchObject({ surprise: 1 })
  })

  test('who listens where it did not is', async () => {
    await python(FOREVER)
    const db = await learned()
    const code =
      'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", 1025)); s.listen(); print(1, flush=True); time.sleep(1000)'
    const { pid } = await python(code)
    const seen = await lookAt(db, pid)
    expect(seen.surpriseReasons).toContain('it did not listen on tcp 127.0.0.1:1025 in the training')
    // What has just started has been busy all its life, on a fast machine.
    expect(seen.surprise).toBeGreaterThanOrEqual(0.4)
  })

  test('who was suspicious is not learned', async () => {
    const { pid } = await python(FOREVER, { argv0: '[kworker/0:0]' })
    const training = new HabitTraining(Config.parse({}))
    await training.look()
    const { name } = await lookAt(join(folderForTest(), 'none.db'), pid)
    expect(training.suspicious.has(name)).toBe(true)
    expect(training.learned.has(name)).toBe(false)
  })
})

describe('habits in the baseline', () => {
  const HABITS: ProcessHabits = {
    ...{ looks: 2, firstMs: 10, lastMs: 20, parents: ['proc::root:/a'], listens: ['tcp 0.0.0.0:22'] },
    ...{ hasConnected: false, hasTty: false, mostCpuPercent: 3, mostRssBytes: 4096 },
  }

  test('of several trainings are those of one', () => {
    const db = join(folderForTest(), 'baseline.db')
    learnHabits(db, new Map([['proc::root:/x', HABITS]]), ENTRY)
    const later = { ...HABITS, lastMs: 90, firstMs: 80, parents: ['proc::root:/b'], hasTty: true }
    learnHabits(db, new Map([['proc::root:/x', later]]), ENTRY)
    const database = new Database(db, { readonly: true })
    const rows = database.prepare<[], { habits: string }>('SELECT habits FROM habits').all()
    database.close()
    expect(rows.map(({ habits }) => JSON.parse(habits) as ProcessHabits)).toEqual([
      { ...HABITS, looks: 4, lastMs: 90, parents: ['proc::root:/a', 'proc::root:/b'], hasTty: true },
    ])
  })

  test.each([
    ['changed', "UPDATE habits SET habits = replace(habits, ':22', ':23')"],
    ['removed', 'DELETE FROM habits'],
    ['added', "INSERT INTO habits SELECT name || 'x', habits FROM habits"],
  ])('are vouched for: some %s are found', (_, sql) => {
    const db = join(folderForTest(), 'baseline.db')
    learnHabits(db, new Map([['proc::root:/x', HABITS]]), ENTRY)
    expect(verifyBaseline(db, []).problem).toBeUndefined()
    const database = new Database(db)
    database.exec(sql)
    database.close()
    expect(verifyBaseline(db, []).problem).toEqual({
      row: 1,
      reason: 'journal row 1 vouches for other habits of processes than are there',
    })
  })

  test('without a training are none', () => {
    const db = join(folderForTest(), 'baseline.db')
    new Baseline(db).close()
    expect(verifyBaseline(db, []).problem).toBeUndefined()
    const database = new Database(db)
    database.exec("INSERT INTO habits VALUES ('proc::root:/x', '{}')")
    database.close()
    expect(verifyBaseline(db, []).problem?.reason).toBe(
      'the journal vouches for other habits of processes than are there',
    )
  })
})
if (noPython === undefined && !isPackaged())
  process.stderr.write('model.test.ts: 1 left out: no package owns /usr/bin/python3\n')
if (noPython !== undefined) process.stderr.write(`model.test.ts: most left out: ${noPython}\n`)
