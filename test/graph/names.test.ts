import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ProcessImage } from '../../agent/domain/activity.ts'
import { callerName, chainOf, hostName, printable, processName } from '../../agent/graph/names.ts'
import { textOfBytes } from '../../agent/parse/text.ts'

const image = (given: Partial<ProcessImage> = {}): ProcessImage => ({
  container: '',
  user: 'root',
  exe: '/bin/x',
  script: undefined,
  origin: undefined,
  depth: 0,
  ...given,
})

/** Anything a log may hold: all characters, halves of characters, bytes that are no text, and what looks like an escape. */
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 3 }),
      fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
      fc.constantFrom(
        ...[
          '\\',
          'x0a',
          '\\x0a',
          '\\x5c',
          'u{202e}',
          '\\u{202e}',
          '\n',
          '\x1b[2K',
          '\r',
          '\x7f',
          '\x80',
          '\udc80',
        ],
        ...[
          '\u202e',
          '\u2066',
          '\u061c',
          '\u200f',
          '\ufeff',
          '\u00ad',
          '\u2028',
          '\u00a0',
          '\u3164',
          '\u{e0041}',
        ],
        ...['->', '-', '>', '<', ':', ' ', 'é', '漢', '😀'],
      ),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))

describe('printable', () => {
  test('lets nothing through that controls, hides or turns text', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const printed = printable(text)
        expect(printed).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
        expect(printed.isWellFormed()).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  /** What a reader makes of it: `\xNN` is a byte, `\u{N}` a character, and any other backslash itself. */
  const undone = (printed: string): string =>
    printed.replace(/\\x([0-9a-f]{2})|\\u\{([0-9a-f]+)\}/g, (_, byte?: string, character?: string) => {
      if (character !== undefined) return String.fromCodePoint(Number.parseInt(character, 16))
      const code = Number.parseInt(byte ?? '', 16)
      return String.fromCharCode(code < 0x80 ? code : 0xdc00 + code)
    })

  test('can be undone, so that no two texts are printed alike', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(undone(printable(text))).toBe(text)
      }),
      { numRuns: 5000 },
    )
  })

  test('no two names of bytes are printed alike', () => {
    const bytes = fc.uint8Array({ maxLength: 6 }).map((array) => Buffer.from(array))
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        fc.pre(!one.equals(other))
        expect(printable(textOfBytes(one))).not.toBe(printable(textOfBytes(other)))
      }),
      { numRuns: 2000, examples: [[Buffer.from([0x80]), Buffer.from([0xc2, 0x80])]] },
    )
  })

  test.each([
    ['/usr/bin/python3.11', '/usr/bin/python3.11'],
    ['/srv/Ünïcode/漢字/😀', '/srv/Ünïcode/漢字/😀'],
    ['/srv/a b', '/srv/a b'],
    ['CORP\\joe', 'CORP\\joe'],
    ['a\nb', String.raw`a\x0ab`],
    ['a\x1b[31m', String.raw`a\x1b[31m`],
    [String.raw`a\x0ab`, String.raw`a\x5cx0ab`],
    ['\udcff', String.raw`\xff`],
    ['\u0085', String.raw`\u{85}`],
    ['a\u202eb', String.raw`a\u{202e}b`],
    ['\ud83d', String.raw`\u{d83d}`],
    ['x->y', String.raw`x-\x3ey`],
  ])('%j', (text, printed) => {
    expect(printable(text)).toBe(printed)
  })
})

describe('hosts', () => {
  test.each([
    [hostName({ family: 'ip', address: '203.0.113.66', port: 4444 }), 'host:203.0.113.66:4444'],
    [hostName({ family: 'ip', address: '2001:db8::1', port: 443 }), 'host:[2001:db8::1]:443'],
    [hostName({ family: 'ip', address: '::', port: 0 }), 'host:[::]:0'],
    [callerName({ family: 'ip', address: '203.0.113.66', port: 51234 }), 'host:203.0.113.66:*'],
    [callerName({ family: 'ip', address: '::1', port: 51234 }), 'host:[::1]:*'],
    [hostName({ family: 'vsock', cid: 2, port: 1024 }), 'host:vsock:2:1024'],
    [callerName({ family: 'vsock', cid: 3, port: 51234 }), 'host:vsock:3:*'],
    // Which interface has which number changes with every boot and every container.
    [hostName({ family: 'packet', protocol: 3, interface: 7 }), 'host:packet:0x0003'],
    [hostName({ family: 'packet', protocol: 0x88cc, interface: 1 }), 'host:packet:0x88cc'],
    [hostName({ family: 'netlink', pid: 7, groups: 1 }), 'host:netlink:1'],
    [hostName({ family: 'other', number: 31, data: '0110aabbccddeeff' }), 'host:family-31'],
    [hostName({ family: 'unix', path: '/run/x.sock', isAbstract: false }), 'host:unix:/run/x.sock'],
    [hostName({ family: 'unix', path: '/run/x.sock', isAbstract: true }), 'host:unix:@/run/x.sock'],
    [callerName({ family: 'unix', path: 'a\0b', isAbstract: true }), String.raw`host:unix:@a\x00b`],
    [
      hostName({ family: 'unix', path: '/x\ntype=EOE', isAbstract: false }),
      String.raw`host:unix:/x\x0atype=EOE`,
    ],
  ])('%s is %s', (name, expected) => {
    expect(name).toBe(expected)
  })
})

