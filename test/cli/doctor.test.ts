import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  rmSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { acquireLock } from '../../agent/baseline/lock.ts'
import { statusOf } from '../../agent/baseline/status.ts'
import { hidesTasks, missingRules, parseRules } from '../../agent/watch/audit-rules.ts'
import { parseAuditdConf } from '../../agent/watch/auditd-conf.ts'
import { type Check, diagnose, type Facts } from '../../agent/doctor/checks.ts'
import { ok } from '../../agent/domain/result.ts'
import { auditctl, auditdMissing, shippedRules, startAuditd } from '../support/auditd.ts'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const RULES = readFileSync(join(ROOT, 'audit.rules'), 'utf8')
const STATE = '/var/lib/fullmon'
const MIB = 1024 * 1024
const isRoot = process.getuid?.() === 0

describe('auditctl -l', () => {
  /** Rules as a file has them, and as auditctl 3.0.9 and 4.0.2 printed them after loading. */
  const SPELLINGS: readonly (readonly [string, string])[] = [
    [
      '-a always,exit -F arch=b64 -S openat,open_by_handle_at -F a2&01103 -F filetype=file -F success=1 -F key=w',
      '-a always,exit -F arch=b64 -S openat,open_by_handle_at -F a2&0x243 -F filetype=32768 -F success=1 -F key=w',
    ],
    [
      '-a always,exit -F arch=b32 -S socketcall -F a0=18 -F saddr_fam=10 -F success=1 -F key=a',
      '-a always,exit -F arch=b32 -S socketcall -F a0=0x12 -F saddr_fam=10 -F success=1 -F key=a',
    ],
    [
      '-a always,exit -F arch=b64 -S setxattr,fchmod,452 -F success=1 -F key=x',
      '-a always,exit -F arch=b64 -S fchmod,setxattr,452 -F success=1 -F key=x',
    ],
    [
      '-a always,exit -F arch=b64 -S setxattr,fchmod,452 -F success=1 -F key=x',
      '-a always,exit -F arch=b64 -S fchmod,setxattr,fchmodat2 -F success=1 -F key=x',
    ],
    ['-A exit,always -F arch=b64 -S execve -k x', '-a always,exit -F arch=b64 -S execve -F key=x'],
    ['-a never,exit -F arch=b64 -S read -S write', '-a never,exit -F arch=b64 -S read,write'],
    ['-a always,exclude -F msgtype=BPRM_FCAPS', '-a always,exclude -F msgtype=BPRM_FCAPS'],
  ]

  test.each(SPELLINGS)('%s is loaded as %s', (written, listed) => {
    expect(missingRules(parseRules(written), parseRules(listed))).toEqual([])
  })

  test.each([
    ['another key', 'key=x', 'key=y'],
    ['no key', ' -F key=x', ''],
    ['a call less', 'execve,execveat', 'execve'],
    ['a call more', 'execve,execveat', 'execve,execveat,fork'],
    ['another call', 'execveat', 'fork'],
    ['another architecture', 'arch=b64', 'arch=b32'],
    ['one field more, which makes it narrower', 'success=1', 'success=1 -F auid=1000'],
    ['another value', 'success=1', 'success=0'],
    ['another comparison', 'success=1', 'success!=1'],
    ['never instead of always', 'always,exit', 'never,exit'],
  ])('a rule with %s is another rule', (_, from, to) => {
    const rule = '-a always,exit -F arch=b64 -S execve,execveat -F success=1 -F key=x'
    expect(missingRules(parseRules(rule), parseRules(rule.replace(from, to)))).toHaveLength(1)
  })

  test('every rule of audit.rules is read, and those that only x86 can have are known by their comment', () => {
    const rules = parseRules(RULES)
    expect(rules).toHaveLength(RULES.split('\n').filter((line) => line.startsWith('-a ')).length)
    const calls = rules.filter(({ isForX86 }) => isForX86).flatMap(({ syscalls }) => [...syscalls])
    expect(calls).toEqual(expect.arrayContaining(['open', 'unlink', 'chmod', 'poll']))
    expect(calls).not.toContain('openat')
    expect(calls).not.toContain('socketcall')
  })

  test.each(['', 'No rules\n', '-w /etc/passwd -p wa -k x\n', '-a\n', '-a \n', '\0\n', '# -a always,exit\n'])(
    'that says %j holds none of ours',
    (text) => {
      const wanted = parseRules(RULES)
      expect(missingRules(wanted, parseRules(text))).toHaveLength(wanted.length)
    },
  )

  test.each([
    ['-a never,task', true],
    ['-a task,never', true],
    ['-a never,task -F auid=4242', true],
    ['-a always,exit -F arch=b64 -S execve -F key=never,task', false],
    ['-w /never,task -p wa -k never,task', false],
    ['-a never,exit -F arch=b64 -S all', false],
    ['No rules', false],
  ])('%s hides tasks: %s', (line, hides) => {
    expect(parseRules(line).some(hidesTasks)).toBe(hides)
  })
})

