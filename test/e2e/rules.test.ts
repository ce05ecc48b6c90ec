import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Deed } from '../../agent/domain/activity.ts'
import { type Edge, EDGE_KINDS } from '../../agent/domain/edge.ts'
import type { Report } from '../../agent/domain/report.ts'
import {
  auditctl,
  auditdUnavailable,
  ensureAuditd,
  rulesForLoginuid,
  startAuditd,
} from '../support/auditd.ts'
import { type Argument, type Bits, type Call, elf } from '../support/workload/elf.ts'
import {
  ADDRESSES,
  hasSyscall,
  type Scene,
  syscallNumber,
  SYSCALLS,
  workload,
} from '../support/workload/syscalls.ts'
import { findingsOf } from '../support/incidents.ts'

const ROOT = join(import.meta.dirname, '../..')
const TEXT = readFileSync(join(ROOT, 'audit.rules'), 'utf8')
const STATE = '/var/lib/fullmon'

const DEEDS: readonly Deed['kind'][] = ['escalation', 'exec-failed', 'end']

interface Rule {
  /** Line number in audit.rules, from 1. */
  readonly line: number
  readonly text: string
  /** The comment above its paragraph, on one line. */
  readonly comment: string
  readonly bits: Bits | undefined
  readonly syscalls: readonly string[]
}

const rules = readRules(TEXT)
const always = rules.filter((rule) => rule.text.startsWith('-a always,exit '))
const hot = rules.filter((rule) => rule.text.startsWith('-a never,exit ') && !rule.text.includes('dir='))

ensureAuditd()
const unavailable = process.arch === 'x64' ? auditdUnavailable() : 'the workloads are programs for x86'
if (unavailable !== undefined) process.stderr.write(`rules.test.ts: the kernel is left out: ${unavailable}\n`)

