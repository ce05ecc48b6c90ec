import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import type { ShownEvent, ShownSummary } from '../../agent/show/event.ts'
import { jsonOf } from '../../agent/report/printer.ts'
import { event, execve, line, syscall, untrusted } from '../support/log.ts'
import { show } from '../support/shown.ts'

const ROOT = join(import.meta.dirname, '../..')
const MAIN = join(ROOT, 'agent/main.ts')
const RECORDED = join(ROOT, 'test/fixtures/recorded')
const folder = mkdtempSync(join(tmpdir(), 'fullmon-events-'))
afterAll(() => rmSync(folder, { recursive: true }))

const fullmon = (
  words: readonly string[],
  input = '',
): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, [MAIN, 'events', ...words], {
    encoding: 'utf8',
    input: Buffer.from(input, 'latin1'),
  })

const shownOf = (words: readonly string[], input?: string): (ShownEvent | ShownSummary)[] =>
  fullmon([...words, '--json'], input)
    .stdout.trim()
    .split('\n')
    .map((text) => JSON.parse(text) as ShownEvent | ShownSummary)
/** The same without a program of its own for each log. */
const eventsOf = (log: string | Buffer): ShownEvent[] =>
  show(log).events.map((shown) => JSON.parse(jsonOf(shown)) as ShownEvent)

interface Truth {
  readonly edges: readonly { readonly kind: string; readonly to?: string }[]
}
const recorded = (name: string): string => join(RECORDED, `${name}.log`)
const truthOf = (name: string): Truth =>
  JSON.parse(readFileSync(join(RECORDED, `${name}.json`), 'utf8')) as Truth
const NAMES = readdirSync(RECORDED).flatMap((file) => (file.endsWith('.log') ? [file.slice(0, -4)] : []))

describe('what was recorded', () => {
  test.each(NAMES)('every record of %s is there, in its event', (name) => {
    const headers = readFileSync(recorded(name), 'latin1').matchAll(/type=(\S+) msg=audit\(([\d.]+):(\d+)\)/g)
    const types = new Map<string, string[]>()
    let records = 0
    for (const [, type = '', time = '', serial = ''] of headers) {
      const id = `${Number(time.replace('.', ''))}:${serial}`
      types.set(id, [...(types.get(id) ?? []), type])
      records++
    }
    const { events, summary } = show(readFileSync(recorded(name)))
    expect(summary).toEqual({ kind: 'summary', records, events: types.size, unreadable: 0, late: 0 })
    expect(new Map(events.map(({ id, records }) => [`${id.timeMs}:${id.serial}`, records]))).toEqual(types)
    for (const { complete, id } of events) {
      expect(complete).toBe(true)
      expect(id.node).toBe(name.endsWith('-node') ? 'web-01' : '')
    }
  })

  test.each(NAMES)('what was done in %s is shown: files by their true paths, peers by address', (name) => {
    const events = eventsOf(readFileSync(recorded(name)))
    const shown = new Set([
      ...events.flatMap(({ paths }) =>
        paths
          .filter(({ confidence }) => confidence !== 'low')
          .map(({ action, path }) => `file:${action}:${path}`),
      ),
      ...events.flatMap(({ peer }) => {
        if (peer === undefined) return []
        const { family, address = '', port = 0, path = '' } = peer
        return [
          `host:${family === 'inet6' ? `[${address}]` : family === 'unix' ? 'unix' : address}:${path || port}`,
        ]
      }),
    ])
    const done = truthOf(name).edges.flatMap(({ kind, to = '' }) =>
      to.startsWith('file:') || (to.startsWith('host:') && kind !== 'accept') ? [to] : [],
    )
    expect(done.filter((to) => !shown.has(to))).toEqual([])
  })

  test('an execve says who, what and where', () => {
    const [exec] = eventsOf(readFileSync(recorded('connect'))).filter(({ syscall }) => syscall === 'execve')
    expect(exec).toMatchObject({
      records: ['SYSCALL', 'EXECVE', 'CWD', 'PATH', 'PATH', 'PROCTITLE'],
      arch: 'x86_64',
      success: true,
      exit: 0,
      auid: 4242,
      uid: 0,
      euid: 0,
      argvTruncated: false,
      complete: true,
    })
    expect(exec?.argv).toContain('/srv/shop/connect.py')
  })
})