describe('auditd.conf', () => {
  test('is read as auditd reads it', () => {
    const conf = parseAuditdConf(
      '#log_format = NOLOG\nLOG_FORMAT = Enriched\n\n  log_file  =  /Logs/Audit.log  \nnum_logs = 5\nspace_left = 25%\n',
    )
    expect(conf).toMatchObject({
      log_format: 'enriched',
      log_file: '/Logs/Audit.log',
      num_logs: '5',
      space_left: '25%',
    })
  })

  // auditd.conf(5) and clear_config of auditd.
  test('that is empty means the defaults of auditd', () => {
    expect(parseAuditdConf('')).toMatchObject({
      write_logs: 'yes',
      log_file: '/var/log/audit/audit.log',
      log_format: 'raw',
      max_log_file_action: 'ignore',
    })
  })

  test.each([
    'log_format',
    'log_format =',
    'log_format=ENRICHED',
    'log_format ENRICHED',
    'xlog_format = ENRICHED',
    'num_logs = many',
    '__proto__ = x',
    'constructor = x',
    '\0 = \0',
  ])('with the line %j says nothing by it', (line) => {
    expect(parseAuditdConf(`${line}\n`)).toEqual(parseAuditdConf(''))
  })
})

const isolated = (conf: string): Facts['conf'] => ok(parseAuditdConf(conf))
const CONF =
  'log_format = RAW\nmax_log_file = 8\nnum_logs = 5\nmax_log_file_action = ROTATE\nspace_left = 75\n'

/** A host where nothing is wrong. */
function healthy(): Facts {
  const db = join(folderForTest(), 'baseline.db')
  const baseline = new Baseline(db)
  baseline.trainings.begin(0, 1000)
  baseline.trainings.extend(1000, true)
  baseline.close()
  const rules = parseRules(RULES)
  return {
    auditd: '/usr/sbin/auditd',
    kernel: ok({ enabled: 1, pid: 619, lost: 0, backlog: 0, backlogLimit: 16384 }),
    receiver: '/usr/sbin/auditd',
    loaded: ok(rules),
    wanted: rules,
    rulesFile: '/opt/fullmon/audit.rules',
    conf: isolated(CONF),
    confFile: '/etc/audit/auditd.conf',
    plugin: undefined,
    log: {
      path: '/var/log/audit/audit.log',
      state: 'readable',
      isAuditds: true,
      space: { free: 500 * MIB, size: 1000 * MIB },
    },
    db,
    isOfService: false,
    baseline: { state: 'readable', mode: 0o600, status: statusOf(db) },
    agent: { pid: 700, command: 'fullmon run' },
    baselineFree: { free: 500 * MIB, size: 1000 * MIB },
  }
}

const kernel = (change: object): Facts['kernel'] =>
  ok({ enabled: 1, pid: 619, lost: 0, backlog: 0, backlogLimit: 16384, ...change })

const withLog = ({ log }: Facts, change: object): Facts['log'] => log && { ...log, ...change }

