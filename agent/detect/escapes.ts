import type { Finding } from '../domain/report.ts'
import { type DangerShape, dangersOf, type Normal } from './dangers.ts'
import { filePathOf, isLoopback, networkPeerOf, processOf } from './nodes.ts'
import type { PackageManager } from './package-managers.ts'
import { isKind, temporaryPlaceOf } from './programs.ts'
import { isSensitive } from './sensitive.ts'

/** What did it, as far as packages are concerned. */
export interface Worker {
  /** It is a package manager itself. */
  readonly manager: PackageManager | undefined
  /** It gets packages from other hosts. */
  readonly fetches: boolean
  /** It is a script that a package brings, or below one. */
  readonly isScripted: boolean
  /** Whether a package has brought this file, or is bringing it. */
  readonly isBrought: (path: string) => boolean
}

/** Dangerous shapes that no package needs. The others are common among scripts of packages, or have exceptions below. */
const SHAPES: ReadonlySet<DangerShape> = new Set<DangerShape>([
  'shell-connects',
  'shell-listens',
  'relay-connects',
  'traced',
  'became-root',
  'hidden-exec',
])

/** What is normal on a host says nothing of what packages need. */
const STRANGERS: Normal = {
  isService: () => false,
  isUnseen: () => false,
  isWritten: () => false,
  writerOf: () => undefined,
}

/** Where package managers themselves put scripts of packages to run them: rpm, and debconf before dpkg has unpacked them. */
const SCRIPTLET = /^\/var\/tmp\/rpm-tmp\.\w+$|^\/tmp\/[\w.+-]+\.config\.\w{6,}$/
const DNS = '53'
const SETUID = 0o4000
/** Where people put programs, and packages hardly do. */
const FOREIGN = /^\/(?:home|root|srv|opt|usr\/local|media|mnt)\//
/** Ways to rights, or back in, that packages bring as files of their own if at all. */
const WAYS_IN =
  /\/\.ssh\/authorized_keys|^\/etc\/sudoers(?:\.d\/|$)|^\/etc\/ld\.so\.preload|^\/(?:root|home\/[^/]+)\/\.(?:bash|profile|zsh|login|config\/systemd)|^\/etc\/cron(?:tab$|\.[^/]+\/)|^\/var\/spool\/cron\/(?:(?:cron)?tabs\/.|(?!(?:cron)?tabs)[^/])/
const ACCOUNTS = /^\/etc\/(?:passwd|shadow)(?:[-+.].*)?$/
const KEEPERS_OF_ACCOUNTS = /\/(?:systemd-sysusers|update-passwd|pwck|pwconv|pwunconv|busybox)$/
/** rpm and pacman start it themselves, whenever a package brings a library. */
const LDCONFIG = /^(?:\/usr)?\/s?bin\/ldconfig$/
const LIBRARIES_CACHE = /^\/etc\/ld\.so\.cache~?$/

/** Whether a path is a way to rights, or back in. */
export const isWayIn = (path: string): boolean => WAYS_IN.test(path) || ACCOUNTS.test(path)

/**
 * Why something below a package manager is not the work of packages; undefined when it may be. Whoever may run a package
 * manager as root may have it run anything (gtfobins.github.io), and so may who makes packages: this is not hidden among
 * the work of packages, but reported like everything else.
 */
export function escapeOf(finding: Finding, worker: Worker): string | undefined {
  const { edge } = finding
  const danger = dangersOf([finding], STRANGERS).find(({ shape }) => SHAPES.has(shape))
  if (danger !== undefined) return danger.reason
  switch (edge.kind) {
    case 'exec':
      return escapeByExec(finding, worker)
    case 'memory-exec':
      return worker.manager?.runsFromMemory === true ? undefined : 'a program was executed from memory'
    case 'connect':
      return escapeByConnect(finding, worker)
    case 'create':
    case 'write':
    case 'rename':
    case 'attribute':
      return escapeByFile(finding, worker)
    default:
      return undefined
  }
}

function escapeByExec({ edge, evidence: { argv } }: Finding, { isBrought }: Worker): string | undefined {
  const target = processOf(edge.to)
  if (target === undefined) return undefined
  const ran = target.script.startsWith('/') ? target.script : target.exe
  if (temporaryPlaceOf(ran) !== undefined && !SCRIPTLET.test(ran) && !isBrought(ran))
    return `${ran} was executed in a place for temporary files`
  if (FOREIGN.test(ran) && !isBrought(ran)) return `${ran} was executed, and no package has brought it`
  if (isKind(target, 'shell') && target.script === '' && isAtPrompt(argv))
    return 'a shell without a script was started'
  return undefined
}

/** No code and nothing to run. */
const isAtPrompt = (argv: readonly string[]): boolean =>
  argv.length > 0 && argv.slice(1).every((word) => /^-[^c]*$/.test(word))

function escapeByConnect({ edge }: Finding, { fetches }: Worker): string | undefined {
  const peer = networkPeerOf(edge.to)
  if (peer === undefined || fetches || peer.port === DNS || isLoopback(peer) || isPrivate(peer.host))
    return undefined
  return `it connected to ${peer.host}, and is none of the programs that get packages`
}

function escapeByFile(
  { edge, evidence }: Finding,
  { manager, isScripted, isBrought }: Worker,
): string | undefined {
  const path = filePathOf(edge.to)
  const source = processOf(edge.from)
  if (path === undefined || source === undefined || manager?.unpacks === true || isBrought(path))
    return undefined
  if (((evidence.mode ?? 0) & SETUID) !== 0)
    return `${path} got the setuid bit, and no package has brought it`
  if (WAYS_IN.test(path)) return `${path} was changed, and no package has brought it`
  if (ACCOUNTS.test(path) && !isKind(source, 'account-tool') && !KEEPERS_OF_ACCOUNTS.test(source.exe))
    return `${path} was changed by a program that does not keep accounts`
  const isKeptCache = LIBRARIES_CACHE.test(path) && LDCONFIG.test(source.exe)
  if (!isScripted && manager === undefined && isSensitive(path) && !isKeptCache)
    return `${path} was changed, and no script of a package did it`
  return undefined
}

/** Addresses of private networks and of this link: RFC 1918, 3927, 4193, 4291, 6598, and those that stand for none. */
export const isPrivate = (address: string): boolean =>
  /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|0\.0\.0\.0$|::$|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:)/i.test(
    address,
  )
