import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Origin } from '../report/ecs.ts'

/** Version of this program. */
export function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}

/** Who reports. */
export const thisOrigin = (): Origin => ({ host: hostname(), version: version() })
