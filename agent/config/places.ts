export const DEFAULT_LOG = '/var/log/audit/audit.log'
export const DEFAULT_DB = '/var/lib/fullmon/baseline.db'

/** Used instead of training when it is there. */
export const BROUGHT_BASELINE = '/etc/fullmon/baseline.db'

/** Read when no --config is given and it is there. */
export const CONFIG_FILE = '/etc/fullmon/config.yaml'

/** Where a running agent is asked how it is. */
export const DEFAULT_SOCKET = '/run/fullmon/fullmon.sock'
