import { readFileSync } from 'node:fs'
import type { Observation } from '../domain/alert.ts'
import { type Mount, mountAt, parseMounts } from './mounts.ts'

/** As the host has it: a service manager shows the agent mounts of its own. */
const HOST = '/proc/1/mountinfo'

/**
 * Tells when the root file system of the host may be written.
 * @throws the error of the system when its mounts cannot be read
 */
export const lookAtRoot = (mountinfo = HOST): readonly Observation[] =>
  writableRoot(parseMounts(readFileSync(mountinfo, 'latin1')))

function writableRoot(mounts: readonly Mount[]): readonly Observation[] {
  const root = mountAt(mounts, '/')
  if (root === undefined) throw new Error('no root file system is mounted')
  const { options, source, superOptions, type } = root
  if (options.includes('ro') || superOptions.includes('ro')) return []
  return [
    {
      source: 'root',
      key: 'root',
      severity: 'high',
      title: 'the root file system may be written, and it should be read-only',
      reasons: [
        `/ is mounted with ${options.join(',')}, its file system (${type}) with ${superOptions.join(',')}`,
        'whoever becomes root can change the programs of this host, and the change stays',
      ],
      next: [
        'who mounted it: fullmon incidents --all, or ausearch --syscall mount',
        'mount -o remount,ro / when nobody works on the system',
      ],
      subject: { path: '/', device: source, type, options: superOptions },
    },
  ]
}
