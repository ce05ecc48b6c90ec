/** The service that the package has installed. */
import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { serviceUid } from './service-user.ts'

const UNIT = '/usr/lib/systemd/system/fullmon.service'
/** sd_booted(3) */
const SYSTEMD = '/run/systemd/system'

/** Begins to train, where there is no baseline, or goes on. */
export const START_SERVICE = 'systemctl enable --now fullmon'

/**
 * Whether the service is what keeps a baseline in this place.
 *
 * @param uid of the account of the service
 * @param root of the host
 */
export function isOfService(db: string, uid = serviceUid(), root = ''): boolean {
  if (uid === undefined || !existsSync(root + UNIT) || !existsSync(root + SYSTEMD)) return false
  try {
    return statSync(dirname(db)).uid === uid
  } catch {
    return false
  }
}
