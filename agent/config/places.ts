export const DEFAULT_LOG = '/var/log/audit/audit.log'
export const DEFAULT_DB = '/var/lib/fullmon/baseline.db'

/** Looked for in this order when no --config is given. */
export const CONFIG_PLACES: readonly string[] = ['/etc/fullmon/config.yaml']
