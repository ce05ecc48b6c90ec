import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test, vi } from 'vitest'
import { parse } from 'yaml'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { VouchedWrites } from '../../agent/baseline/vouched-writes.ts'
import { folderForTest } from '../support/folder.ts'
import { noPython } from '../support/running.ts'
import { atTerminal } from '../support/terminal.ts'

// Each of them starts the program several times.
vi.setConfig({ testTimeout: 120_000 })

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
const ENTER = '\r'

interface Told {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function told(...words: readonly string[]): Told {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

/** A configuration in a folder of its own; its baseline and its log are there, too. */
function configWith(text: string | undefined): string {
  const folder = folderForTest()
  const file = join(folder, 'config.yaml')
  if (text !== undefined) writeFileSync(file, text, { mode: 0o640 })
  return file
}

const setup = (file: string, ...words: readonly string[]): Told => told('setup', '--config', file, ...words)

/** What the program itself says of a key of the file. */
function explained(file: string, key: string): unknown {
  const { status, stdout, stderr } = told('config', 'explain', key, '--json', '--config', file)
  expect([status, stderr]).toEqual([0, ''])
  return (JSON.parse(stdout) as { value: unknown }).value
}

const checked = (file: string): void =>
  expect(told('config', 'check', file)).toMatchObject({ status: 0, stderr: '' })

const atSetup = (
  file: string,
  steps: readonly (readonly [string, string])[],
  ...words: readonly string[]
): ReturnType<typeof atTerminal> =>
  atTerminal(process.execPath, [MAIN, 'setup', '--config', file, ...words], steps)

test('without a terminal nobody is asked, and nothing is written', () => {
  const file = configWith(undefined)
  const { status, stdout, stderr } = setup(file)
  expect([status, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/^fullmon: there is no terminal to ask at: --defaults .*\n$/)
  expect(existsSync(file)).toBe(false)
})

test('--defaults asks nothing, and the second time changes nothing', () => {
  const file = configWith(undefined)
  const first = setup(file, '--defaults')
  expect(first).toMatchObject({ status: 0, stderr: '' })
  expect(first.stdout).toContain(`${file} is written\n`)
  checked(file)
  expect(explained(file, 'profile')).toBe('production')
  expect(explained(file, 'baseline')).toBe(86_400)
  expect(statSync(file).mode & 0o777).toBe(0o640)
  const before = readFileSync(file, 'utf8')
  const { ino } = statSync(file)
  expect(setup(file, '--defaults').stdout).toContain(`${file} says so already\n`)
  expect([readFileSync(file, 'utf8'), statSync(file).ino]).toEqual([before, ino])
})

test('answers may be given as options, and what people have written stays', () => {
  const text = `# Ours.
log: /var/log/fullmon.log   # for people

processes:
  # the web
  required:
    - nginx
    - exe: /usr/bin/python3
      argv: '* worker.py'
outputs:
  webhook:
    timeout: 3   # seconds
`
  const file = configWith(text)
  const words = ['--profile', 'high-security', '--train', '3d', '--required', 'nginx,/usr/sbin/sshd']
  const url = 'https://hooks.example.org/services/T0/B0?x=#a:{b}'
  const more = ['--outputs', 'syslog:medium webhook:critical', '--webhook', url, '--alerts-per-day', '3']
  expect(
    setup(file, '--defaults', ...words, ...more, '--set', 'outputs.syslog.facility=local0'),
  ).toMatchObject({
    status: 0,
    stderr: '',
  })
  checked(file)
  const after = readFileSync(file, 'utf8')
  for (const line of text.split('\n')) expect(after.split('\n')).toContain(line)
  expect(parse(after)).toEqual({
    log: '/var/log/fullmon.log',
    profile: 'high-security',
    baseline: 3 * 86_400,
    'alerts-per-day': 3,
    processes: {
      required: ['nginx', { exe: '/usr/bin/python3', argv: '* worker.py' }, '/usr/sbin/sshd'],
    },
    outputs: {
      syslog: { enabled: true, min_severity: 'medium', facility: 'local0' },
      webhook: { url, timeout: 3, min_severity: 'critical' },
    },
  })
  expect(setup(file, '--defaults').stdout).toContain('says so already')
  expect(readFileSync(file, 'utf8')).toBe(after)

  expect(setup(file, '--defaults', '--outputs', 'none', '--required', 'none').status).toBe(0)
  checked(file)
  expect(explained(file, 'outputs.syslog.enabled')).toBe(false)
  expect(explained(file, 'outputs.webhook.url')).toBeUndefined()
  expect(explained(file, 'processes.required')).toEqual([
    { exe: '/usr/bin/python3', argv: '* worker.py', min: 1 },
  ])
})

test('an address is kept from others, or lies in a file that they cannot read', () => {
  const file = configWith('monitor: 30\n')
  chmodSync(file, 0o644)
  expect(setup(file, '--defaults', '--webhook', 'https://hooks.example.org/x').status).toBe(0)
  expect(statSync(file).mode & 0o777).toBe(0o640)
  checked(file)

  const secret = join(folderForTest(), 'webhook')
  const refused = setup(file, '--defaults', '--webhook', secret)
  expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining(secret)])
  writeFileSync(secret, 'https://hooks.example.org/y\n', { mode: 0o600 })
  expect(setup(file, '--defaults', '--webhook', secret).status).toBe(0)
  expect(parse(readFileSync(file, 'utf8'))).toMatchObject({
    outputs: { webhook: { url_file: secret } },
  })
  expect(explained(file, 'outputs.webhook.url')).toBeUndefined()
})

test.each([
  ['--train', 'soon', /--train: expected hour, day, week/],
  ['--train', '400d', /--train: expected/],
  ['--profile', 'ours', /--profile: expected container.* not 'ours'/],
  ['--outputs', 'mail', /--outputs: expected syslog, journald, webhook.* not 'mail'/],
  ['--outputs', 'syslog:loud', /--outputs: expected/],
  ['--outputs', 'webhook', /--webhook: expected an address/],
  ['--webhook', 'ftp://a', /--webhook: expected an address/],
  ['--webhook', 'https://a\u001b]0;x\u0007', /--webhook: expected an address.*path of a file$/m],
  ['--required', '[z-a]', /--required: expected names, paths or globs/],
  ['--alerts-per-day', '-1', /--alerts-per-day/],
  ['--set', 'scan.interval=never', /scan\.interval/],
])('%s %j is refused in one line, and nothing is written', (option, value, complaint) => {
  const file = configWith('# ours\n')
  const { status, stdout, stderr } = setup(file, '--defaults', `${option}=${value}`)
  expect([status, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(complaint)
  expect(stderr).toMatch(/^[\x20-\x7e]*\n$/)
  expect(readFileSync(file, 'utf8')).toBe('# ours\n')
})

test('the journal of the baseline says who wrote it, so that it is no tampering', () => {
  const file = configWith(undefined)
  const db = join(file, '../baseline.db')
  new Baseline(db).close()
  const from = Date.now()
  expect(setup(file, '--defaults', '--set', `db=${db}`, '--webhook', 'https://a.example/x').status).toBe(0)
  const database = new Database(db, { readonly: true })
  onTestFinished(() => void database.close())
  const rows = database.prepare('SELECT action, author, detail FROM journal').all() as Record<
    string,
    string
  >[]
  const [{ action, author, detail = '' } = {}, ...more] = rows
  expect([action, author, more]).toEqual(['configure', expect.stringContaining(userInfo().username), []])
  const { pid, ...write } = JSON.parse(detail) as { pid: number } & Record<string, unknown>
  expect(write['file']).toBe(file)
  expect(write['added']).toContain('profile is production (was not given)')
  expect(detail).not.toContain('a.example')
  const vouched = new VouchedWrites(database)
  expect(vouched.has(pid, `${file}.${pid}.new`, from)).toBe(true)
  expect(vouched.has(pid, '/etc/passwd', from)).toBe(false)
  expect(told('verify', '--db', db).status).toBe(0)
})

test('--webhook makes a webhook one of the outputs, unless others are said', () => {
  const file = configWith(undefined)
  const address = ['--webhook', 'https://hooks.example.org/x']
  const { stdout } = setup(file, '--defaults', '--json', ...address)
  expect(JSON.parse(stdout)).toMatchObject({
    kind: 'setup',
    file,
    isWritten: true,
    answers: { outputs: 'webhook:high', webhook: '(hidden)' },
  })
  expect(stdout).not.toContain('hooks.example.org')
  expect(setup(file, '--defaults', '--outputs', 'syslog', ...address)).toMatchObject({
    status: 2,
    stderr: 'fullmon: --webhook is given, and nothing that it is for\n',
  })
})

test('--dry-run prints what would be written', () => {
  const file = configWith('# ours\nmonitor: 30\n')
  const { status, stdout } = setup(file, '--defaults', '--dry-run', '--required', 'sshd')
  expect(status).toBe(0)
  expect(stdout).toBe('# ours\nmonitor: 30\nprofile: production\nprocesses:\n  required:\n    - sshd\n')
  expect(readFileSync(file, 'utf8')).toBe('# ours\nmonitor: 30\n')
  const nowhere = join(folderForTest(), 'nowhere/config.yaml')
  expect(setup(nowhere, '--defaults', '--dry-run').status).toBe(0)
  expect(existsSync(nowhere)).toBe(false)
})

test.skipIf(noPython !== undefined || process.getuid?.() !== 0)(
  'another source of records is shown before anything is changed',
  async () => {
    const file = configWith('# ours\n')
    const { status, shown } = await atSetup(file, [
      ['profile [production]: ', `${ENTER}${ENTER}none${ENTER}${ENTER}${ENTER}`],
      ['source [tail]: ', `plugin${ENTER}`],
      ['auditd is relay', ''],
      ['active = yes', ''],
      ['write', `no${ENTER}`],
    ])
    expect(shown).toContain('Nothing was written.')
    expect([status, readFileSync(file, 'utf8')]).toEqual([130, '# ours\n'])
  },
)

test('the log that is the default can be gone back to', ({ skip }) => {
  skip(process.getuid?.() !== 0, 'needs root')
  const { status, stdout } = setup(configWith('# ours\nauditd: relay\n'), 'tail', '--dry-run')
  expect(stdout).toMatch(/^would be: .*: auditd: \/.*$/m)
  expect(status).toBe(0)
})

test('a source alone is nothing to be answered besides', () => {
  const file = configWith('# ours\n')
  const { status, stderr } = setup(file, 'tail', '--train', 'week')
  expect([status, stderr]).toEqual([
    2,
    'fullmon: setup tail does nothing else: answers are options of setup alone\n',
  ])
})

test('a wrong configuration is said, and left as it is', () => {
  const text = 'monitor: often\n'
  const file = configWith(text)
  const { status, stderr } = setup(file, '--defaults')
  expect([status, stderr]).toEqual([2, expect.stringContaining(`${file}:1:1: monitor:`)])
  expect(readFileSync(file, 'utf8')).toBe(text)
})

test.skipIf(noPython !== undefined)('a person is asked, and again after a wrong answer', async () => {
  const file = configWith('# ours\nmonitor: 30   # seconds\n')
  const { status, shown } = await atSetup(file, [
    ['profile [production]: ', `ours${ENTER}`],
    ["not 'ours'", ''],
    ['profile [production]: ', `high-security${ENTER}`],
    ['train [day]: ', `for ever${ENTER}`],
    ["not 'for ever'", ''],
    ['train [day]: ', `week${ENTER}`],
    ['required [', `/usr/sbin/sshd${ENTER}`],
    ['outputs [none]: ', `webhook${ENTER}`],
    ['webhook: ', ENTER],
    ['expected an address', ''],
    ['webhook: ', `https://hooks.example.org/x${ENTER}`],
    // What the profile says is proposed.
    ['alerts-per-day [100]: ', ENTER],
    ['source [tail]: ', `log${ENTER}`],
    ['expected plugin or tail', ''],
    ['source [tail]: ', ENTER],
    ['outputs.webhook.url is hidden', ''],
    [`write ${file}? [yes]: `, `perhaps${ENTER}`],
    ['expected yes or no', ''],
    ['write', ENTER],
    ['is written', ''],
  ])
  expect(status, shown).toBe(0)
  checked(file)
  expect(readFileSync(file, 'utf8')).toMatch(/^# ours\nmonitor: 30 {3}# seconds\n/)
  expect(parse(readFileSync(file, 'utf8'))).toEqual({
    monitor: 30,
    profile: 'high-security',
    baseline: 604_800,
    processes: { required: ['/usr/sbin/sshd'] },
    outputs: { webhook: { url: 'https://hooks.example.org/x' } },
  })

  const again = await atSetup(file, [
    ['profile [high-security]: ', ENTER],
    ['train [week]: ', ENTER],
    ['required [/usr/sbin/sshd]: ', ENTER],
    ['outputs [webhook:high]: ', ENTER],
    ['webhook [as it is]: ', ENTER],
    ['alerts-per-day [100]: ', ENTER],
    ['source [tail]: ', ENTER],
    ['says so already', ''],
  ])
  expect(again.status).toBe(0)
})

test.skipIf(noPython !== undefined).each([
  ['Ctrl-C', [['train [day]: ', '\u0003']]],
  ['Ctrl-D', [['train [day]: ', '\u0004']]],
  [
    'no',
    [
      ['train [day]: ', `${ENTER}${ENTER}${ENTER}7${ENTER}${ENTER}`],
      ['write', `no${ENTER}`],
    ],
  ],
] as const)('%s leaves everything as it was', async (_, steps) => {
  const file = configWith('# ours\n')
  const { status, shown } = await atSetup(file, [['profile [production]: ', ENTER], ...steps])
  expect(shown).toContain('Nothing was written.')
  expect([status, readFileSync(file, 'utf8')]).toEqual([130, '# ours\n'])
  expect(readdirSync(join(file, '..'))).toEqual(['config.yaml'])
})

test.skipIf(noPython !== undefined)('hostile answers are data', async () => {
  const file = configWith('# ours\n')
  const url = 'https://h.example.org/"}\\n#{{a:[}'
  const { status } = await atSetup(file, [
    ['profile [production]: ', ENTER],
    ['train [day]: ', ENTER],
    ['required [', `a:b,"x'${ENTER}`],
    ['outputs [none]: ', `webhook${ENTER}`],
    ['webhook: ', `${url}${ENTER}`],
    ['alerts-per-day [10]: ', `${ENTER}${ENTER}`],
    ['write', ENTER],
  ])
  expect(status).toBe(0)
  checked(file)
  expect(parse(readFileSync(file, 'utf8'))).toEqual({
    profile: 'production',
    processes: { required: ['a:b', `"x'`] },
    outputs: { webhook: { url } },
  })
})

test('the configuration of the package keeps its words', () => {
  const shipped = readFileSync(join(import.meta.dirname, '../../debian/config.yaml'), 'utf8')
  const file = configWith(shipped)
  expect(setup(file, '--defaults', '--required', 'none').status).toBe(0)
  // Where this host has services that it would propose, that none is wanted is written.
  const after = readFileSync(file, 'utf8').replace(/processes:\n {2}required: \[\]\n$/, '')
  expect(after).toBe(`${shipped}profile: production\n`)
  checked(file)
})

/** Started as a service: a child of the first process. @returns why it is none, or undefined */
async function serving(script: string): Promise<string | undefined> {
  writeFileSync(
    script,
    `import os, socket, time
server = socket.create_server(("127.0.0.1", 0))
open("${script}.pid", "w").write(str(os.getpid()) + "\\n")
time.sleep(1000)
`,
  )
  spawnSync('setsid', ['--fork', '/usr/bin/python3', script], { stdio: 'ignore' })
  await vi.waitUntil(
    () => existsSync(`${script}.pid`) && readFileSync(`${script}.pid`, 'utf8').endsWith('\n'),
    {
      timeout: 20_000,
    },
  )
  const pid = Number(readFileSync(`${script}.pid`, 'utf8'))
  onTestFinished(() => void process.kill(pid, 'SIGKILL'))
  const ppid = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return ppid === '1' ? undefined : 'somebody else than the first process takes orphans here'
}

test('what must run is proposed by what serves others on this host', async ({ skip }) => {
  skip(process.getuid?.() !== 0, 'only root sees who listens, and may write /opt')
  skip(noPython !== undefined, noPython)
  const [script = '', temporary = ''] = ['/opt', '/var/tmp'].map((place) => {
    const folder = mkdtempSync(join(place, 'fullmon-test-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    return join(folder, 'service.py')
  })
  const missing = (await serving(script)) ?? (await serving(temporary))
  skip(missing !== undefined, missing)
  const file = configWith(undefined)
  expect(setup(file, '--defaults').status).toBe(0)
  expect(explained(file, 'processes.required')).toContain(script)
  // Nobody keeps there what must run.
  expect(explained(file, 'processes.required')).not.toContain(temporary)
  expect(setup(file, '--defaults', '--required', 'none').status).toBe(0)
  expect(explained(file, 'processes.required')).toEqual([])
  // Who has said so is not asked to think again.
  expect(setup(file, '--defaults').stdout).toContain('says so already')
})

test('a baseline that was brought is told of', async ({ skip }) => {
  skip(noPython !== undefined, noPython)
  const file = configWith(undefined)
  const brought = join(file, '../baseline-of-another')
  new Baseline(brought).close()
  writeFileSync(file, `baseline-from: ${brought}\n`, { mode: 0o640 })
  const { shown } = await atSetup(file, [
    ['profile [production]: ', ENTER],
    ['train [day]: ', '\u0003'],
  ])
  expect(shown).toContain(`There is ${brought}: `)
})

test('what only root may change is not asked about in vain', ({ skip }) => {
  skip(process.getuid?.() !== 0, 'only root can be somebody else')
  const file = configWith('# ours\n')
  mkdirSync(join(file, '../others'))
  const words = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--', process.execPath, MAIN]
  const { status, stderr } = spawnSync('setpriv', [...words, 'setup', '--defaults', '--config', file], {
    encoding: 'utf8',
  })
  expect([status, stderr]).toEqual([2, expect.stringMatching(/^fullmon: cannot write .*\n$/)])
})
