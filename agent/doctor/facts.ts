import { accessSync, constants, statfsSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { holderOf } from '../baseline/lock.ts'
import { statusOf } from '../baseline/status.ts'
import { type Result, UsageError } from '../domain/result.ts'
import { findCommand } from '../support/command.ts'
import { rulesFile } from '../support/kernel-rules.ts'
import { pluginProgram } from '../support/plugin.ts'
import { snapshot } from '../support/procfs.ts'
import { requireReadable } from '../support/readable.ts'
import { isOfService } from '../support/service.ts'
import { sourceOf } from '../tail/source.ts'
import { isAbsent } from '../tail/unreadable.ts'
import type { AuditdConf } from '../watch/auditd-conf.ts'
import { isLogOf, readAudit, receiverOf, wantedRules } from '../watch/kernel.ts'
import type { BaselineFacts, Facts, LogFacts, Space } from './checks.ts'

/** Looks at this host, and changes nothing. */
export async function findFacts(auditd: string, db: string): Promise<Facts> {
  const { status: kernel, loaded } = await readAudit()
  const auditdPid = kernel.ok ? kernel.value.pid : 0
  const { exe, conf, confFile } = receiverOf(auditdPid)
  const source = sourceOf(auditd)
  return {
    auditd: findCommand('auditd'),
    kernel,
    receiver: exe,
    loaded,
    wanted: wantedRules(),
    rulesFile: rulesFile(),
    conf,
    confFile,
    log: source.kind === 'log' ? lookAtLog(auditd, conf) : undefined,
    plugin: source.kind === 'relay' ? { socket: source.socket, pid: pluginOf(auditdPid) } : undefined,
    db,
    isOfService: isOfService(db),
    baseline: lookAtBaseline(db),
    agent: holderOf(db),
    baselineFree: spaceOf(db),
  }
}

/** The plugin that an auditd has started, by its pid. */
const pluginOf = (auditdPid: number): number | undefined =>
  auditdPid === 0
    ? undefined
    : snapshot().find(
        ({ ppid, argv }) => ppid === auditdPid && basename(argv[1] ?? '') === basename(pluginProgram()),
      )?.pid

function lookAtLog(path: string, conf: Result<AuditdConf, string>): LogFacts {
  return {
    path,
    state: stateOf(path),
    isAuditds: isLogOf(conf, path),
    space: spaceOf(path),
  }
}

function stateOf(path: string): LogFacts['state'] {
  try {
    if (!statSync(path).isFile()) return 'no-file'
    requireReadable(path)
    return 'readable'
  } catch (error) {
    return isAbsent(error) ? 'absent' : 'denied'
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
