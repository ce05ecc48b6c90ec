/** Which files the configuration is read from. */
import { existsSync, lstatSync, realpathSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { CONFIG_FILE } from './places.ts'

/** Beside the sources, and beside what is built of them. */
const SHIPPED = ['../../profiles', '../../../profiles'].map((path) => join(import.meta.dirname, path))
export const PROFILES = ['container', 'development', 'high-security', 'production'] as const

interface Person {
  readonly uid: number | undefined
  /** Of the user that the process runs as, whatever the environment says. */
  readonly home: string
}

const whoRuns = (): Person => ({ uid: process.geteuid?.(), home: homeOfUser() })

function homeOfUser(): string {
  try {
    return userInfo().homedir
  } catch {
    // There need be no line for him in /etc/passwd.
    return '/nonexistent'
  }
}

/** Where a configuration is looked for, the first one that is there wins. */
export function configCandidates(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  { uid, home }: Person = whoRuns(),
): readonly string[] {
  // Below sudo, the environment may be that of the caller.
  const isOurs = uid !== 0 || (environment['SUDO_USER'] ?? '') === ''
  const own = (uid === 0 ? undefined : environment['HOME']) ?? home
  const xdg = isOurs ? environment['XDG_CONFIG_HOME'] : undefined
  const folder = xdg?.startsWith('/') === true ? xdg : join(own, '.config')
  return [join(own, '.fullmon.yaml'), join(folder, 'fullmon/config.yaml'), CONFIG_FILE]
}

/** The configuration that is read without --config; also a link that leads nowhere is there. */
export const foundConfig = (candidates = configCandidates()): string | undefined => candidates.find(isThere)

function isThere(file: string): boolean {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined
  } catch {
    // It stands in a folder of somebody else: $HOME may be that of another user.
    return false
  }
}

/** Configurations that are there, but come behind the one that was found. */
export const shadowedBy = (found: string): readonly string[] =>
  configCandidates().filter(
    (file, index, all) => index > all.indexOf(found) && foundConfig([file]) !== undefined,
  )

/** The file of a profile: of a shipped one by its name, else at an absolute path. Undefined when there is none of this name. */
export function profileFile(name: string): string | undefined {
  if (name.includes('/')) return name
  const isKnown = (PROFILES as readonly string[]).includes(name)
  return SHIPPED.map((each) => join(each, `${name}.yaml`)).find((file) => isKnown && existsSync(file))
}

/** Whether a profile comes with the program: it belongs to whom the program belongs to. */
export const isShipped = (file: string): boolean => SHIPPED.includes(dirname(file))

/**
 * Files that decide what is read: the one that was found, those that would win over it, and the profile.
 * @param given what --config says
 */
export function decisiveFiles(given: string | undefined, profile: string | undefined): readonly string[] {
  const profileAt = profile === undefined ? undefined : profileFile(profile)
  return [...mainFiles(given), ...(profileAt === undefined ? [] : withTarget(profileAt))]
}

function mainFiles(given: string | undefined): readonly string[] {
  if (given !== undefined) return withTarget(resolve(given))
  const candidates = configCandidates()
  const found = foundConfig(candidates)
  return found === undefined
    ? candidates
    : [...candidates.slice(0, candidates.indexOf(found)), ...withTarget(found)]
}

/** A link, and what it leads to. */
function withTarget(file: string): readonly string[] {
  try {
    return [...new Set([file, realpathSync(file)])]
  } catch {
    return [file]
  }
}
