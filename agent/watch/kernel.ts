import { readFileSync, realpathSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { fail, ok, type Result } from '../domain/result.ts'
import { CommandError, outputOf } from '../support/command.ts'
import { rulesFile } from '../support/kernel-rules.ts'
import { readProcess } from '../support/procfs.ts'
import { isAbsent } from '../tail/unreadable.ts'
import { type AuditRule, parseRules } from './audit-rules.ts'
import { type AuditStatus, parseStatus } from './audit-status.ts'
import { type AuditdConf, parseAuditdConf } from './auditd-conf.ts'

const CONF_DIRECTORY = '/etc/audit'
/** It answers within milliseconds. */
const PATIENCE_MS = 10_000

/** Told the pid of the auditctl that asks. */
type OnStart = (pid: number) => void

/** Who receives the records, by its pid. */
export interface Receiver {
  /** Undefined when there is none, or it cannot be seen from here. */
  readonly exe: string | undefined
  /** The settings that an auditd has which is started like this one, and the file that they are in. */
  readonly conf: Result<AuditdConf, string>
  readonly confFile: string
}

/** How the kernel's audit is; the error says why that cannot be asked. */
export async function readStatus(onStart?: OnStart): Promise<Result<AuditStatus, string>> {
  const said = await auditctl('-s', onStart)
  if (!said.ok) return said
  const status = parseStatus(said.value)
  return status === undefined ? fail('auditctl does not tell the state of the kernel') : ok(status)
}

/** Rules in the kernel; the error says why they cannot be listed. */
export async function readRules(onStart?: OnStart): Promise<Result<readonly AuditRule[], string>> {
  const said = await auditctl('-l', onStart)
  return said.ok ? ok(parseRules(said.value)) : said
}

/**
 * Rules of fullmon that this machine can have.
 * @throws UsageError when their file is missing
 */
export const wantedRules = (): readonly AuditRule[] =>
  parseRules(readFileSync(rulesFile(), 'utf8')).filter(({ isForX86 }) => !isForX86 || process.arch === 'x64')

/** The process with this pid as a receiver of records; 0 for nobody. */
export function receiverOf(pid: number): Receiver {
  const receiver = pid === 0 ? undefined : readProcess(pid)
  const confFile = join(confDirectory(receiver?.argv ?? []), 'auditd.conf')
  return { exe: receiver?.exe, conf: readConf(confFile), confFile }
}

/** Whether a program is auditd. One that is running while an upgrade replaces it is marked as deleted. */
export const isAuditd = (exe: string): boolean => basename(exe.replace(/ \(deleted\)$/, '')) === 'auditd'

/** Whether an auditd with these settings writes to this log. */
export const isLogOf = (conf: Result<AuditdConf, string>, path: string): boolean =>
  conf.ok && realPath(conf.value.log_file) === realPath(path)

async function auditctl(option: '-s' | '-l', onStart?: OnStart): Promise<Result<string, string>> {
  try {
    const limits = { timeoutMs: PATIENCE_MS, ...(onStart === undefined ? {} : { onStart }) }
    return ok(await text(outputOf('auditctl', [option], 'ignore', limits)))
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

/** With symbolic links followed, as far as that can be seen. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}