describe('logs', () => {
  test('several, packed ones and standard input say the same as one', () => {
    const bytes = readFileSync(recorded('exec'))
    const gz = join(folder, 'exec.log.gz')
    writeFileSync(gz, gzipSync(bytes))
    writeFileSync(join(folder, 'one'), bytes.subarray(0, 1000))
    writeFileSync(join(folder, 'two'), bytes.subarray(1000))
    const { stdout, status } = fullmon([recorded('exec'), '--json'])
    expect(status).toBe(0)
    expect(stdout).toContain('"execve"')
    expect(fullmon([gz, '--json']).stdout).toBe(stdout)
    expect(fullmon([join(folder, 'one'), join(folder, 'two'), '--json']).stdout).toBe(stdout)
    expect(fullmon(['-', '--json'], bytes.toString('latin1')).stdout).toBe(stdout)
  })

  test('what is no record, a torn last line and a record that came too late are counted', () => {
    const late = event(1, [['SYSCALL', syscall('exit_group')]])
    const log = `rubbish\n${late}${line('CWD', 1, 'cwd="/"')}type=SYSCALL msg=audit(1.000:2): arch=c0`
    expect(shownOf(['-'], log).at(-1)).toEqual({
      kind: 'summary',
      records: 3,
      events: 1,
      unreadable: 2,
      late: 1,
    })
    expect(fullmon(['-'], log).stdout.split('\n').at(-2)).toBe(
      '3 records, 1 events; 2 lines unreadable, 1 records late',
    )
  })

  test('an empty one has no events', () => {
    expect(shownOf(['-'])).toEqual([{ kind: 'summary', records: 0, events: 0, unreadable: 0, late: 0 }])
  })

  test.each([
    [['/does/not/exist'], /exist: no such file/],
    [[], /0, need at least 1/],
    [['-', '--bogus'], /bogus/],
  ])('%j is one sentence and exit code 2', (words, sentence) => {
    const { status, stdout, stderr } = fullmon(words)
    expect(stderr).toMatch(/^fullmon: [^\n]+\n$/)
    expect(stderr).toMatch(sentence)
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })
})

describe('fields', () => {
  const only = (log: string): ShownEvent => {
    const [shown, ...more] = eventsOf(log)
    expect(more).toEqual([])
    return shown as ShownEvent
  }

  test('what the log does not say is left out', () => {
    const exit = event(1, [['SYSCALL', syscall('exit_group', { success: '', exit: '', key: '(null)' })]])
    expect(Object.keys(only(exit))).toEqual([
      ...['kind', 'id', 'records', 'syscall', 'arch', 'pid', 'ppid', 'auid', 'uid', 'euid', 'comm', 'exe'],
      ...['paths', 'keys', 'complete'],
    ])
  })

  test('deeds are told, in the line of their event', () => {
    const exit = event(1, [['SYSCALL', syscall('exit_group', { success: '', exit: '', a0: '7f' })]])
    const refused = event(2, [['SYSCALL', syscall('setuid', { success: 'no', exit: -1 })]])
    expect(eventsOf(exit + refused)).toMatchObject([
      { deeds: [{ kind: 'end', status: 127 }] },
      { deeds: [{ kind: 'escalation', how: 'call', succeeded: false }] },
    ])
    const lines = fullmon(['-'], exit + refused).stdout.split('\n')
    expect(lines[0]).toContain(' end(status 127)')
    expect(lines[1]).toContain(' escalation(call refused)')
  })

  test('calls and architectures that nobody knows keep their numbers', () => {
    expect(only(line('SYSCALL', 1, syscall('open', { arch: 'deadbeef', syscall: 7 })))).toMatchObject({
      arch: 'deadbeef',
      syscall: '7',
    })
    expect(only(line('SYSCALL', 1, syscall('open', { syscall: 9999 })))).toMatchObject({
      arch: 'x86_64',
      syscall: '9999',
    })
  })

  test('claims never become what the kernel says', () => {
    const shown = only(
      line('USER_AUTH', 1, `pid=777 uid=1001 auid=1001 ses=4 msg='pid=1 uid=0 exe="/bin/su" res=success'`),
    )
    expect(shown).toMatchObject({
      pid: 777,
      uid: 1001,
      auid: 1001,
      claims: { pid: '1', uid: '0', exe: '/bin/su', res: 'success' },
    })
    expect(shown).not.toHaveProperty('exe')
    expect(shown).not.toHaveProperty('success')
  })

  test('the record of the call is believed before all others', () => {
    const avc = 'avc:  denied  { read } for  pid=1 comm="liar" tclass=file'
    expect(
      only(
        event(1, [
          ['AVC', avc],
          ['SYSCALL', syscall('open', { pid: 5, comm: '"x"' })],
        ]),
      ),
    ).toMatchObject({
      records: ['AVC', 'SYSCALL', 'PROCTITLE'],
      pid: 5,
      comm: 'x',
      details: [
        {
          type: 'AVC',
          words: 'avc: denied { read } for',
          fields: { pid: '1', comm: 'liar', tclass: 'file' },
        },
      ],
    })
  })

  test('whom a call took hold of', () => {
    const ptrace = event(1, [
      ['SYSCALL', syscall('ptrace', { a0: 10, a1: 29 })],
      ['OBJ_PID', 'opid=41 oauid=-1 ouid=33 oses=-1 ocomm="nginx"'],
    ])
    expect(only(ptrace)).toMatchObject({ syscall: 'ptrace', targets: [{ pid: 41, uid: 33, comm: 'nginx' }] })
  })
})

