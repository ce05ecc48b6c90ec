import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { nameOfLayer } from '../../agent/scan/container-names.ts'
import { folderForTest } from '../support/folder.ts'

const ID = `a1b2c3d4e5f6${'0'.repeat(52)}`

function write(file: string, content: unknown): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
}

test('Docker tells name and image', () => {
  const root = folderForTest()
  const config = { ID, Name: '/web', Config: { Image: 'nginx:1.27', Cmd: [] }, State: { Running: true } }
  write(join(root, `containers/${ID}/config.v2.json`), config)
  for (const folder of [
    `${root}/overlay2/0123/diff`,
    `${root}/containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs`,
  ])
    expect(nameOfLayer({ container: ID.slice(0, 12), folder })).toEqual({
      label: 'nginx:1.27',
      names: ['web', 'nginx:1.27'],
    })
})

test('podman tells them by the layer, of root and of others', () => {
  const root = folderForTest()
  const metadata = JSON.stringify({ 'image-name': 'docker.io/library/redis:7', name: 'cache' })
  const containers = [
    { id: 'f'.repeat(64), layer: 'other', names: ['other'] },
    { id: ID, layer: '4567', names: ['cache'], image: 'x', metadata },
  ]
  write(join(root, 'overlay-containers/containers.json'), containers)
  expect(nameOfLayer({ container: '', folder: `${root}/overlay/4567/diff` })).toEqual({
    label: 'docker.io/library/redis:7',
    names: ['cache', 'docker.io/library/redis:7'],
  })
})

test('what is written wrong names nothing, and what is named writes no second line', () => {
  const root = folderForTest()
  const folder = `${root}/overlay/4567/diff`
  const nobody = { label: folder, names: [] }
  expect(nameOfLayer({ container: '', folder })).toEqual(nobody)
  for (const content of ['', '{', '[1]', '[{"id": 1}]', 'null', '['.repeat(100_000)]) {
    write(join(root, 'overlay-containers/containers.json'), content)
    expect(nameOfLayer({ container: '', folder })).toEqual(nobody)
  }
  const containers = [{ id: ID, layer: '4567', names: [`a\nb${'x'.repeat(10_000)}`] }]
  write(join(root, 'overlay-containers/containers.json'), containers)
  const { names } = nameOfLayer({ container: '', folder })
  expect(names[0]).toMatch(/^a\\x0abx+$/)
  expect(names[0]).toHaveLength(200)
  expect(nameOfLayer({ container: 'abc', folder: '/x' })).toEqual({ label: 'abc', names: [] })
  // A service has a /tmp of its own.
  expect(nameOfLayer({ container: '', folder: '/proc/1/root/tmp/x' })).toEqual({ label: '/tmp/x', names: [] })
})