describe('diagnosis', () => {
  const troubled = (facts: Facts): Check[] => diagnose(facts).filter(({ state }) => state !== 'ok')

  test('of a healthy host finds nothing', () => {
    expect(troubled(healthy())).toEqual([])
  })

  test.each<readonly [string, (facts: Facts) => Partial<Facts>, RegExp, RegExp]>([
    ['installed', () => ({ auditd: undefined }), /not installed/, /^apt-get install auditd$/],
    ['running', () => ({ kernel: kernel({ pid: 0 }) }), /nobody/, /^service auditd start$/],
    ['running', () => ({ receiver: '/usr/bin/go-audit' }), /go-audit/, /^kill 619 /],
    ['enabled', () => ({ kernel: kernel({ enabled: 0 }) }), /enabled 0/, /^auditctl -e 1$/],
    ['rules', () => ({ loaded: ok([]) }), /^(\d+) of \1 /, /fullmon\.rules && augenrules --load$/],
    ['rules', ({ wanted }) => ({ loaded: ok(wanted.slice(1)) }), /^1 of \d+ /, /augenrules --load$/],
    ['rules', () => ({ loaded: ok([]), kernel: kernel({ enabled: 2 }) }), /^(\d+) of \1 /, /reboot$/],
    [
      'never-task',
      ({ wanted }) => ({ loaded: ok([...parseRules('-a never,task'), ...wanted]) }),
      /'-a never,task' hides every process/,
      /augenrules --load$/,
    ],
    [
      'lost',
      () => ({ kernel: kernel({ lost: 3 }) }),
      /3 records/,
      /^auditctl -b 32768 && auditctl --reset-lost$/,
    ],
    [
      'backlog',
      () => ({ kernel: kernel({ backlog: 60, backlogLimit: 64 }) }),
      /60 of 64/,
      /^auditctl -b 16384$/,
    ],
    [
      'log',
      (facts) => ({ log: withLog(facts, { state: 'absent' }) }),
      /there is no/,
      /^service auditd start$/,
    ],
    ['log', (facts) => ({ log: withLog(facts, { state: 'no-file' }) }), /not a file/, /^ls -l /],
    [
      'log-file',
      (facts) => ({
        conf: isolated(`${CONF}log_file = /logs/a b.log`),
        log: withLog(facts, { isAuditds: false }),
      }),
      /writes to \/logs\/a/,
      /^fullmon run --auditd \/logs\/a$/,
    ],
    ['log-file', () => ({ conf: isolated(`${CONF}write_logs = no`) }), /writes no log/, /write_logs = yes/],
    [
      'log-file',
      () => ({ conf: isolated(`${CONF}log_format = NOLOG`) }),
      /writes no log/,
      /log_format = RAW/,
    ],
    [
      'log-format',
      () => ({ conf: isolated(`${CONF}log_format = ENRICHED`) }),
      /forge/,
      /log_format = RAW.* && kill -HUP 619$/,
    ],
    [
      'rotation',
      () => ({ conf: isolated(`${CONF}max_log_file = 6`) }),
      /5 logs of 6 MiB/,
      /max_log_file = 7/,
    ],
    [
      'rotation',
      () => ({ conf: isolated(`${CONF}max_log_file_action = SUSPEND`) }),
      /stops writing/,
      /max_log_file_action = ROTATE/,
    ],
    [
      'log-disk',
      (facts) => ({ log: withLog(facts, { space: { free: 75 * MIB, size: 1000 * MIB } }) }),
      /75 MiB free/,
      /du /,
    ],
    [
      'log-disk',
      () => ({ conf: isolated(`${CONF}space_left = 50%\ndisk_full_action = SUSPEND`) }),
      /500 MiB free, auditd wants 500 MiB; when it is full, auditd stops writing/,
      /du /,
    ],
    ['baseline', () => ({ baseline: { state: 'absent' } }), /there is none/, /^fullmon train --db /],
    [
      'baseline',
      () => ({ baseline: { state: 'refused', reason: 'x is a database of another program' } }),
      /another program/,
      /^mv .* && fullmon train --db /,
    ],
    [
      'baseline',
      () => ({ baseline: { state: 'refused', reason: 'x has schema 9, this program reads 1' } }),
      /schema 9/,
      /^fullmon run --db /,
    ],
    [
      'baseline-mode',
      ({ baseline }) => ({
        baseline: baseline.state === 'readable' ? { ...baseline, mode: 0o640 } : baseline,
      }),
      /mode 0640/,
      /^chmod 600 /,
    ],
    ['agent', () => ({ agent: undefined }), /no agent is running/, /^fullmon run --db /],
    [
      'agent',
      () => ({ agent: undefined, isOfService: true }),
      /no agent/,
      /^systemctl enable --now fullmon$/,
    ],
    [
      'baseline',
      () => ({ baseline: { state: 'absent' }, isOfService: true }),
      /there is none at/,
      /^systemctl enable --now fullmon$/,
    ],
    ['baseline-disk', () => ({ baselineFree: { free: 255 * MIB, size: 1000 * MIB } }), /255 MiB free/, /du /],
  ])('%s is bad', (name, change, detail, mend) => {
    const facts = healthy()
    const found = troubled({ ...facts, ...change(facts) })
    expect(found).toEqual([
      {
        kind: 'check',
        name,
        state: 'bad',
        detail: expect.stringMatching(detail) as string,
        mend: expect.stringMatching(mend) as string,
      },
    ])
  })

  test('an untrained baseline is bad, one in training is not', () => {
    const db = join(folderForTest(), 'baseline.db')
    const baseline = new Baseline(db)
    const found = (): Check[] =>
      troubled({ ...healthy(), db, baseline: { state: 'readable', mode: 0o600, status: statusOf(db) } })
    expect(found()).toMatchObject([{ name: 'baseline', state: 'bad', detail: `${db} is not trained` }])
    baseline.trainings.begin(0, 1000)
    expect(found()).toEqual([])
    baseline.close()
  })

  test('a program that an upgrade replaced is still auditd', () => {
    expect(troubled({ ...healthy(), receiver: '/usr/sbin/auditd (deleted)' })).toEqual([])
  })

  test('nobody else is told to read its configuration again', () => {
    const facts = {
      ...healthy(),
      receiver: '/usr/bin/go-audit',
      conf: isolated(`${CONF}log_format = ENRICHED`),
    }
    const format = diagnose(facts).find(({ name }) => name === 'log-format')
    expect(format?.mend).not.toContain('kill')
  })

  test('what cannot be seen is unknown, not bad and not ok', () => {
    const reason = { ok: false, error: 'run fullmon as root' } as const
    const facts = healthy()
    const found = diagnose({
      ...facts,
      kernel: reason,
      loaded: reason,
      conf: reason,
      log: withLog(facts, { state: 'denied' }),
      baseline: { state: 'denied' },
      baselineFree: undefined,
    })
    expect(found.filter(({ state }) => state === 'bad')).toEqual([])
    expect(found.filter(({ state }) => state === 'ok').map(({ name }) => name)).toEqual(['installed'])
  })

  test('the plugin of auditd is one that auditd runs, and then its log does not matter', () => {
    const facts = { ...healthy(), log: undefined, plugin: { pid: 77, socket: '/run/fullmon/events' } }
    expect(diagnose(facts).map(({ name, state }) => [name, state])).toContainEqual(['plugin', 'ok'])
    expect(diagnose(facts).map(({ name }) => name)).not.toContain('log')
    const gone = diagnose({ ...facts, plugin: { ...facts.plugin, pid: undefined } })
    expect(gone.find(({ name }) => name === 'plugin')).toMatchObject({
      state: 'bad',
      mend: expect.stringMatching(/^fullmon setup plugin && kill -HUP \d+$/) as unknown,
    })
  })

  test('on standard input the log of auditd does not matter', () => {
    const names = diagnose({ ...healthy(), log: undefined }).map(({ name }) => name)
    expect(names).toContain('log')
    expect(names).not.toContain('log-file')
    expect(names).not.toContain('rotation')
  })

  test('paths in the commands are one word of a shell', () => {
    const db = "/tmp/it's a; touch pwned"
    const [check] = troubled({ ...healthy(), db, baseline: { state: 'absent' } })
    const word = (check?.mend ?? '').slice('fullmon train --db '.length)
    expect(execFileSync('/bin/sh', ['-c', `printf %s ${word}`], { encoding: 'utf8' })).toBe(db)
  })

  test.each([
    ['log-format', 'log_format = ENRICHED', 'log_format', 'raw'],
    ['log-format', ' Log_Format  =  Enriched', 'log_format', 'raw'],
    ['log-file', 'write_logs = no', 'write_logs', 'yes'],
    ['rotation', 'max_log_file_action = SUSPEND', 'max_log_file_action', 'rotate'],
  ] as const)('the command for %s mends a file with the line "%s"', (name, line, setting, value) => {
    const confFile = join(folderForTest(), 'auditd.conf')
    const text = `# kept\nnum_logs = 5\n${line}\n`
    writeFileSync(confFile, text)
    const check = diagnose({ ...healthy(), confFile, conf: isolated(text) }).find(
      (found) => found.name === name,
    )
    const [sed = ''] = (check?.mend ?? '').split(' && ')
    execFileSync('/bin/sh', ['-c', sed])
    const mended = readFileSync(confFile, 'utf8')
    expect(parseAuditdConf(mended)).toEqual({ ...parseAuditdConf(text), [setting]: value })
    expect(mended).toContain('# kept\n')
  })

  test('rules that no edge needs may be left out, and are named', () => {
    const facts = healthy()
    const needed = facts.wanted.filter(({ isOptional }) => !isOptional)
    const [rules] = diagnose({ ...facts, loaded: ok(needed) }).filter(({ name }) => name === 'rules')
    expect(rules).toMatchObject({ state: 'ok' })
    const left = facts.wanted.length - needed.length
    expect(rules?.detail).toContain(`of the ${left} optional ones ${left} are not, the first: -a always,exit`)
    const [bad] = diagnose({ ...facts, loaded: ok(needed.slice(1)) }).filter(({ name }) => name === 'rules')
    expect(bad).toMatchObject({ state: 'bad' })
    expect(bad?.detail).toMatch(new RegExp(`^1 of ${needed.length} `))
  })

  test('the command for never-task takes these rules and no others out of a file', () => {
    const file = join(folderForTest(), 'x.rules')
    const ours = '-a always,exit -F arch=b64 -S execve -F key=never,task\n'
    writeFileSync(file, `-a never,task\n  -A task,never -F uid=0\n${ours}`)
    const check = diagnose({ ...healthy(), loaded: ok(parseRules('-a never,task')) }).find(
      ({ name }) => name === 'never-task',
    )
    const [sed = ''] = (check?.mend ?? '').split(' && ')
    execFileSync('/bin/sh', ['-c', sed.replace('/etc/audit/rules.d/*.rules', file)])
    expect(readFileSync(file, 'utf8')).toBe(ours)
  })
})