describe('the text of audit.rules', () => {
  test('holds nothing but comments, control lines and rules', () => {
    const control = /^(-c|-b \d+|-f [01]|--backlog_wait_time \d+)$/
    const rest = TEXT.split('\n').filter(
      (line) => line !== '' && !/^(#|-a )/.test(line) && !control.test(line),
    )
    expect(rest).toEqual([])
  })

  test('has no old-style watch, no perm=, no short key', () => {
    for (const { text } of rules) expect(text).not.toMatch(/ -[wpk] |perm=/)
  })

  test.each(rules)('line $line says which edge or deed it feeds, or why it is there', ({ comment }) => {
    const feeds = /^((?:[a-z-]+, )*[a-z-]+): \S/.exec(comment)?.[1]?.split(', ') ?? []
    expect(feeds).not.toEqual([])
    for (const kind of feeds) expect([...EDGE_KINDS, ...DEEDS, 'nothing']).toContain(kind)
  })

  test('calls optional what feeds no edge but a deed, and nothing else', () => {
    for (const { comment } of rules) {
      const isDeed = DEEDS.some((kind) => comment.startsWith(`${kind}: `))
      expect(/\bOptional\b/.test(comment), comment).toBe(isDeed)
    }
  })

  test('feeds every kind of edge', () => {
    const feeds = new Set(rules.flatMap(({ comment }) => comment.split(':')[0]?.split(', ') ?? []))
    expect(EDGE_KINDS.filter((kind) => !feeds.has(kind))).toEqual([])
  })

  test('names an architecture first, and a key last, in each rule that records', () => {
    for (const { text } of always) {
      expect(text).toMatch(/^-a always,exit -F arch=b(64|32) -S [a-z0-9_,]+ (-F \S+ )*-F key=fullmon-[a-z]+$/)
    }
  })

  test('sees in 32-bit programs what it sees in 64-bit ones', () => {
    const keys = (bits: Bits) => new Set(always.filter((rule) => rule.bits === bits).map(keyOf))
    expect(keys('b32')).toEqual(keys('b64'))
  })

  test('records every connect, whether it succeeded or not', () => {
    const connects = always.filter((rule) => keyOf(rule) === 'fullmon-connect')
    for (const { text } of connects) expect(text).not.toMatch(/success|exit=/)
  })
})

describe.skipIf(unavailable !== undefined)('audit.rules in the kernel', () => {
  // Nothing in it may look like chance: files in such a directory share a name.
  const letters = String(process.pid).replace(/\d/g, (digit) => 'abcdefghij'.charAt(Number(digit)))
  const directory = join(tmpdir(), `fullmon-rules-${letters}`)
  const log = join(directory, 'audit.log')
  const stateExisted = existsSync(STATE)
  const stateFile = join(STATE, `test-${process.pid}`)
  const at = (name: string): string => join(directory, name)
  let target = 0
  let listed = ''
  let events: readonly LoggedEvent[] = []

  beforeAll(async () => {
    mkdirSync(directory)
    // Others run programs from here too, whatever the umask.
    chmodSync(directory, 0o755)
    mkdirSync(STATE, { recursive: true })
    writeProgram(at('target'), 'b64', [[syscallNumber('b64', 'pause')]])
    writeProgram(at('quick'), 'b64', [])
    const lab = await startAuditd({
      logFormat: 'ENRICHED',
      rules: rulesForLoginuid([...TEXT.split('\n').map(tagged), ...hot.map(probe)].join('\n')),
    })
    try {
      listed = auditctl('-l')
      target = lab.start([at('target')]).pid
      const shows = always.flatMap((rule) => rule.syscalls.map((syscall) => prepare(sceneOf(rule, syscall))))
      const programs = [...shows, ...hot.map(writeHotCalls), ...writeStateWork(), writeNudges()]
      const { stderr } = await lab.run(programs.join('\n'), { addresses: ADDRESSES })
      expect(stderr).toBe('')
      await lab.settle()
      copyFileSync(lab.logFile, log)
    } finally {
      await lab.stop()
    }
    events = readEvents(readFileSync(log, 'latin1'))
  })

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true })
    if (!stateExisted) rmSync(STATE, { recursive: true, force: true })
  })

  function sceneOf(rule: Rule, syscall: string): Scene {
    const value = (field: string): string => new RegExp(` -F ${field}=(\\S+)`).exec(rule.text)?.[1] ?? ''
    const isRefused = / -F exit=-/.test(rule.text)
    const refused = isRefused ? 'refused' : ''
    const name = [rule.bits, syscall, refused, value('a0'), value('saddr_fam')]
      .filter((part) => part !== '')
      .join('-')
    return {
      bits: rule.bits ?? 'b64',
      syscall,
      isRefused,
      a0: Number(value('a0')),
      family: value('saddr_fam') === '10' ? 10 : 2,
      port: 10_000 + 10 * rule.line + rule.syscalls.indexOf(syscall),
      exe: at(name),
      target: at('target'),
      targetPid: target,
      quick: at('quick'),
    }
  }

  function prepare(scene: Scene): string {
    const { before, file, calls } = workload(scene)
    if (before === 'file') writeFileSync(file, 'x')
    if (before === 'directory') mkdirSync(file)
    return writeProgram(scene.exe, scene.bits, calls)
  }

  /** The hot calls with nothing as arguments, and one that is not hot. */
  function writeHotCalls(rule: Rule, index: number): string {
    const names = rule.syscalls.filter((name) => !WAITS_OR_CRASHES.has(name))
    const bits = rule.bits ?? 'b64'
    const calls = [...names, 'getppid'].map((name): Call => [syscallNumber(bits, name), 0, 0, 0, 0, 0, 0])
    return writeProgram(at(`hot-${index}`), bits, calls)
  }

  /** As the agent's user, as somebody else with all its rights, and as somebody who misuses the directory. */
  function writeStateWork(): string[] {
    const call = (name: string, ...args: readonly Argument[]): Call => [syscallNumber('b64', name), ...args]
    const flags = 0o101
    const agentCalls = [
      call('openat', -100, stateFile, flags, 0o600),
      call('fchmod', 3, 0o640),
      call('fchown', 3, 0, 0),
      call('unlinkat', -100, stateFile, 0),
      call('open', stateFile, flags, 0o600),
      call('unlink', stateFile),
    ]
    return [
      writeProgram(at('state-agent'), 'b64', agentCalls),
      writeProgram(at('state-other'), 'b64', [call('setresuid', 33, 0, 0), ...agentCalls]),
      writeProgram(at('state-misuse'), 'b64', [
        call('link', at('quick'), stateFile),
        call('rename', stateFile, at('taken-out')),
        call('rename', at('taken-out'), stateFile),
        call('execve', stateFile, [stateFile, 0], 0),
      ]),
      `rm ${stateFile}`,
    ]
  }

  /** Signals that end nothing, and of which runtimes are full: a question, SIGURG, SIGWINCH; and one that counts. */
  function writeNudges(): string {
    const call = (name: string, ...args: readonly number[]): Call => [
      syscallNumber('b64', name),
      target,
      ...args,
    ]
    const quiet = [0, 23, 28].flatMap((signal) => [call('kill', signal), call('tgkill', target, signal)])
    return writeProgram(at('nudges'), 'b64', [...quiet, call('kill', 18)])
  }

  const callsOf = (exe: string): string[] =>
    events
      .filter((event) => event.exe === exe && !event.keys.includes('fullmon-exec'))
      .map(({ call }) => call)

  test('every rule is accepted', () => {
    expect(listed.trim().split('\n')).toHaveLength(rules.length + hot.length)
  })

  test.each(always)('line $line records what it is for', (rule) => {
    for (const syscall of rule.syscalls.filter(kernelKnows)) {
      const scene = sceneOf(rule, syscall)
      const call = `${scene.bits} ${syscallNumber(scene.bits, syscall)}`
      // After an exec the event shows the new program.
      const exe = syscall.startsWith('exec') && !scene.isRefused ? scene.quick : scene.exe
      const found = events.filter((event) => event.exe === exe && event.call === call)
      expect(
        found.map(({ keys }) => keys),
        syscall,
      ).toContainEqual([keyOf(rule), tagOf(rule)])
    }
  })

  test('signals that mean nothing are not recorded', () => {
    expect(callsOf(at('nudges'))).toEqual([`b64 ${syscallNumber('b64', 'kill')}`])
  })

  test('every call that has a workload is recorded on each architecture that has it', () => {
    const unrecorded = (['b64', 'b32'] as const).flatMap((bits) => {
      const recorded = new Set(always.filter((rule) => rule.bits === bits).flatMap((rule) => rule.syscalls))
      return SYSCALLS.filter((name) => hasSyscall(bits, name) && !recorded.has(name)).map(
        (name) => `${bits} ${name}`,
      )
    })
    expect(unrecorded).toEqual([])
  })

  test.each(hot)('line $line keeps the calls that it names out of all rules below', (rule) => {
    const bits = rule.bits ?? 'b64'
    expect(callsOf(at(`hot-${hot.indexOf(rule)}`))).toEqual([`${bits} ${syscallNumber(bits, 'getppid')}`])
  })

  test('opening the baseline as root is not recorded, removing it and giving it other rights is', () => {
    const work = ['fchmod', 'fchown', 'unlinkat', 'unlink']
    expect(callsOf(at('state-agent'))).toEqual(work.map((name) => `b64 ${syscallNumber('b64', name)}`))
  })

  test('the same work by another user is', () => {
    const work = ['openat', 'fchmod', 'fchown', 'unlinkat', 'open', 'unlink']
    expect(callsOf(at('state-other')).slice(1)).toEqual(
      work.map((name) => `b64 ${syscallNumber('b64', name)}`),
    )
  })

  test('links, renames and programs in the directory are', () => {
    const work = ['link', 'rename', 'rename']
    expect(callsOf(at('state-misuse'))).toEqual(work.map((name) => `b64 ${syscallNumber('b64', name)}`))
    expect(events.filter(({ exe, keys }) => exe === stateFile && keys.includes('fullmon-exec'))).toHaveLength(
      1,
    )
  })

  test('nothing was lost', () => {
    expect(readFileSync(log, 'latin1')).not.toMatch(/audit_lost|lost=[1-9]/)
  })

  test('auditctl -R loads the file, and goes on without a rule that this machine refuses', async () => {
    const lab = await startAuditd({ logFormat: 'RAW', rules: [] })
    try {
      const whole = `-c\n${rulesForLoginuid(TEXT).join('\n')}\n`
      const load = (text: string): { status: number | null; loaded: number } => {
        const file = at('loaded.rules')
        writeFileSync(file, text, { mode: 0o600 })
        auditctl('-D')
        const { status } = spawnSync('auditctl', ['-R', file])
        return { status, loaded: auditctl('-l').trim().split('\n').length }
      }
      expect(load(whole)).toEqual({ status: 0, loaded: rules.length })
      const missing = rules.filter(({ text }) => text.includes('dir=')).length
      const { status, loaded } = load(whole.replaceAll(STATE, '/nonexistent'))
      expect(status).not.toBe(0)
      expect(loaded).toBe(rules.length - missing)
    } finally {
      await lab.stop()
    }
  })

  describe('read by fullmon', () => {
    let findings: readonly Edge[] = []

    beforeAll(() => {
      const args = ['agent/main.ts', 'replay', '--json', '--train', '0', '--db', at('replay.db'), log]
      const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
      expect(status, stderr).toBe(0)
      findings = stdout
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .flatMap((line) => findingsOf([JSON.parse(line) as Report]).map(({ edge }) => edge))
    })

    test.each(always)('line $line yields its edge', (rule) => {
      const calls = rule.syscalls.filter(kernelKnows)
      const expected = calls.flatMap((syscall) => workload(sceneOf(rule, syscall)).edges)
      const missing = expected.filter(
        ({ kind, from, to }) =>
          !findings.some(
            (edge) => edge.kind === kind && edge.from === (from ?? edge.from) && edge.to === (to ?? edge.to),
          ),
      )
      expect(missing).toEqual([])
    })
  })
})

