import { readFileSync, realpathSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fail, ok, type Result } from '../domain/result.ts'
import { rulesFile } from '../support/kernel-rules.ts'
import { readProcess } from '../support/procfs.ts'
import { isAbsent } from '../tail/unreadable.ts'
import { type AuditRule, parseRules } from './audit-rules.ts'
import { type AuditStatus, statusOfBytes } from './audit-status.ts'
import { type AuditdConf, parseAuditdConf } from './auditd-conf.ts'
import { askKernel } from './kernel-answers.ts'
import { ruleOfBytes } from './rule-text.ts'

const CONF_DIRECTORY = '/etc/audit'

/** Who receives the records, by its pid. */
export interface Receiver {
  /** Undefined when there is none, or it cannot be seen from here. */
  readonly exe: string | undefined
  /** The settings that an auditd has which is started like this one, and the file that they are in. */
  readonly conf: Result<AuditdConf, string>
  readonly confFile: string
}

/** What the kernel says of its audit; each error says why that cannot be asked. */
export interface KernelAudit {
  readonly status: Result<AuditStatus, string>
  readonly loaded: Result<readonly AuditRule[], string>
}

/**
 * The state of the kernel's audit, and its rules.
 * @param onStart told the pid of the process that asks
 */
export async function readAudit(onStart?: (pid: number) => void): Promise<KernelAudit> {
  const answers = await askKernel(onStart)
  if (!answers.ok) return { status: answers, loaded: answers }
  const status = statusOfBytes(answers.value.status)
  return {
    status: status === undefined ? fail('the kernel does not tell its state') : ok(status),
    loaded: rulesOf(answers.value.rules),
  }
}

function rulesOf(answers: readonly Buffer[]): Result<readonly AuditRule[], string> {
  const texts = answers.map((bytes) => ruleOfBytes(bytes))
  if (texts.includes(undefined)) return fail('the kernel has a rule that cannot be read')
  return ok(parseRules(texts.join('\n')))
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
