import { expect, test } from 'vitest'
import { confFor, withActive } from '../../agent/setup/plugin-conf.ts'

test('a plugin is switched on and off, and all else stays as it was written', () => {
  const text = '# Active = maybe\nActive=NO\n direction = out\npath = /x/active\n'
  const on = '# Active = maybe\nActive=yes\n direction = out\npath = /x/active\n'
  expect(withActive(text, true)).toBe(on)
  expect(withActive(on, true)).toBe(on)
  expect(withActive('path = /x', false)).toBe('path = /x\nactive = no\n')
  expect(withActive('', true)).toBe('active = yes\n')
})

test('without a package, auditd is told of the program of this checkout', () => {
  expect(withActive(confFor('/opt/auditd-relay'), true)).toBe(
    'active = yes\ndirection = out\npath = /opt/auditd-relay\ntype = always\nformat = string\n',
  )
})
