import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { filePathOf, isLoopback, isNameless, networkPeerOf, processOf } from '../../agent/detect/nodes.ts'
import type { ProcessImage } from '../../agent/domain/activity.ts'
import { fileName } from '../../agent/graph/edges.ts'
import { hostName, printable, processName } from '../../agent/graph/names.ts'

const NAME = fc.string({ unit: fc.constantFrom('a', '/', '<', ':', ' ', '\n', '\\', '->', 'é', ']', '[') })

describe('law: a name says what it was made of', () => {
  test('a process', () => {
    fc.assert(
      fc.property(NAME, fc.option(NAME), fc.constantFrom('', '0123456789ab'), (exe, script, container) => {
        const image: ProcessImage = {
          ...{ container, user: 'app', exe, origin: undefined, depth: 0 },
          script: script ?? undefined,
        }
        expect(processOf(processName(image))).toEqual({
          ...{ container, user: 'app' },
          exe: printable(exe).replaceAll('<', '\\x3c'),
          script: script === null ? '' : printable(script),
        })
      }),
    )
  })

  test('a file', () => {
    fc.assert(
      fc.property(NAME, (path) => {
        expect(filePathOf(fileName('write', printable(path)))).toBe(printable(path))
      }),
    )
  })

  test('an address', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6())
    fc.assert(
      fc.property(address, fc.integer({ min: 0, max: 65535 }), (host, port) => {
        const peer = networkPeerOf(hostName({ family: 'ip', address: host, port }))
        expect(peer).toEqual({ host, port: String(port) })
        expect(peer !== undefined && isNameless(peer)).toBe(true)
      }),
    )
  })
})

test.each([
  ['host:api.partner.test:8080', 'api.partner.test', '8080', false, false],
  ['host:127.0.0.1:80', '127.0.0.1', '80', true, true],
  ['host:[::1]:*', '::1', '*', true, true],
  ['host:203.0.113.0/24:8080', '203.0.113.0/24', '8080', false, false],
])('%s is a peer on a network', (name, host, port, isHere, isWithoutName) => {
  const peer = networkPeerOf(name)
  expect(peer).toEqual({ host, port })
  expect(peer !== undefined && isLoopback(peer)).toBe(isHere)
  expect(peer !== undefined && isNameless(peer)).toBe(isWithoutName)
})

test.each([
  'host:unix:/run/x:80',
  'host:unix:@a',
  'host:vsock:2:1024',
  'host:packet:0x0003',
  'file:write:/a:1',
])('%s is none', (name) => {
  expect(networkPeerOf(name)).toBeUndefined()
})
