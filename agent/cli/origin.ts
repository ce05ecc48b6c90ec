import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { MIGRATIONS } from '../baseline/migrations.ts'
import type { Build } from '../http/metrics.ts'
import type { Origin } from '../report/ecs.ts'

/** Version of this program. */
function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}

/** What this program was built of; `unknown` where it runs as it was written. */
export function thisBuild(): Build {
  // In the folder of what was built: see scripts/build.ts.
  const file = new URL('../../commit', import.meta.url)
  const commit = existsSync(file) ? readFileSync(file, 'utf8').trim() : 'unknown'
  return { version: version(), commit }
}

/** The line of `--version`. */
export function versionLine(): string {
  const { version, commit } = thisBuild()
  return `fullmon ${version} (commit ${commit}, schema ${MIGRATIONS.length}, node ${process.versions.node})`
}

/** Who reports. */
export const thisOrigin = (): Origin => ({ host: hostname(), version: version() })