interface LoggedEvent {
  readonly exe: string
  /** `b32` or `b64`, and the number of the system call. */
  readonly call: string
  readonly keys: readonly string[]
}

/** The plainest reader that will do: SYSCALL records only, one line each. */
function readEvents(log: string): LoggedEvent[] {
  return log
    .split('\n')
    .map((line) => line.split('\x1d')[0] ?? '')
    .filter((line) => line.startsWith('type=SYSCALL '))
    .map((line) => {
      const field = (name: string): string => new RegExp(` ${name}=(\\S*)`).exec(line)?.[1] ?? ''
      const text = (value: string): string =>
        value.startsWith('"') ? value.slice(1, -1) : Buffer.from(value, 'hex').toString('latin1')
      const bits = { c000003e: 'b64', 40000003: 'b32' }[field('arch')] ?? ''
      return {
        exe: text(field('exe')),
        call: `${bits} ${field('syscall')}`,
        keys: text(field('key')).split('\x01'),
      }
    })
}

function readRules(text: string): Rule[] {
  const lines = text.split('\n')
  return lines.flatMap((line, index) => {
    if (!line.startsWith('-a ')) return []
    const paragraph = lines.slice(lines.lastIndexOf('', index) + 1, index)
    const comment = paragraph.filter((above) => above.startsWith('#')).map((above) => above.slice(2))
    const bits = line.includes('arch=b64') ? 'b64' : line.includes('arch=b32') ? 'b32' : undefined
    const syscalls = / -S (\S+)/.exec(line)?.[1]?.split(',') ?? []
    return [{ line: index + 1, text: line, comment: comment.join(' '), bits, syscalls }]
  })
}

