import { accessSync, constants, readFileSync, realpathSync, statfsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { statusOf } from '../baseline/status.ts'
import { fail, ok, type Result, UsageError } from '../domain/result.ts'
import { CommandError, findCommand, outputOf } from '../support/command.ts'
import { rulesFile } from '../support/kernel-rules.ts'
import { readProcess } from '../support/procfs.ts'
import { isAbsent } from '../tail/unreadable.ts'
import { type AuditRule, parseRules } from './audit-rules.ts'
import { type AuditStatus, parseStatus } from './audit-status.ts'
import { type AuditdConf, parseAuditdConf } from './auditd-conf.ts'
import type { BaselineFacts, Facts, LogFacts, Space } from './checks.ts'

const STDIN = '-'
const CONF_DIRECTORY = '/etc/audit'

/** Looks at this host, and changes nothing. */
export async function findFacts(auditd: string, db: string): Promise<Facts> {
  const kernel = await readKernel()
  const receiver = kernel.ok ? readProcess(kernel.value.pid) : undefined
  const confFile = join(confDirectory(receiver?.argv ?? []), 'auditd.conf')
  const conf = readConf(confFile)
  const rules = rulesFile()
  return {
    auditd: findCommand('auditd'),
    kernel,
    receiver: receiver?.exe,
    loaded: await readRules(),
    wanted: parseRules(readFileSync(rules, 'utf8')).filter(
      ({ isForX86 }) => !isForX86 || process.arch === 'x64',
    ),
    rulesFile: rules,
    conf,
    confFile,
    log: auditd === STDIN ? undefined : lookAtLog(auditd, conf),
    db,
    baseline: lookAtBaseline(db),
    baselineFree: spaceOf(db),
  }
}

async function readKernel(): Promise<Result<AuditStatus, string>> {
  const said = await auditctl('-s')
  if (!said.ok) return said
  const status = parseStatus(said.value)
  return status === undefined ? fail('auditctl does not tell the state of the kernel') : ok(status)
}

async function readRules(): Promise<Result<readonly AuditRule[], string>> {
  const said = await auditctl('-l')
  return said.ok ? ok(parseRules(said.value)) : said
}

async function auditctl(option: '-s' | '-l'): Promise<Result<string, string>> {
  try {
    return ok(await text(outputOf('auditctl', [option])))
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return fail(
      process.getuid?.() === 0 ? error.message : 'only root can ask the kernel: run fullmon as root',
    )
  }
}

/** auditd can be told to look elsewhere: `auditd -c DIRECTORY`. */
function confDirectory(argv: readonly string[]): string {
  const option = argv.indexOf('-c')
  return (option === -1 ? undefined : argv[option + 1]) ?? CONF_DIRECTORY
}

function readConf(file: string): Result<AuditdConf, string> {
  try {
    return ok(parseAuditdConf(readFileSync(file, 'utf8')))
  } catch (error) {
    return fail(isAbsent(error) ? `there is no ${file}` : `${file} cannot be read: run fullmon as root`)
  }
}

function lookAtLog(path: string, conf: Result<AuditdConf, string>): LogFacts {
  return {
    path,
    state: stateOf(path),
    isAuditds: conf.ok && realPath(conf.value.log_file) === realPath(path),
    space: spaceOf(path),
  }
}

function stateOf(path: string): LogFacts['state'] {
  try {
    if (!statSync(path).isFile()) return 'no-file'
    accessSync(path, constants.R_OK)
    return 'readable'
  } catch (error) {
    return isAbsent(error) ? 'absent' : 'denied'
  }
}

/** With symbolic links followed, as far as that can be seen. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}

function lookAtBaseline(db: string): BaselineFacts {
  try {
    const { mode } = statSync(db)
    accessSync(db, constants.R_OK)
    return { state: 'readable', mode: mode & 0o7777, status: statusOf(db) }
  } catch (error) {
    if (error instanceof UsageError) return { state: 'refused', reason: error.message }
    return { state: isAbsent(error) ? 'absent' : 'denied' }
  }
}

/** Of the file system that a path is in, or would be in once it is made. */
function spaceOf(path: string): Space {
  try {
    const { bavail, blocks, bsize } = statfsSync(path)
    return { free: bavail * bsize, size: blocks * bsize }
  } catch {
    const parent = dirname(resolve(path))
    return parent === path ? undefined : spaceOf(parent)
  }
}
