import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { mountAt, mountOf, optionOf, parseMounts } from '../../agent/scan/mounts.ts'

test('the mounts of this host are those that findmnt finds', () => {
  const words = ['--noheadings', '--list', '--output', 'TARGET,FSTYPE,MAJ:MIN']
  const { stdout } = spawnSync('findmnt', words, { encoding: 'utf8' })
  const found = stdout.split('\n').map((line) => line.trim().replace(/\s+/g, ' '))
  const ours = parseMounts(readFileSync('/proc/self/mountinfo', 'latin1'))
  expect(ours.length).toBeGreaterThan(1)
  expect(ours.map(({ point, type, device }) => `${point} ${type} ${device}`).sort()).toEqual(
    found.filter((line) => line !== '').sort(),
  )
})

test('blanks, commas and backslashes stand in octal digits', () => {
  const [mount] = parseMounts(
    '44 27 0:39 / /a\\040b rw,relatime master:1 - overlay over\\011lay rw,lowerdir=/l,upperdir=/a\\134\\054b\\040c:d,uuid=on\n',
  )
  expect(mount).toMatchObject({ point: '/a b', source: 'over\tlay', options: ['rw', 'relatime'] })
  expect(mount && optionOf(mount, 'upperdir')).toBe('/a\\,b c:d')
  expect(mount && optionOf(mount, 'upper')).toBeUndefined()
})

test('what covers counts, and what is no line of mountinfo does not', () => {
  const line = (device: string, point: string): string => `1 1 ${device} / ${point} rw - ext4 /dev/x rw`
  const lines = [
    line('1:1', '/'),
    line('1:2', '/srv'),
    line('1:3', '/srv'),
    '',
    'x',
    '1 2 3 - 4',
    line('1:4', '/srvx'),
  ]
  const mounts = parseMounts(lines.join('\n'))
  expect(mounts).toHaveLength(4)
  expect(mountAt(mounts, '/srv')?.device).toBe('1:3')
  expect(mountOf(mounts, '/srv/a')?.device).toBe('1:3')
  expect(mountOf(mounts, '/srvy')?.device).toBe('1:1')
  expect(mountOf(mounts, '/srvx')?.device).toBe('1:4')
})