interface Said {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const fullmon = (...words: readonly string[]): Said =>
  spawnSync(process.execPath, ['agent/main.ts', ...words], { cwd: ROOT, encoding: 'utf8' })

const checksOf = (stdout: string): Check[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Check)

const stateOf = (checks: readonly Check[], name: string): string | undefined =>
  checks.find((check) => check.name === name)?.state

describe('fullmon doctor', () => {
  test('prints one line a check, without colours when it is not for a terminal', () => {
    const db = join(folderForTest(), 'baseline.db')
    const text = fullmon('doctor', '--db', db)
    const json = checksOf(fullmon('doctor', '--db', db, '--json').stdout)
    expect(text.status).toBe(1)
    expect(text.stdout).not.toMatch(/[^\P{Cc}\n]/u)
    expect(text.stdout.trim().split('\n')).toHaveLength(json.length)
    expect(text.stdout).toContain(`there is none at ${db}; mend: fullmon train --db ${db}\n`)
    expect(json.filter(({ state }) => state === 'bad').every(({ mend }) => mend !== undefined)).toBe(true)
    expect(statSync(db, { throwIfNoEntry: false })).toBeUndefined()
  })

  test('shows a name that would move the cursor as what it is', () => {
    const { stdout } = fullmon('doctor', '--auditd', '/tmp/a\u001b[2J\nok      forged')
    expect(stdout).toContain('/tmp/a?[2J?ok      forged')
    expect(stdout).not.toMatch(/[^\P{Cc}\n]/u)
    expect(stdout).not.toMatch(/^ok {6}forged/m)
  })

  test.skipIf(process.platform !== 'linux' || spawnSync('script', ['--version']).status !== 0)(
    'has colours on a terminal',
    () => {
      const command = `${process.execPath} agent/main.ts doctor --db /nonexistent/baseline.db`
      const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { cwd: ROOT, encoding: 'utf8' })
      expect(stdout).toContain('\u001b[1;31mbad    \u001b[0m baseline ')
    },
  )

  test('a wrong option or configuration is a usage error', () => {
    expect(fullmon('doctor', '--nonsense')).toMatchObject({ status: 2, stdout: '' })
    expect(fullmon('doctor', '--config', '/nonexistent.yaml')).toMatchObject({ status: 2, stdout: '' })
  })

  test('a baseline of somebody else is bad, and it stays as it is', () => {
    const db = join(folderForTest(), 'baseline.db')
    writeFileSync(db, 'no database\n')
    const found = checksOf(fullmon('doctor', '--json', '--db', db).stdout).find(
      ({ name }) => name === 'baseline',
    )
    expect(found).toMatchObject({ state: 'bad', detail: expect.stringContaining(db) as string })
    expect(readFileSync(db, 'utf8')).toBe('no database\n')
  })

  test('the mode and the training of a real baseline are seen', () => {
    const db = join(folderForTest(), 'baseline.db')
    const baseline = new Baseline(db)
    baseline.trainings.begin(0, 1000)
    baseline.trainings.extend(1000, true)
    baseline.close()
    const look = (): Check[] => checksOf(fullmon('doctor', '--json', '--db', db).stdout)
    expect(stateOf(look(), 'baseline')).toBe('ok')
    expect(stateOf(look(), 'baseline-mode')).toBe('ok')
    chmodSync(db, 0o644)
    expect(stateOf(look(), 'baseline-mode')).toBe('bad')
  })

  test('whether an agent runs is seen', () => {
    const db = join(folderForTest(), 'baseline.db')
    new Baseline(db).close()
    const look = (): Check[] => checksOf(fullmon('doctor', '--json', '--db', db).stdout)
    expect(stateOf(look(), 'agent')).toBe('bad')
    const lock = acquireLock(db)
    const found = look().find(({ name }) => name === 'agent')
    lock.release()
    expect(found).toMatchObject({
      state: 'ok',
      detail: expect.stringContaining(`pid ${process.pid}: `) as string,
    })
  })

  test.skipIf(!isRoot)('without root it says what it could not see', () => {
    const words = [
      '--reuid',
      '65534',
      '--regid',
      '65534',
      '--clear-groups',
      process.execPath,
      'agent/main.ts',
    ]
    const log = join(folderForTest(), 'audit.log')
    writeFileSync(log, '', { mode: 0o600 })
    chmodSync(dirname(log), 0o755)
    const said = spawnSync('setpriv', [...words, 'doctor', '--json', '--auditd', log], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    expect(said.stderr).toBe('')
    const checks = checksOf(said.stdout)
    for (const name of [
      'running',
      'enabled',
      'rules',
      'never-task',
      'lost',
      'backlog',
      'log',
      'log-format',
    ]) {
      expect(checks).toContainEqual(
        expect.objectContaining({
          name,
          state: 'unknown',
          detail: expect.stringContaining('root') as string,
        }),
      )
    }
  })
})

const unavailable = auditdMissing('doctor.test.ts: the kernel is left out')

describe.skipIf(unavailable !== undefined)('beside a real auditd', () => {
  const rules = shippedRules()
  const stateExisted = existsSync(STATE)
  const seen: Record<string, readonly Check[]> = {}
  let listed = ''

  beforeAll(async () => {
    // The rules about it load only when it exists.
    mkdirSync(STATE, { recursive: true, mode: 0o700 })
    const lab = await startAuditd({ logFormat: 'ENRICHED', rules })
    const look = (log: string): Check[] => checksOf(fullmon('doctor', '--json', '--auditd', log).stdout)
    const link = join(dirname(dirname(lab.logFile)), 'linked.log')
    try {
      listed = auditctl('-l')
      seen['running'] = look(lab.logFile)
      symlinkSync(lab.logFile, link)
      seen['linked'] = look(link)
      seen['elsewhere'] = look(join(ROOT, 'package.json'))
      auditctl('-a', 'never,task', '-F', 'auid=4242')
      seen['hidden'] = look(lab.logFile)
      auditctl('-e', '0')
      seen['disabled'] = look(lab.logFile)
    } finally {
      await lab.stop()
    }
  })

  afterAll(() => {
    if (!stateExisted) rmSync(STATE, { recursive: true })
  })

  test('all that is right is ok', () => {
    const names = ['installed', 'running', 'enabled', 'never-task', 'backlog', 'log', 'log-file', 'rotation']
    for (const name of names) expect(stateOf(seen['running'] ?? [], name), name).toBe('ok')
    expect(stateOf(seen['linked'] ?? [], 'log-file')).toBe('ok')
  })

  test("what is wrong is bad: the format, the log, the rules (these are the lab's, for one login uid)", () => {
    expect(stateOf(seen['running'] ?? [], 'log-format')).toBe('bad')
    expect(stateOf(seen['elsewhere'] ?? [], 'log-file')).toBe('bad')
    expect(stateOf(seen['running'] ?? [], 'rules')).toBe('bad')
    expect(stateOf(seen['hidden'] ?? [], 'never-task')).toBe('bad')
    expect(stateOf(seen['disabled'] ?? [], 'enabled')).toBe('bad')
  })

  test('every rule is recognised as it is listed, and each one is missed when it is gone', () => {
    const wanted = parseRules(rules.join('\n'))
    expect(missingRules(wanted, parseRules(listed)).map(({ text }) => text)).toEqual([])
    const lines = listed.trim().split('\n')
    for (const index of lines.keys()) {
      expect(missingRules(wanted, parseRules(lines.toSpliced(index, 1).join('\n')))).toHaveLength(1)
    }
  })
})
