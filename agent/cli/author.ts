import { userInfo } from 'node:os'

const LONGEST_NAME = 64

/** Who runs this command, for the journal: `root`, or `root (sudo by alice)`. */
export function commandAuthor(): string {
  const sudoUser = process.env['SUDO_USER']
  const name = nameOfUser()
  return sudoUser === undefined || process.getuid?.() !== 0 ? name : `${name} (sudo by ${safeName(sudoUser)})`
}

function nameOfUser(): string {
  try {
    return safeName(userInfo().username)
  } catch {
    // There need be no line for him in /etc/passwd.
    return `uid ${process.getuid?.() ?? '?'}`
  }
}

/** Whoever is root chooses what stands in the environment. */
const safeName = (name: string): string => name.replace(/[^\w.@$+-]/g, '_').slice(0, LONGEST_NAME)
