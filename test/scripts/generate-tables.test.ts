import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ERRNO } from '../../agent/interpret/tables/errno.ts'
import { RECORD_TYPES } from '../../agent/interpret/tables/record-types.ts'
import { ARCHES, SYSCALLS, type Arch } from '../../agent/interpret/tables/syscalls.ts'
import { URING_OPS } from '../../agent/interpret/tables/uring-ops.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'fullmon-tables-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('a second opinion, from auditd', () => {
  /** Spellings of ausyscall that are not the kernel's. */
  const SPELLING: Readonly<Record<string, string>> = {
    getdents: 'getdents64',
    newfstat: 'fstat',
    pread: 'pread64',
    pwrite: 'pwrite64',
    sys_kexec_load: 'kexec_load',
    sched_rr_get_interval64: 'sched_rr_get_interval_time64',
  }

  // Its tables for arm and ppc64le mix in calls that these do not have in the kernel. Asked for riscv64, 3.0.9 answers
  // with the table of the machine it runs on.
  test.for(['x86_64', 'i386', 'aarch64', 's390x', 'riscv64'] as const)(
    '%s has the same calls',
    (arch, { skip }) => {
      const { error, stdout } = spawnSync('ausyscall', [arch, '--dump'], { encoding: 'utf8' })
      skip(
        error !== undefined || !stdout.startsWith(`Using ${arch} `),
        `needs an ausyscall (Debian package auditd) that knows ${arch}`,
      )
      const calls = [...stdout.matchAll(/^(\d+)\t(\S+)$/gm)]
      expect(calls.length).toBeGreaterThan(300)
      const different = calls.filter(([, number, name = '']) => {
        const call = SYSCALLS[arch][Number(number)]
        return call !== name && call !== SPELLING[name]
      })
      expect(different.map(([line]) => line)).toEqual([])
    },
  )

  // auditd 3.0.9 takes ARM to be big-endian and does not know RISC-V.
  const known = [...ARCHES].filter(([, name]) => name !== 'arm' && name !== 'riscv64')
  test.for(known)('%i is the architecture %s', ([audit, name], { skip }) => {
    const log = join(folder, 'audit.log')
    const fields = 'syscall=1 success=yes exit=0 a0=0 a1=0 a2=0 a3=0 items=0 ppid=1 pid=2 auid=0 uid=0'
    writeFileSync(log, `type=SYSCALL msg=audit(1700000000.000:1): arch=${audit.toString(16)} ${fields}\n`)
    const { error, stdout } = spawnSync('ausearch', ['--input', log, '--interpret'], { encoding: 'utf8' })
    skip(error !== undefined, 'needs ausearch (Debian package auditd)')
    expect(stdout).toContain(` arch=${name} `)
  })

  test('record types have the names that ausearch gives their numbers', ({ skip }) => {
    const log = join(folder, 'types.log')
    const numbers = Array.from({ length: 2000 }, (_, index) => 1000 + index)
    const lines = numbers.map((type) => `type=UNKNOWN[${type}] msg=audit(1700000000.000:${type}): pid=1\n`)
    writeFileSync(log, lines.join(''))
    const { error, stdout } = spawnSync('ausearch', ['--input', log, '--interpret'], { encoding: 'utf8' })
    skip(error !== undefined, 'needs ausearch (Debian package auditd)')
    const names = [...stdout.matchAll(/^type=([A-Z_\d]+) .*:(\d+)\) :/gm)].map(
      ([, name = '', type]) => [Number(type), name] as const,
    )
    expect(names.length).toBeGreaterThan(150)
    expect(names.filter(([type, name]) => RECORD_TYPES.get(type) !== name)).toEqual([])
  })

  test('the record types are those that ausearch knows, and newer ones', ({ skip }) => {
    const { error, stderr } = spawnSync('ausearch', ['--message', 'none of them'], { encoding: 'utf8' })
    skip(error !== undefined, 'needs ausearch (Debian package auditd)')
    const [, list = ''] = /Valid message types are: ALL (.*)/.exec(stderr) ?? []
    const known = list.trim().split(' ')
    const ours = [...RECORD_TYPES.values()]
    expect(known.filter((name) => !ours.includes(name))).toEqual([])
    // auditd 3.0.9 is of 2022.
    const newer = /^(DM|IPE|LANDLOCK)_|^MAC_(TASK|OBJ)_CONTEXTS$|^INTEGRITY_USERSPACE$/
    expect(ours.filter((name) => !known.includes(name) && !newer.test(name))).toEqual([])
  })
})

test('errors have the numbers of the C library', () => {
  const others = Object.entries(constants.errno).filter(([name, number]) => ERRNO[number] !== name)
  // Second names of a number.
  expect(others.map(([name]) => name).sort()).toEqual(['ENOTSUP', 'EWOULDBLOCK'])
  expect(ERRNO.slice(0, 3)).toEqual([undefined, 'EPERM', 'ENOENT'])
})

