import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Decisions } from '../../agent/baseline/decisions.ts'
import { verifyBaseline } from '../../agent/baseline/verify.ts'
import { textOf } from '../../agent/report/text.ts'
import { Review } from '../../agent/review.ts'
import { lineConversation } from '../../agent/support/conversation.ts'
import { CRON, newBaseline, NGINX, NOON_MS, ordinaryLife, replay, WINDOW_MS } from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'
import type { Doer } from '../support/log-builder.ts'

const ROOT = join(import.meta.dirname, '../..')
const NOW_MS = NOON_MS + 86_400_000

/** A baseline with three incidents. */
function reported(): string {
  const path = join(folderForTest(), 'baseline.db')
  const log = ordinaryLife()
  const shell: Doer = { pid: 900, ppid: 800, exe: '/usr/bin/dash', uid: 33 }
  log
    .exec(shell)
    .connect(shell, '10.0.0.5', 80)
    .after(2 * WINDOW_MS)
  log.create(CRON, '/etc/cron.d/new').after(2 * WINDOW_MS)
  log.connect(NGINX, '203.0.113.66', 4444).after(2 * WINDOW_MS)
  const baseline = newBaseline(path)
  replay(log.create(CRON, '/run/cron.pid'), { alertsPerDay: 1000 }, baseline)
  return path
}

/** The titles of what was shown, in order, and what became of the incidents. */
async function reviewed(path: string, answers: string): Promise<{ shown: string[]; states: string[] }> {
  const decisions = new Decisions(path)
  onTestFinished(() => decisions.close())
  const [input, output] = [new PassThrough(), new PassThrough()]
  const conversation = lineConversation(input, output)
  input.end(Array.from(answers, (answer) => `${answer}\n`).join(''))
  const decide = () => ({ author: 'carol', reason: undefined, timeMs: NOW_MS })
  await new Review(decisions, conversation, {
    decide,
    generalisationOf: () => undefined,
    generalise: () => {
      throw new Error('nothing stands for more than itself here')
    },
    show: ({ incident }) => void output.write(`${textOf(incident)}\n`),
    tell: () => undefined,
  }).run()
  conversation.close()
  const text = String(output.read())
  const shown = [...text.matchAll(/\[incident (\d+)\]/g)].map(([, id = '']) => id)
  const states = [1, 2, 3].map((id) => decisions.incident(id).state)
  expect(verifyBaseline(path, []).problem).toBeUndefined()
  return { shown, states }
}

/** In the order in which they are shown. */
function order(path: string): number[] {
  const decisions = new Decisions(path)
  const ids = decisions.waiting(NOW_MS).map(({ incident }) => incident.id)
  decisions.close()
  return ids
}

describe('a review', () => {
  test('asks for one incident after the other, and writes what is answered', async () => {
    const path = reported()
    const ids = order(path)
    expect(ids.toSorted()).toEqual([1, 2, 3])
    const { shown, states } = await reviewed(path, 'adl')
    expect(shown.map(Number)).toEqual(ids)
    const stateOf = (place: number): string | undefined => states[(ids[place] ?? 0) - 1]
    expect([stateOf(0), stateOf(1), stateOf(2)]).toEqual(['accepted', 'denied', 'later'])
  })

  test('leaves what is skipped, and what comes after the last answer', async () => {
    const path = reported()
    const [first = 0] = order(path)
    const { states } = await reviewed(path, 'sm')
    expect(states.filter((state) => state === 'open')).toHaveLength(2)
    expect(states[first - 1]).toBe('open')
    expect(states).toContain('maintenance')
  })

  test('takes the last answer back', async () => {
    const path = reported()
    const ids = order(path)
    const { shown, states } = await reviewed(path, 'aduuddq')
    // The second answer is taken back; the first is written by then.
    expect(shown.map(Number).slice(0, 4)).toEqual([ids[0], ids[1], ids[2], ids[1]])
    expect(states[(ids[0] ?? 0) - 1]).toBe('accepted')
  })

  test('takes nothing back that is written, and says so', async () => {
    const path = reported()
    const { states } = await reviewed(path, 'uq')
    expect(states).toEqual(['open', 'open', 'open'])
  })

  test('explains its keys to whoever presses another', async () => {
    const path = reported()
    expect((await reviewed(path, 'x?zq')).states).toEqual(['open', 'open', 'open'])
  })
})

/** Runs a command of the agent to its end. */
const told = (input: string, ...words: readonly string[]) =>
  spawnSync(process.execPath, [join(ROOT, 'agent/main.ts'), ...words], { encoding: 'utf8', input })

test('for a program, a review is an object in each line, and the questions are not among them', () => {
  const path = reported()
  const ids = order(path)
  const { status, stdout, stderr } = told('a\nq\n', 'review', '--json', '--db', path)
  expect(status).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { kind: 'incident', id: ids[0], state: 'open', since: [] },
    { kind: 'incident', id: ids[1] },
    { kind: 'decision', incident: ids[0], state: 'accepted' },
  ])
  expect(stderr).toContain('[a]ccept')
})

test('what is no time and no edge is refused', () => {
  const path = reported()
  for (const words of [
    ['later', '1', '--for', '0m'],
    ['accept', '1', '--edge', 'abc'],
    ['deny', '1', '--edge', '0'],
    ['generalise', '1', '--edge', '1.5'],
  ]) {
    const { status, stdout, stderr } = told('', ...words, '--db', path)
    expect([words, status, stdout]).toEqual([words, 2, ''])
    expect(stderr).toMatch(/^fullmon: --(for|edge) takes /)
  }
})

/** Presses keys in a terminal when what it shows calls for them. */
const PTY = `
import os, pty, select, sys, time
keys = list(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
shown, answered = b'', 0
while True:
    ready, _, _ = select.select([fd], [], [], 60)
    if not ready: sys.exit('nothing was shown for a minute: ' + repr(shown[-300:]))
    try:
        part = os.read(fd, 65536)
    except OSError:
        break
    if not part: break
    shown += part
    if shown.count(b'[?]: ') > answered and keys:
        answered = shown.count(b'[?]: ')
        os.write(fd, keys.pop(0).encode())
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`
const python = spawnSync('python3', ['-c', 'import pty']).status === 0
if (!python) process.stderr.write('skipped: a review in a terminal: there is no python3\n')

describe.skipIf(!python)('in a terminal', () => {
  const pressed = (keys: string, path: string): { status: number | null; stdout: string } => {
    const words = [process.execPath, join(ROOT, 'agent/main.ts'), 'review', '--db', path, '--reason', 'ok']
    const { status, stdout } = spawnSync('python3', ['-c', PTY, keys, ...words], { encoding: 'utf8' })
    return { status, stdout }
  }

  test('a key is an answer, and the terminal is as it was', () => {
    const path = reported()
    const ids = order(path)
    const { status, stdout } = pressed('aq', path)
    expect(status).toBe(0)
    expect(stdout).toContain(`incident ${ids[0]} is accepted`)
    expect(order(path)).toEqual(ids.slice(1))
  })

  test('Ctrl-C ends it, and what was answered is written', () => {
    const path = reported()
    const ids = order(path)
    expect(pressed('d\u0003', path).status).toBe(0)
    expect(order(path)).toEqual(ids.slice(1))
  })
})
