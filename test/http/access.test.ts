import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bearsToken, isLoopback, isOwnName, readToken } from '../../agent/http/access.ts'
import { folderForTest } from '../support/folder.ts'

const TOKEN = 'f00dfeedf00dfeed'

test.each([
  ['127.0.0.1', true],
  ['127.255.3.4', true],
  ['::1', true],
  ['localhost', true],
  ['::ffff:127.0.0.1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['192.0.2.1', false],
  ['128.0.0.1', false],
  ['localhost.example', false],
  ['127.1', false],
  ['', false],
])('%s is this host alone: %s', (address, is) => expect(isLoopback(address)).toBe(is))

test.each([
  ['localhost', true],
  ['LOCALHOST:9390', true],
  ['127.0.0.1:9390', true],
  ['[::1]:9390', true],
  ['evil.example', false],
  ['127.0.0.1.evil.example:80', false],
  ['localhost:80@evil.example', false],
  ['evil.example#localhost', false],
  ['', false],
  [undefined, false],
])('Host: %s names this host: %s', (host, is) => expect(isOwnName(host)).toBe(is))

test.each([
  [`Bearer ${TOKEN}`, true],
  [`bearer   ${TOKEN} `, true],
  [`Bearer ${TOKEN}x`, false],
  [`Bearer ${TOKEN.slice(1)}`, false],
  [`Basic ${TOKEN}`, false],
  ['Bearer', false],
  [TOKEN, false],
  [undefined, false],
])('Authorization: %s bears the token: %s', (header, is) => expect(bearsToken(header, TOKEN)).toBe(is))

describe('the file with the token', () => {
  const written = (text: string, mode = 0o600): string => {
    const file = join(folderForTest(), 'token')
    writeFileSync(file, text)
    chmodSync(file, mode)
    return file
  }

  test('is one word', () => expect(readToken(written(`${TOKEN}\n`))).toBe(TOKEN))

  test.each([
    [0o640, /others may read .*chmod 600/],
    [0o604, /others may read/],
    [0o620, /others may read/],
  ])('with mode %i is refused', (mode, why) => expect(() => readToken(written(TOKEN, mode))).toThrow(why))

  test.each(['', 'short', 'with two words in it', 'f00dfeedf00dfeed\nf00d', 'f00dfeed\u0001f00dfeed'])(
    'with %j is refused',
    (text) => expect(() => readToken(written(text))).toThrow(/must be one word of 16/),
  )

  test('is a file of ours', () => {
    const folder = folderForTest()
    expect(() => readToken(join(folder, 'none'))).toThrow(/cannot read the token .*ENOENT/)
    mkdirSync(join(folder, 'directory'), { mode: 0o700 })
    expect(() => readToken(join(folder, 'directory'))).toThrow(/is no small file/)
    symlinkSync('/dev/zero', join(folder, 'zero'))
    expect(() => readToken(join(folder, 'zero'))).toThrow(/is no small file/)
    expect(() => readToken(written('x'.repeat(5000)))).toThrow(/is no small file/)
  })

  test.skipIf(process.getuid?.() !== 0)('belongs to nobody else', () => {
    const file = written(TOKEN)
    chownSync(file, 65_534, 65_534)
    expect(() => readToken(file)).toThrow(/belongs to another user/)
  })
})
