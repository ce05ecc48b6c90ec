import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { isJit } from '../../agent/scan/jit.ts'
import { temporaryCodeIn, writableCodeIn } from '../../agent/scan/memory.ts'

const DATA = '7f0000000000-7f0000001000 rw-p 00000000 00:00 0 '
const LIBC =
  '7f1000000000-7f1000028000 r-xp 00000000 fe:00 1311                       /usr/lib/x86_64-linux-gnu/libc.so.6'
const maps = (...lines: string[]): string => [LIBC, DATA, ...lines, ''].join('\n')

describe('memory that may be written and executed', () => {
  test.each([
    ['anonymous', '7f2000000000-7f2000003000 rwxp 00000000 00:00 0 '],
    ['the heap', '55d000000000-55d000003000 rwxp 00000000 00:00 0                          [heap]'],
    [
      'shared',
      '7f2000000000-7f2000003000 rwxs 00000000 00:01 77                         /dev/zero (deleted)',
    ],
    [
      'a file in memory',
      '7f2000000000-7f2000003000 rwxs 00000000 00:01 78                   /memfd:x (deleted)',
    ],
    ['named', '7f2000000000-7f2000003000 rwxp 00000000 00:00 0                          [anon:x]'],
  ])('%s', (_, line) => {
    expect(writableCodeIn(maps(line))).toEqual({
      regionBytes: [12_288],
      files: new Set(['/usr/lib/x86_64-linux-gnu/libc.so.6']),
    })
  })

  test.each([
    ['a file', '7f2000000000-7f2000003000 rwxp 00000000 fe:00 4242                       /usr/lib/old.so'],
    ['the stack', '7ffd00000000-7ffd00021000 rwxp 00000000 00:00 0                          [stack]'],
    ['what is only written', '7f2000000000-7f2000003000 rw-p 00000000 00:00 0 '],
    ['what is only executed', '7f2000000000-7f2000003000 r-xp 00000000 00:00 0 '],
    ['no line', 'torn'],
  ])('not %s', (_, line) => {
    expect(writableCodeIn(maps(line))).toBeUndefined()
  })

  test('not of a program all of whose data may be executed', () => {
    // setarch(8) asks for it as the loader does for old programs.
    const { stdout, status } = spawnSync('setarch', ['-X', 'cat', '/proc/self/maps'], { encoding: 'utf8' })
    if (status !== 0 || !/ rwxp /.test(stdout)) return
    expect(writableCodeIn(stdout)).toBeUndefined()
  })
})

describe('a reason to execute what was written', () => {
  const PAGE = [4096]
  test.each([
    ['/usr/bin/node', [], PAGE, true],
    ['/usr/lib/jvm/java-17-openjdk-amd64/bin/java', [], PAGE, true],
    ['/usr/bin/qemu-system-x86_64', [], PAGE, true],
    ['/usr/sbin/php-fpm8.2', [], PAGE, true],
    ['/usr/bin/node (deleted)', [], PAGE, true],
    ['/usr/bin/python3.11', [], PAGE, false],
    ['/usr/bin/nodename', [], PAGE, false],
    ['/usr/lib/postgresql/15/bin/postgres', ['/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1'], PAGE, true],
    ['/usr/sbin/evil', ['/tmp/libjvm.so'], PAGE, false],
    // Regular expressions are compiled in portions of 64 KiB.
    ['/usr/sbin/apache2', ['/usr/lib/x86_64-linux-gnu/libpcre2-8.so.0.11.2'], [65_536, 131_072], true],
    ['/usr/sbin/sshd', ['/usr/lib/x86_64-linux-gnu/libpcre2-8.so.0.11.2'], PAGE, false],
    ['/usr/sbin/apache2', [], [65_536], false],
  ])('%s with %j and %j: %j', (exe, files, regionBytes, is) => {
    expect(isJit(exe, { files: new Set(files), regionBytes })).toBe(is)
  })
})

test.each([
  ['r-xp 00001000 fe:00 1312', '/tmp/x/evil.so', '/tmp/x/evil.so'],
  ['r-xp 00001000 fe:00 1312', '/tmp/x/evil.so (deleted)', '/tmp/x/evil.so (deleted)'],
  ['r--p 00001000 fe:00 1312', '/tmp/x/words', undefined],
  ['rwxs 00001000 fe:00 1312', '/tmp/ffiAbC123 (deleted)', undefined],
  ['r-xp 00001000 fe:00 1312', '/srv/tmp/lib.so', undefined],
])('code of a file in a temporary place: %s %s', (region, path, expected) => {
  expect(temporaryCodeIn(maps(`7f2000000000-7f2000003000 ${region}                  ${path}`))).toBe(expected)
})
