import type { Ancestor } from '../domain/activity.ts'
import type { EdgeKind } from '../domain/edge.ts'
import type { Severity, TamperReason } from '../domain/report.ts'
import { finalName, isKindOf } from './maintenance.ts'
import { baseName } from './nodes.ts'
import { managerOf } from './package-managers.ts'
import { isSystemProgram } from './programs.ts'

/** Where dpkg keeps the scripts of our package, and what else it knows of it. */
export const OWN_PACKAGE = '/var/lib/dpkg/info/fullmon'
const OWN_SCRIPT = /^\/var\/lib\/dpkg\/info\/fullmon\.(?:preinst|postinst|prerm|postrm)$/
/** However long an upgrade takes. Milliseconds. */
const UPGRADE_MS = 3_600_000
const NOBODY = 0xffffffff
/** Programs with which a person changes a text. sudo writes what was edited with sudoedit, and nothing else. */
const EDITORS = new Set(
  (
    'vi vim vim.basic vim.tiny vim.nox vim.gtk3 nvim nano pico emacs emacs-nox emacs-gtk mg zile ed joe jed ne ' +
    'mcedit micro hx helix kak sudo'
  ).split(' '),
)

/** What was done against the agent, and by whom. */
export interface TamperDeed {
  readonly reason: TamperReason
  readonly timeMs: number
  /** Who logged in; -1 when nobody tells. */
  readonly auid: number
  /** From who did it to its oldest known ancestor. */
  readonly lineage: readonly Ancestor[]
  /** Undefined when no file was changed. */
  readonly file?: { readonly kind: EdgeKind; readonly path: string; readonly isConfiguration: boolean }
}

/**
 * How grave it is that somebody changes the agent, its configuration or the rules of the kernel. Upgrades do that, and so do
 * people: who does it in the way in which these do is told of less loudly, and everybody else is critical.
 */
export class TamperGravity {
  private readonly isPackaged: (path: string) => boolean
  /** When a script of our own package ran last. */
  private upgradedMs = Number.NEGATIVE_INFINITY

  /** @param isPackaged whether a file is of our own package, as far as dpkg says */
  constructor(isPackaged: (path: string) => boolean) {
    this.isPackaged = isPackaged
  }

  /** Takes note of an exec, which has made the first of its lineage what it is. */
  noteExec(timeMs: number, lineage: readonly Ancestor[]): void {
    if (isOwnScript(lineage[0]) && isByOwnScript(lineage)) this.upgradedMs = timeMs
  }

  /** Whether our own package is being upgraded. */
  isUpgrading(timeMs: number): boolean {
    return timeMs >= this.upgradedMs && timeMs - this.upgradedMs < UPGRADE_MS
  }

  /** Undefined for what is critical. */
  of({ reason, timeMs, auid, lineage, file }: TamperDeed): Severity | undefined {
    if (reason === 'rules-changed' || reason === 'audit-changed') {
      if (isByOwnScript(lineage)) return 'low'
      return isBelowManager(lineage) ? 'medium' : undefined
    }
    const [self] = lineage
    if (reason !== 'own-files' || file === undefined || self === undefined) return undefined
    if (this.isUpgrade(lineage, file, timeMs)) return 'low'
    if (isUnpacking(self)) return 'medium'
    return file.isConfiguration && isEdited(auid, lineage) ? 'medium' : undefined
  }

  /** Whether a change of a file is what dpkg and the scripts of our package do in an upgrade. */
  isUpgrade(
    lineage: readonly Ancestor[],
    file: { readonly kind: EdgeKind; readonly path: string },
    timeMs: number,
  ): boolean {
    const [self] = lineage
    if (isByOwnScript(lineage)) return true
    return self !== undefined && isUnpacking(self) && this.isOfUpgrade(file, timeMs)
  }

  /** A package that says so of itself could have files of ours removed. */
  private isOfUpgrade({ kind, path }: { kind: EdgeKind; path: string }, timeMs: number): boolean {
    return this.isUpgrading(timeMs) || (kind !== 'delete' && this.isPackaged(finalName(path)))
  }
}

/** Whether it puts the files of packages in place. */
const isUnpacking = ({ image }: Ancestor): boolean => managerOf(image)?.unpacks === true

const isOwnScript = (ancestor: Ancestor | undefined): boolean =>
  ancestor?.image.script !== undefined && OWN_SCRIPT.test(ancestor.image.script)

const isBelowManager = (lineage: readonly Ancestor[]): boolean =>
  lineage.some(({ image }) => managerOf(image) !== undefined)

/** Below a script of our package that dpkg runs. */
const isByOwnScript = (lineage: readonly Ancestor[]): boolean =>
  isBelowManager(lineage.slice(lineage.findIndex(isOwnScript) + 1)) && lineage.some(isOwnScript)

/**
 * Whether a person who has logged in did it with an editor, and nothing that works for others.
 * @param auid who logged in
 */
export function isEdited(auid: number, lineage: readonly Ancestor[]): boolean {
  const { exe = '' } = lineage[0]?.image ?? {}
  const isPerson = auid >= 0 && auid !== NOBODY
  const isEditor = isSystemProgram(exe) && EDITORS.has(baseName(exe))
  return isPerson && isEditor && !lineage.some((each) => isKindOf(each.image, 'scheduler', 'server'))
}
