import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ARCHES, SYSCALLS, type Arch } from '../../agent/interpret/tables/syscalls.ts'

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

describe('--check', () => {
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

  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }

  const check = (...words: string[]): { status: number | null; said: string } => {
    const { status, stderr } = spawnSync(
      process.execPath,
      ['scripts/generate-tables.ts', '--check', ...words],
      { cwd: REPOSITORY, encoding: 'utf8' },
    )
    return { status, said: stderr }
  }

  beforeAll(() => {
    const table = readFileSync(join(REPOSITORY, 'agent/interpret/tables/syscalls.ts'), 'utf8')
    const [, major = '', minor = '', patch = ''] = /Linux (\d+)\.(\d+)\.(\d+)/.exec(table) ?? []
    const version = `#define LINUX_VERSION_MAJOR ${major}
#define LINUX_VERSION_PATCHLEVEL ${minor}
#define LINUX_VERSION_SUBLEVEL ${patch}
`
    write('usr/include/linux/version.h', version)
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
  })

  test('accepts the headers that the table came from', () => {
    expect(check(root)).toEqual({ status: 0, said: '' })
  })

  test('shows what differs', () => {
    const path = join(root, 'usr/lib/linux/uapi/riscv/asm/unistd_64.h')
    const before = readFileSync(path, 'utf8')
    writeFileSync(path, before.replace('__NR_execve ', '__NR_run_program '))
    const { status, said } = check(root)
    writeFileSync(path, before)
    expect(status).toBe(1)
    expect(said).toMatch(/^- .*\bexecve\b/m)
    expect(said).toMatch(/^\+ .*\brun_program\b/m)
  })

  test('refuses a number with two names', () => {
    const path = join(root, 'usr/lib/linux/uapi/s390/asm/unistd_64.h')
    const before = readFileSync(path, 'utf8')
    writeFileSync(path, `${before}#define __NR_other 11\n`)
    const { status, said } = check(root)
    writeFileSync(path, before)
    expect(status).toBe(1)
    expect(said).toContain('s390x 11 is both execve and other')
  })

  test('compares with the headers of this machine', ({ skip }) => {
    const { status, said } = check()
    skip(said.includes('skipped'), said.trim().replaceAll('\n', ' '))
    expect({ status, said }).toEqual({ status: 0, said: '' })
  })
})
