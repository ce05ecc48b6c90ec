import { baseName } from './nodes.ts'
import type { PackageManager } from './package-managers.ts'

/** Names that are remembered of one transaction; what is more is counted. */
const MOST_NAMES = 500
/** Reasons that are told of one transaction. */
const MOST_REASONS = 8
/** Programs whose file names are told apart in one transaction, and how many of each kind. */
const MOST_SOURCES = 200
const MOST_FILES = 16

/** What packages were installed, changed or removed by, from the first program of a package manager on. */
export interface Transaction {
  /** The tree of its findings: see `Finding`. */
  readonly tree: string
  /** Name of the process that began it, and its login uid. */
  readonly manager: string
  readonly user: string
  readonly history: string
  readonly auid: number
  readonly pid: number
  readonly firstMs: number
  lastMs: number
  /** Names of other package managers that worked in it. */
  managers: readonly string[]
  readonly changed: Set<string>
  readonly removed: Set<string>
  /** Packages that there was no room for. */
  unnamed: number
  /** Files that became setuid and that nothing has shown to have been there before. */
  readonly setuid: Set<string>
  /** What raises it above ordinary maintenance. */
  readonly reasons: string[]
  /** Whether anything unseen was done in it. */
  isFound: boolean
  /** Hashes of the file names that stand for themselves, by program and action. */
  readonly files: Map<string, number[]>
}

/** As it is kept in the state: JSON has no sets. */
export interface StoredTransaction extends Omit<Transaction, 'changed' | 'removed' | 'setuid' | 'files'> {
  readonly changed: readonly string[]
  readonly removed: readonly string[]
  readonly setuid: readonly string[]
  readonly files: readonly (readonly [string, number[]])[]
}

export const stored = (transaction: Transaction): StoredTransaction => ({
  ...transaction,
  changed: [...transaction.changed],
  removed: [...transaction.removed],
  setuid: [...transaction.setuid],
  files: [...transaction.files],
})

export const unstored = (state: StoredTransaction): Transaction => ({
  ...state,
  reasons: [...state.reasons],
  changed: new Set(state.changed),
  removed: new Set(state.removed),
  setuid: new Set(state.setuid),
  files: new Map(state.files.map(([key, hashes]) => [key, [...hashes]])),
})

/** A package was put in place, or is about to be; `isSure` also when it was being removed before. */
export function noteChanged(transaction: Transaction, name: string, isSure: boolean): void {
  if (isSure) transaction.removed.delete(name)
  else if (transaction.removed.has(name)) return
  noteName(transaction, transaction.changed, name)
}

/** What was installed before stays told: it may have been there only for what somebody did with it. */
export function noteRemoved(transaction: Transaction, name: string): void {
  noteName(transaction, transaction.removed, name)
}

function noteName(transaction: Transaction, names: Set<string>, name: string): void {
  if (names.has(name) || !isName(name)) return
  if (names.size < MOST_NAMES) names.add(name)
  else transaction.unnamed++
}

/** It is more than ordinary maintenance. */
export function raise(transaction: Transaction, reason: string): void {
  const { reasons } = transaction
  if (reasons.length < MOST_REASONS && !reasons.includes(reason)) reasons.push(reason)
}

/**
 * Whether a file name stands for itself among the findings of a transaction: the first few of each program and action do.
 * An upgrade changes ten thousands of files, and nobody reads them.
 */
export function standsForItself(transaction: Transaction, key: string, path: string): boolean {
  const { files } = transaction
  let hashes = files.get(key)
  if (hashes === undefined) {
    if (files.size >= MOST_SOURCES) return false
    files.set(key, (hashes = []))
  }
  const hash = hashOf(path)
  if (hashes.includes(hash)) return true
  if (hashes.length >= MOST_FILES) return false
  hashes.push(hash)
  return true
}

/** Names of packages, of all distributions; words of a command line may be anything. */
const isName = (name: string): boolean => /^[\w@][\w.+@~-]{0,79}$/.test(name)

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

const INSTALLS =
  /^(?:install|reinstall|localinstall|upgrade|update|add|in|up|dist-upgrade|full-upgrade|--install|--unpack|--configure|--upgrade|--freshen|-i\w*|-U\w*|-F\w*|-S\w*)$/
const REMOVES = /^(?:remove|purge|autoremove|erase|rm|del|--remove|--purge|--erase|-r|-P|-e|-R\w*)$/
const PACKAGE_FILE = /\.(?:deb|rpm|apk|pkg\.tar(?:\.\w+)?)$/
/** Where package managers keep what they have fetched, and verified. */
const FETCHED = /^\/var\/(?:cache|lib)\/|^\/tmp\/apt-dpkg-install-|^\/run\//

/** Takes what the command line of a package manager tells of packages. */
export function readCommandLine(
  transaction: Transaction,
  manager: PackageManager,
  argv: readonly string[],
): void {
  let does: 'changes' | 'removes' | undefined
  let isNamed = false
  for (const word of argv.slice(1)) {
    if (!isNamed && INSTALLS.test(word)) does = 'changes'
    else if (!isNamed && REMOVES.test(word)) does = 'removes'
    else if (word.startsWith('-') || does === undefined) continue
    else if (PACKAGE_FILE.test(word)) {
      isNamed = true
      if (!FETCHED.test(word)) raise(transaction, `${baseName(word)} did not come from a repository`)
      noteChanged(transaction, nameOfFile(baseName(word)), true)
    } else if (manager.unpacks === true) {
      // What apt was told is not yet what dpkg does.
      isNamed = true
      const name = word.replace(/:[\w-]+$/, '')
      if (does === 'changes') noteChanged(transaction, name, true)
      else noteRemoved(transaction, name)
    }
  }
  if (argv.includes('--allow-untrusted')) raise(transaction, 'packages were taken without a signature')
}

/** `tree_2.1.0-1_amd64.deb`, `tree-2.1.0-1.el9.x86_64.rpm`. */
const nameOfFile = (file: string): string =>
  file.replace(file.includes('_') && file.endsWith('.deb') ? /_.*$/ : /-\d.*$/, '').replace(PACKAGE_FILE, '')

/** A file became setuid. Who has more of them than there is room for is told by their number. */
export function noteSetuid(transaction: Transaction, path: string): void {
  if (transaction.setuid.size < MOST_NAMES) transaction.setuid.add(path)
  else raise(transaction, `more than ${MOST_NAMES} setuid files have come with packages`)
}