test('record types that auditd prints as UNKNOWN when it is older than the kernel', () => {
  const numbers = [1420, 1423, 1425, 1426, 1337, 1338, 1339]
  expect(numbers.map((number) => RECORD_TYPES.get(number))).toEqual([
    'IPE_ACCESS',
    'LANDLOCK_ACCESS',
    'MAC_TASK_CONTEXTS',
    'MAC_OBJ_CONTEXTS',
    'OPENAT2',
    'DM_CTRL',
    'DM_EVENT',
  ])
})

// io_uring_enter(2) and the enum of <linux/io_uring.h>, whose order is the kernel's promise to programs.
test('operations of io_uring', () => {
  const operations = { nop: 0, sendmsg: 9, accept: 13, connect: 16, openat: 18, openat2: 28, renameat: 35 }
  for (const [name, number] of Object.entries({
    ...operations,
    unlinkat: 36,
    mkdirat: 37,
    socket: 45,
    bind: 56,
  }))
    expect(URING_OPS[number]).toBe(name)
})

test('ARM and RISC-V have the numbers that <linux/audit.h> gives them', () => {
  const [bits64, littleEndian, arm, riscv] = [0x80000000, 0x40000000, 40, 243]
  expect(ARCHES.get((littleEndian + arm) as 0x40000028)).toBe('arm')
  expect(ARCHES.get((bits64 + littleEndian + riscv) as 0xc00000f3)).toBe('riscv64')
})

test('calls that are newer than auditd, and those that x32 has of its own', () => {
  for (const names of Object.values(SYSCALLS)) {
    expect(names[452]).toBe('fchmodat2')
    expect(names[463]).toBe('setxattrat')
  }
  expect(SYSCALLS.x86_64[520]).toBe('execve')
  expect(SYSCALLS.x86_64[545]).toBe('execveat')
})

