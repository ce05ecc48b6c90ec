/** Where the agent gets its records from: the plugin of auditd, or its log. */
import { existsSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { Decision } from '../baseline/decisions.ts'
import { vouchForWrite } from '../baseline/vouched-writes.ts'
import type { Loaded } from '../config/config.ts'
import { DEFAULT_LOG } from '../config/places.ts'
import { UsageError } from '../domain/result.ts'
import { pluginProgram } from '../support/plugin.ts'
import { replaceFile } from '../support/replace-file.ts'
import { sourceOf } from '../tail/source.ts'
import { isAuditd, readAudit, type Receiver, receiverOf } from '../watch/kernel.ts'
import { type Draft, withSettings } from './draft.ts'
import { confFor, withActive } from './plugin-conf.ts'
import { textOf, writeDraft } from './write.ts'

export const SOURCES = ['plugin', 'tail'] as const
export type SourceWord = (typeof SOURCES)[number]

const CONF = 'fullmon.conf'
const PLUGIN_FOLDER = '/etc/audit/plugins.d'
const CONF_MODE = 0o640

/** What is said for it. */
export const sourceWordOf = (auditd: string): SourceWord =>
  sourceOf(auditd).kind === 'relay' ? 'plugin' : 'tail'

interface Switching {
  /** The configuration as it is. */
  readonly before: Draft
  readonly decision: Decision
  readonly mistakesIn: (loaded: Loaded) => readonly string[]
  readonly isDryRun: boolean
}

interface Switched {
  /** The configuration as it is now, or would be. */
  readonly draft: Draft
  /** What was done, or would be, one sentence each. */
  readonly steps: readonly string[]
}

/**
 * Has auditd start the plugin and the configuration take what it brings, or the other way around. What is so already is left
 * alone. The agent has to be told.
 *
 * @throws UsageError when this is not root, a file cannot be written, or what is asked for would be wrong
 */
export async function switchSource(
  to: SourceWord,
  { before, decision, mistakesIn, isDryRun }: Switching,
): Promise<Switched> {
  if (process.getuid?.() !== 0)
    throw new UsageError(`only root may tell auditd and the agent: sudo fullmon setup ${to}`)
  const { status } = await readAudit()
  const auditdPid = status.ok ? status.value.pid : 0
  const receiver = receiverOf(auditdPid)
  const draft = withSettings(before, settingsFor(to, before, receiver), false)
  const changeAuditd = (): string[] => {
    const conf = switchPlugin(to, receiver, isDryRun, (file) => {
      const { db } = draft.loaded.config
      const write = {
        file,
        pid: process.pid,
        added: [`active = ${to === 'plugin' ? 'yes' : 'no'}`],
        alerts: [],
      }
      if (existsSync(db)) vouchForWrite(db, write, decision, 'configure')
    })
    return conf === undefined ? [] : [conf, tellAuditd(auditdPid, receiver, isDryRun)]
  }
  const changeConfig = (): string[] => {
    if (draft.text === before.text) return []
    if (!isDryRun) writeDraft(draft, before, decision, mistakesIn)
    return [`${draft.file}: auditd: ${draft.loaded.config.auditd}`]
  }
  // The plugin keeps what comes until the agent asks for it. Back in the log, the agent begins where the plugin had come to.
  const steps =
    to === 'plugin' ? [...changeAuditd(), ...changeConfig()] : [...changeConfig(), ...changeAuditd()]
  return { draft, steps }
}

function settingsFor(
  to: SourceWord,
  { loaded: { config } }: Draft,
  { conf }: Receiver,
): readonly { readonly key: readonly string[]; readonly value: unknown }[] {
  const isRelay = sourceOf(config.auditd).kind === 'relay'
  if (isRelay === (to === 'plugin')) return []
  const log = conf.ok ? conf.value.log_file : DEFAULT_LOG
  return [{ key: ['auditd'], value: to === 'plugin' ? 'relay' : log }]
}

/** @returns what was done; undefined when it was so already */
function switchPlugin(
  to: SourceWord,
  { conf }: Receiver,
  isDryRun: boolean,
  vouch: (file: string) => void,
): string | undefined {
  const file = join(conf.ok ? conf.value.plugin_dir : PLUGIN_FOLDER, CONF)
  const isThere = existsSync(file)
  const before = textOf(file)
  if (!isThere && to === 'tail') return undefined
  const after = withActive(isThere ? before : confFor(pluginProgram()), to === 'plugin')
  if (after === before) return undefined
  try {
    if (!isDryRun) {
      vouch(isThere ? realpathSync(file) : file)
      replaceFile(
        file,
        after,
        () => {
          if (textOf(file) !== before) throw new UsageError(`${file} was changed meanwhile: try again`)
        },
        (mode = CONF_MODE) => mode,
      )
    }
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
  return `${file}: active = ${to === 'plugin' ? 'yes' : 'no'}`
}

/** auditd reads its plugins again when it is told to read its configuration. */
function tellAuditd(pid: number, { exe }: Receiver, isDryRun: boolean): string {
  if (pid === 0 || exe === undefined || !isAuditd(exe))
    return 'auditd does not run, and reads it when it starts'
  if (!isDryRun) process.kill(pid, 'SIGHUP')
  return `auditd (pid ${pid}) is told to read its plugins again`
}
