import { sensitivityOf } from '../detect/sensitive.ts'
import type { Severity } from '../domain/report.ts'

/** Something in the writable layer of a container that is no folder. */
export interface LayerFile {
  /** In the container. */
  readonly path: string
  readonly type: 'file' | 'link' | 'device' | 'other'
  /** Permissions as in chmod(2). */
  readonly mode: number
  /** When it was made, written or changed in any other way: nobody but the clock decides. Unix time in milliseconds. */
  readonly changedMs: number
}

/** What a file in a layer is to whoever put it there. */
export interface FileGrade {
  /** As in `12 programs`. */
  readonly kind: 'device' | 'setuid program' | 'program' | 'script' | 'sensitive file' | 'file'
  readonly severity: Severity
  readonly reason: string
  /** Whether the start of a container makes such things as a matter of course. */
  readonly isOfStart: boolean
}

const SETUID_OR_SETGID = 0o6000
const EXECUTABLE = 0o111
const LIBRARY = /\.(?:so(?:\.[0-9.]+)?|ko(?:\.[gx]z|\.zst)?|node)$/i
const SCRIPT = /\.(?:sh|py|pl|pm|rb|js|mjs|cjs|lua|tcl|ps1|jar|class|war|php\d?|phtml|phar|jspx?|aspx?|cgi)$/i
/** What running leaves behind without anybody's doing: hier(7). */
const LEAVINGS =
  /^\/(?:proc|sys|dev|run|tmp|var\/(?:run|tmp|log|cache|lib|lock|spool\/(?!cron))|root\/\.cache|home\/[^/]+\/\.cache)(?:\/|$)|\/__pycache__\/[^/]+\.pyc$|\.(?:log|pid|lock|tmp|swp)$|^\/etc\/ld\.so\.cache~?$|^\/\.(?:dockerenv|wh\.)|\/\.bash_history$/
/** What no container changes because it starts. */
const NEVER_OF_START = new Set([
  'rights of sudo',
  'authentication (PAM)',
  'scheduled work (cron, at)',
  'services (systemd, init)',
  'what every program loads (ld.so)',
])

/** How grave it is that a file was made or changed in a layer; undefined for what every container leaves behind. */
export function gradeOf({ path, type, mode }: LayerFile): FileGrade | undefined {
  if (type === 'device')
    return grave('device', 'high', 'a device was made: it may give the container the disks of the host')
  const isFile = type === 'file'
  if (isFile && (mode & SETUID_OR_SETGID) !== 0 && (mode & EXECUTABLE) !== 0)
    return grave('setuid program', 'critical', 'whoever runs it becomes its owner (setuid or setgid)')
  if (isFile && ((mode & EXECUTABLE) !== 0 || LIBRARY.test(path)))
    return grave(
      'program',
      'high',
      'a container runs what is in its image: a new program was brought in, or built',
    )
  if (LEAVINGS.test(path)) return undefined
  const word = sensitivityOf(path)
  if (word !== undefined) {
    const isOfStart = !NEVER_OF_START.has(word) && !path.endsWith('/authorized_keys')
    return { kind: 'sensitive file', severity: 'high', reason: `it is about ${word}`, isOfStart }
  }
  if (isFile && SCRIPT.test(path))
    return {
      kind: 'script',
      severity: 'medium',
      reason: 'an interpreter or a server may run it',
      isOfStart: true,
    }
  const reason = 'a container that keeps no data of its own does not change'
  return { kind: 'file', severity: 'low', reason, isOfStart: true }
}

const grave = (kind: FileGrade['kind'], severity: Severity, reason: string): FileGrade => ({
  ...{ kind, severity, reason },
  isOfStart: false,
})