// The Debian mirror may be slow.
describe('--check', { timeout: 120_000 }, () => {
  const root = join(folder, 'headers')

  const HEADERS: Readonly<Record<Arch, string>> = {
    x86_64: 'x86/asm/unistd_64.h',
    i386: 'x86/asm/unistd_32.h',
    aarch64: 'arm64/asm/unistd_64.h',
    arm: 'arm/asm/unistd-eabi.h',
    riscv64: 'riscv/asm/unistd_64.h',
    s390x: 's390/asm/unistd_64.h',
    ppc64le: 'powerpc/asm/unistd_64.h',
  }
  const URING = 'usr/include/linux/io_uring.h'
  const KERNEL_TYPES = 'usr/include/linux/audit.h'
  const S390X = `usr/lib/linux/uapi/${HEADERS.s390x}`

  const write = (path: string, text: string | Buffer): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }

  const writeVersion = (name: string, version: string): void =>
    write(`usr/share/doc/${name}/changelog.Debian.gz`, gzipSync(`source (${version}) sid; urgency=medium\n`))

  /** With one header other than in the packages. */
  const changed = (
    path: string,
    change: (text: string) => string,
    words = [root],
  ): ReturnType<typeof check> => {
    const before = readFileSync(join(root, path), 'utf8')
    writeFileSync(join(root, path), change(before))
    const result = check(...words)
    writeFileSync(join(root, path), before)
    return result
  }

  const check = (...words: string[]): { status: number | null; said: string } => checkIn(REPOSITORY, ...words)

  const checkIn = (cwd: string, ...words: string[]): { status: number | null; said: string } => {
    const { status, stderr } = spawnSync(
      process.execPath,
      ['scripts/generate-tables.ts', '--check', ...words],
      { cwd, encoding: 'utf8' },
    )
    return { status, said: stderr }
  }

  const [, kernel = '', auditd = ''] =
    /linux-libc-dev ([^\s,]+), libaudit-dev (\S+)/.exec(
      readFileSync(join(REPOSITORY, 'agent/interpret/tables/record-types.ts'), 'utf8'),
    ) ?? []

  beforeAll(() => {
    writeVersion('linux-libc-dev', kernel)
    writeVersion('libaudit-dev', auditd)
    for (const [arch, path] of Object.entries(HEADERS)) {
      const defines = SYSCALLS[arch as Arch].map((name, number) =>
        name === undefined
          ? ''
          : arch === 'arm'
            ? `#define __NR_${name} (__NR_SYSCALL_BASE + ${number})\n`
            : `#define __NR_${name} ${number}\n`,
      )
      write(`usr/lib/linux/uapi/${path}`, defines.join(''))
    }
    write('usr/lib/linux/uapi/x86/asm/unistd_x32.h', '#define __NR_execve (__X32_SYSCALL_BIT + 520)\n')

    const types = [...RECORD_TYPES].map(([number, name]) => `#define AUDIT_${name}\t${number} /* … */\n`)
    write(KERNEL_TYPES, ['#define AUDIT_GET 1000\n#define AUDIT_FIRST_USER_MSG 1100\n', ...types].join(''))
    const others = ['DAEMON_RECONFIG 1204', 'FIRST_APPARMOR 1500', 'INTEGRITY_LAST_MSG 1899']
    write('usr/include/audit-records.h', others.map((other) => `#define AUDIT_${other}\n`).join(''))

    const errors = ERRNO.map((name, number) => (name === undefined ? '' : `#define\t${name}\t${number}\n`))
    write('usr/include/asm-generic/errno-base.h', errors.slice(0, 35).join(''))
    write('usr/include/asm-generic/errno.h', `${errors.slice(35).join('')}#define EWOULDBLOCK EAGAIN\n`)

    const constants = [...URING_OPS, 'last'].map((name) => `\tIORING_OP_${name?.toUpperCase() ?? ''},\n`)
    write(URING, `enum io_uring_op {\n${constants.join('')}};\n`)
  })

  test('accepts the headers that the tables came from', () => {
    expect(check(root)).toEqual({ status: 0, said: '' })
  })

  test('shows what differs', () => {
    const { status, said } = changed(S390X, (text) => text.replace('__NR_execve ', '__NR_run_program '))
    expect(status).toBe(1)
    expect(said).toContain('- s390x 11 execve\n+ s390x 11 run_program\n')
  })

  test('takes what is not in the table for a difference when the table came from this version', () => {
    const { status, said } = changed(KERNEL_TYPES, (text) => `${text}#define AUDIT_NEW 1399\n`)
    expect(status).toBe(1)
    expect(said).toContain('+ 1399 NEW\n')
  })

  describe('beside packages that are newer than the tables', () => {
    beforeAll(() => writeVersion('linux-libc-dev', '99.1-1'))
    afterAll(() => writeVersion('linux-libc-dev', kernel))

    test('names what they add', () => {
      const added = changed(URING, (text) => text.replace('IORING_OP_LAST', 'IORING_OP_NEW,\nIORING_OP_LAST'))
      expect(added.status).toBe(0)
      expect(added.said.match(/^\+.*/gm)).toEqual([`+ ${URING_OPS.length} new`])
      expect(added.said).toContain(
        `uring-ops.ts from linux-libc-dev ${kernel}: not the same from linux-libc-dev 99.1-1`,
      )
    })

    test('fails when a number has another name, or none', () => {
      const moved = changed(URING, (text) => text.replace('IORING_OP_NOP', 'IORING_OP_NEW,\nIORING_OP_NOP'))
      expect(moved.status).toBe(1)
      expect(moved.said).toContain('- 1 readv\n')
      const gone = changed(S390X, (text) => text.replace('#define __NR_execve 11\n', ''))
      expect(gone.status).toBe(1)
      expect(gone.said).toContain('- s390x 11 execve\n')
    })
  })

  test('refuses a number with two names', () => {
    const { status, said } = changed(S390X, (text) => `${text}#define __NR_other 11\n`)
    expect(status).toBe(1)
    expect(said).toContain('s390/asm/unistd_64.h: 11 is both execve and other')
  })

  test('compares with the packages of the Debian mirror', ({ skip }) => {
    const { status, said } = check()
    skip(said.startsWith('skipped'), said.trim())
    // When the mirror has moved on, it says what the newer packages add.
    expect(status, said).toBe(0)
  })

  test('takes the newest packages when the mirror no longer has those of the tables', ({ skip }) => {
    const copy = join(folder, 'copy')
    for (const path of ['package.json', 'scripts', 'agent/interpret/tables', 'agent/domain'])
      cpSync(join(REPOSITORY, path), join(copy, path), { recursive: true })
    for (const file of ['syscalls.ts', 'record-types.ts', 'errno.ts', 'uring-ops.ts']) {
      const path = join(copy, 'agent/interpret/tables', file)
      writeFileSync(path, readFileSync(path, 'utf8').replace(kernel, '6.10-1'))
    }
    const { status, said } = checkIn(copy)
    skip(said.startsWith('skipped'), said.trim())
    expect(status, said).toBe(0)
    expect(said).toMatch(/^errno\.ts from linux-libc-dev 6\.10-1: not the same from linux-libc-dev \d/m)
  })

  test('says why it compares nothing without a way to a mirror', () => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/generate-tables.ts', '--check'], {
      cwd: REPOSITORY,
      encoding: 'utf8',
      env: { ...process.env, http_proxy: 'http://127.0.0.1:1', https_proxy: 'http://127.0.0.1:1' },
    })
    expect(status).toBe(0)
    expect(stderr).toMatch(/^skipped: http\S+ could not be asked for linux-libc-dev\n$/)
  })
})
