/** What auditd takes when auditd.conf does not say: clear_config of its auditd-config.c, not what distributions ship. */
const DEFAULTS = {
  write_logs: 'yes',
  log_file: '/var/log/audit/audit.log',
  log_format: 'raw',
  num_logs: '0',
  max_log_file: '0',
  max_log_file_action: 'ignore',
  space_left: '0',
  admin_space_left_action: 'ignore',
  disk_full_action: 'ignore',
  plugin_dir: '/etc/audit/plugins.d',
} as const

const PATHS: ReadonlySet<string> = new Set(['log_file', 'plugin_dir'])
const NUMBERS: ReadonlySet<string> = new Set(['num_logs', 'max_log_file', 'space_left'])

/** Settings of auditd by their names. All but paths are in lower case, as auditd does not tell cases apart. */
export type AuditdConf = Readonly<Record<keyof typeof DEFAULTS, string>>

/** auditd.conf(5): `name = value`, with spaces around the equals sign. Lines that auditd would refuse are left out. */
export function parseAuditdConf(text: string): AuditdConf {
  const conf: Record<string, string> = { ...DEFAULTS }
  for (const line of text.split('\n')) {
    const [name = '', equals, value] = line.trim().split(/ +/)
    const key = name.toLowerCase()
    if (equals !== '=' || value === undefined || !Object.hasOwn(DEFAULTS, key)) continue
    if (NUMBERS.has(key) && !/^\d+%?$/.test(value)) continue
    conf[key] = PATHS.has(key) ? value : value.toLowerCase()
  }
  return conf as AuditdConf
}