const keyOf = (rule: Rule): string => / -F key=(\S+)/.exec(rule.text)?.[1] ?? ''

/** A second key tells rules with the same key apart. */
const tagOf = (rule: Rule): string => `line-${rule.line}`
const tagged = (line: string, index: number): string =>
  line.startsWith('-a always,exit ') ? `${line} -F key=line-${index + 1}` : line

/** The first match wins: a rule at the end sees the calls of `rule` only if nothing has cut them off before. */
const probe = (rule: Rule): string =>
  `-a always,exit -F arch=${rule.bits ?? ''} -S ${[...rule.syscalls, 'getppid'].join(',')} -F key=probe`

/** Hot calls that would wait for ever, or need a signal to come back from. */
const WAITS_OR_CRASHES: ReadonlySet<string> = new Set([
  ...['ppoll', 'ppoll_time64', 'pselect6', 'pselect6_time64', 'select', 'rt_sigreturn'],
])

/** Kernels that brought the calls which audit.rules names by number. */
const BROUGHT_BY: ReadonlyMap<string, readonly [number, number]> = new Map([
  ['452', [6, 6]],
  ['463', [6, 13]],
  ['466', [6, 13]],
])

function kernelKnows(syscall: string): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  const [needsMajor, needsMinor] = BROUGHT_BY.get(syscall) ?? [0, 0]
  return major > needsMajor || (major === needsMajor && minor >= needsMinor)
}

function writeProgram(path: string, bits: Bits, calls: readonly Call[]): string {
  writeFileSync(path, elf(bits, calls), { mode: 0o755 })
  return path
}