describe('processes', () => {
  test.each([
    [image(), 'proc::root:/bin/x'],
    [image({ user: 'www-data', script: '/srv/app.py' }), 'proc::www-data:/bin/x</srv/app.py'],
    [image({ script: '-m http.server' }), 'proc::root:/bin/x<-m http.server'],
    [image({ container: '0123456789ab', user: '33' }), 'proc:0123456789ab:33:/bin/x'],
    [image({ exe: '/memfd:x (deleted)' }), 'proc::root:/memfd:x (deleted)'],
    [image({ exe: '?' }), 'proc::root:?'],
  ])('%#', (process, name) => {
    expect(processName(process)).toBe(name)
    expect(processName(process)).toBe(name)
  })

  test.each([
    [
      '/home/deploy/.ansible/tmp/ansible-tmp-1795322858.3913145-11642-787380781994209/AnsiballZ_apt.py',
      String.raw`/home/deploy/.ansible/tmp/ansible-tmp-\d{10}\.\d+-\d+-\d+/AnsiballZ_apt.py`,
    ],
    [
      '/srv/shop/releases/20261121101112-0ab3f4c/bin/worker',
      String.raw`/srv/shop/releases/\d{14}-[0-9a-f]{7}/bin/worker`,
    ],
    [
      '/srv/jobs/0b8f7a52-5f5c-4b0e-9d4e-0a1b2c3d4e5f/run.sh',
      String.raw`/srv/jobs/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/run.sh`,
    ],
  ])('the script %s is the same one in the next such directory', (script, name) => {
    expect(processName(image({ script }))).toBe(`proc::root:/bin/x<${name}`)
  })

  test.each([
    '/srv/shop/worker-20261121101112.py',
    '/srv/shop-8080/worker.py',
    '/opt/python3.11/run.py',
    '/tmp/1795322858.3913145/x.py',
    '/var/tmp/20261121101112/x.py',
    '/dev/shm/0123456789abcdef01/x.py',
    '-m 20261121101112/http.server',
    '20261121101112/x.py',
  ])('the script %s has its own name', (script) => {
    expect(processName(image({ script }))).toBe(`proc::root:/bin/x<${script}`)
  })

  test('no directory passes for one that changes', () => {
    const forged = image({ script: String.raw`/srv/shop/releases/\d{14}-[0-9a-f]{7}/bin/worker` })
    const honest = image({ script: '/srv/shop/releases/20261121101112-0ab3f4c/bin/worker' })
    expect(processName(forged)).not.toBe(processName(honest))
  })

  test('two processes never share a name', () => {
    const piece = fc.string({ unit: fc.constantFrom('/', 'a', '<', '\\', 'x', '3', 'c', ' '), maxLength: 8 })
    const any = fc.record({
      user: fc.constantFrom('root', 'www-data', '33'),
      exe: piece,
      script: fc.option(piece, { nil: undefined }),
    })
    fc.assert(
      fc.property(any, any, (one, other) => {
        fc.pre(one.user !== other.user || one.exe !== other.exe || one.script !== other.script)
        expect(processName(image(one))).not.toBe(processName(image(other)))
      }),
      {
        numRuns: 3000,
        examples: [
          [
            { user: 'root', exe: '/a</b', script: undefined },
            { user: 'root', exe: '/a', script: '/b' },
          ],
        ],
      },
    )
  })

  test('a printed chain has as many names as it shows, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 1, maxLength: 4 }), (exes) => {
        let process: ProcessImage | undefined
        for (const exe of exes) process = image({ exe, origin: process })
        const names = chainOf(process ?? image())
        expect(names.join('->').split('->')).toEqual(names)
      }),
    )
  })

  test('a chain begins with the oldest, and who became itself again stands there once', () => {
    const init = image({ exe: '/sbin/init' })
    const shell = image({ exe: '/bin/sh', origin: init })
    const again = image({ exe: '/bin/sh', origin: shell })
    const curl = image({ exe: '/bin/curl', origin: again })
    expect(chainOf(curl)).toEqual(['proc::root:/sbin/init', 'proc::root:/bin/sh', 'proc::root:/bin/curl'])
  })
})
