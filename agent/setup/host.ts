/** What this host proposes by what runs on it. */
import { existsSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import { BROUGHT_BASELINE } from '../config/places.ts'
import { temporaryPlaceOf } from '../detect/programs.ts'
import type { ScannedProcess } from '../domain/scan.ts'
import { ProcessScanner } from '../scan/scanner.ts'

const INIT = 1
const MOST_SERVICES = 20
/** Names that need no quoting anywhere, and mean only themselves as a glob. */
const PLAIN = /^\/[\w.\/+@-]+$/

export interface Host {
  /** Paths of programs and scripts that are services, in order. */
  readonly services: readonly string[]
  readonly hasContainers: boolean
  /** A baseline that was brought here, to be taken instead of training. */
  readonly brought: string | undefined
}

/** @throws when /proc cannot be read */
export async function lookAtHost(config: Config): Promise<Host> {
  const { scan, allowlist, ports } = config
  const { processes } = await new ProcessScanner({ scan, allowlist, ports }).look()
  return {
    services: servicesOf(processes),
    hasContainers: processes.some(({ container }) => container !== ''),
    brought: [config['baseline-from'] ?? BROUGHT_BASELINE].find((file) => existsSync(file)),
  }
}

/** What the first process of the host has started, and somebody else may talk to. */
function servicesOf(processes: readonly ScannedProcess[]): readonly string[] {
  const services = processes.filter(
    ({ ppid, container, tty, forged, isSuspicious, listens }) =>
      ppid === INIT &&
      container === '' &&
      tty === null &&
      forged === null &&
      !isSuspicious &&
      listens.some((place) => place.startsWith('tcp ')),
  )
  const paths = services
    .map(({ exe, script }) => script ?? exe)
    .filter((path) => PLAIN.test(path) && temporaryPlaceOf(path) === undefined)
  return [...new Set(paths)].sort().slice(0, MOST_SERVICES)
}