describe('a hostile log', () => {
  const HOSTILE = '\u001b]0;x\u0007\u001b[2J\r\n\u0085\u202e\u2028\ufeff"\\x41'
  const hostile = untrusted(HOSTILE)
  const log = [
    event(1, [
      ['SYSCALL', syscall('execve', { comm: hostile, exe: hostile, key: hostile })],
      ['EXECVE', execve([HOSTILE, ''])],
      ['CWD', `cwd=${hostile}`],
      ['PATH', `item=0 name=${hostile} inode=7 dev=fe:00 mode=0100755 nametype=NORMAL`],
    ]),
    event(2, [
      ['SYSCALL', syscall('connect')],
      ['SOCKADDR', `saddr=0100${Buffer.from(`/${HOSTILE}`).toString('hex')}`],
    ]),
    line('USER_CMD', 3, `pid=1 uid=0 msg='cmd=${hostile} \u001b[2J\u009b31m=\u001b[2J acct="\u001b[2J"'`),
    line('AVC', 4, '\u001b[2J\u009b31m constructor="\u001b[2J" __proto__="x" toString=\u001b[2J'),
    line('SYSCALL', 5, 'x', { node: '\u001b[2J\u009b' }),
  ].join('')

  test('writes one line an event, and nothing that a terminal obeys', () => {
    const { stdout } = fullmon(['-'], log)
    const lines = stdout.split('\n').slice(0, -1)
    expect(lines).toHaveLength(6)
    for (const text of lines) {
      expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufeff\ufffd]/u)
      expect(text).toMatch(/^(\d{4}-\d\d-\d\dT|\d+ records)/)
    }
  })

  test('writes the same as JSON, with nothing lost', () => {
    const { stdout } = fullmon(['-', '--json'], log)
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    const [exec, connect, user, avc] = eventsOf(log)
    expect(exec).toMatchObject({
      comm: HOSTILE,
      exe: HOSTILE,
      argv: [HOSTILE, ''],
      cwd: HOSTILE,
      keys: [HOSTILE],
    })
    expect(connect).toMatchObject({ peer: { family: 'unix', path: `/${HOSTILE}` } })
    expect(user?.claims).toMatchObject({ cmd: HOSTILE, acct: '\u001b[2J' })
    expect(Object.entries(avc?.details?.[0]?.fields ?? {})).toEqual([
      ['constructor', '\u001b[2J'],
      ['__proto__', 'x'],
      ['toString', '\u001b[2J'],
    ])
  })
})

test('a reader that goes away is no error', async () => {
  const child = spawn(process.execPath, [MAIN, 'events', recorded('files'), '--json'])
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', (text) => (stderr += String(text)))
  const status = await new Promise((resolve) => child.once('close', resolve))
  expect(stderr).toBe('')
  expect(status).toBe(0)
})

test('one signal ends it although its input goes on', async () => {
  const child = spawn(process.execPath, [MAIN, 'events', '-'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('close', resolve))
  child.stdin.write(event(1, [['SYSCALL', syscall('exit_group')]]))
  // Its first line shows that it reads.
  await new Promise((resolve) => child.stdout.once('data', resolve))
  child.kill('SIGINT')
  expect(await ended).toBe(130)
})

test('help has examples', () => {
  const { status, stdout } = fullmon(['--help'])
  expect(stdout).toMatch(/Examples:\n.*fullmon events/s)
  expect(status).toBe(0)
})
