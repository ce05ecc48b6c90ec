/** What stands before the body of a record. */
export interface Stamp {
  readonly node?: string
  /** Unix time in milliseconds. */
  readonly timeMs?: number
}

const TIME_MS = 1_795_210_797_987

/** A line of the log as auditd writes it, with its newline. */
export function line(
  type: string,
  serial: number,
  body = '',
  { node, timeMs = TIME_MS }: Stamp = {},
): string {
  const millis = String(timeMs % 1000).padStart(3, '0')
  const prefix = node === undefined ? '' : `node=${node} `
  return `${prefix}type=${type} msg=audit(${Math.floor(timeMs / 1000)}.${millis}:${serial}): ${body}\n`
}

type Fields = Readonly<Record<string, string | number>>

/** AUDIT_ARCH values and system call numbers, from <linux/audit.h> and the tables of auditd-userspace. */
export const X86_64 = 'c000003e'
export const CALL = {
  open: 2,
  connect: 42,
  accept: 43,
  sendto: 44,
  bind: 49,
  execve: 59,
  kill: 62,
  rename: 82,
  creat: 85,
  link: 86,
  unlink: 87,
  fchmod: 91,
  fchown: 93,
  ptrace: 101,
  setuid: 105,
  setreuid: 113,
  setresuid: 117,
  exit_group: 231,
  openat: 257,
  mkdirat: 258,
  unlinkat: 263,
  renameat: 264,
  linkat: 265,
  fchmodat: 268,
  open_by_handle_at: 304,
  process_vm_writev: 311,
  renameat2: 316,
  openat2: 437,
  pidfd_getfd: 438,
} as const

/** Body of a SYSCALL record in the order of the kernel; what is given replaces the value, '' leaves the field out. */
export function syscall(call: keyof typeof CALL, given: Fields = {}): string {
  const fields: Fields = {
    arch: X86_64,
    syscall: CALL[call],
    success: 'yes',
    exit: 0,
    ...{ a0: 0, a1: 0, a2: 0, a3: 0, items: 0, ppid: 1, pid: 100 },
    ...{ auid: 1000, uid: 1000, gid: 1000, euid: 1000, suid: 1000, fsuid: 1000 },
    ...{
      egid: 1000,
      sgid: 1000,
      fsgid: 1000,
      tty: 'pts0',
      ses: 3,
      comm: '"x"',
      exe: '"/bin/x"',
      key: '(null)',
    },
    ...given,
  }
  return Object.entries(fields)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}

/** kernel/audit.c, audit_log_untrustedstring: quoted, or hex when a byte is a quote, below 0x21 or above 0x7e. */
export function untrusted(text: string): string {
  return /^[!#-~]*$/.test(text) ? `"${text}"` : Buffer.from(text).toString('hex').toUpperCase()
}

/** Body of a PATH record. */
export function path(
  item: number,
  name: string | undefined,
  inode: number,
  type: string,
  dev = 'fe:00',
): string {
  const found = inode === 0 ? '' : `inode=${inode} dev=${dev} mode=0100644 ouid=0 ogid=0 rdev=00:00 `
  return `item=${item} name=${name === undefined ? '(null)' : untrusted(name)} ${found}nametype=${type} cap_fp=0`
}

/** Body of an EXECVE record. */
export const execve = (argv: readonly string[]): string =>
  `argc=${argv.length}${argv.map((word, index) => ` a${index}=${untrusted(word)}`).join('')}`

/** Body of a PATH-less or complete event, with its end mark. */
export function event(
  serial: number,
  records: readonly (readonly [type: string, body: string])[],
  stamp?: Stamp,
): string {
  return [...records, ['PROCTITLE', 'proctitle="x"'] as const]
    .map(([type, body]) => line(type, serial, body, stamp))
    .join('')
}
