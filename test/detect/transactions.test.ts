import { describe, expect, test } from 'vitest'
import { managerAt, managerOf } from '../../agent/detect/package-managers.ts'
import {
  noteSetuid,
  readCommandLine,
  stored,
  type Transaction,
  unstored,
} from '../../agent/detect/transactions.ts'

const newTransaction = (): Transaction => ({
  ...{ tree: 't', manager: 'apt', managers: ['apt'], user: 'root', history: '', auid: 0, pid: 1 },
  ...{ firstMs: 0, lastMs: 0, changed: new Set(), removed: new Set(), unnamed: 0 },
  ...{ setuid: new Set(), reasons: [], isFound: false, files: new Map() },
})

function read(...lines: readonly string[]): Transaction {
  const transaction = newTransaction()
  for (const line of lines) {
    const argv = line.split(' ')
    const manager = managerAt(`/usr/bin/${argv[0] ?? ''}`) ?? managerAt(`/sbin/${argv[0] ?? ''}`)
    if (manager === undefined) throw new Error(`no package manager: ${line}`)
    readCommandLine(transaction, manager, argv)
  }
  return transaction
}

describe('the command line of a package manager', () => {
  test.each([
    ['apt-get install -y tree', [], [], 0],
    [
      'dpkg --status-fd 8 --no-triggers --unpack --auto-deconfigure /var/cache/apt/archives/tree_2.1.0-1_amd64.deb',
      ['tree'],
      [],
      0,
    ],
    ['dpkg --status-fd 8 --configure --pending', [], [], 0],
    ['dpkg --status-fd 8 --configure libc6:amd64 tree:amd64', ['libc6', 'tree'], [], 0],
    ['dpkg --status-fd 8 --force-depends --remove tree:amd64', [], ['tree'], 0],
    ['dpkg -i ./chrome.deb', ['chrome'], [], 1],
    ['dpkg --print-foreign-architectures', [], [], 0],
    ['dnf -y install tree', ['tree'], [], 0],
    ['yum remove tree', [], ['tree'], 0],
    ['rpm -Uvh /root/tree-2.1.0-1.el9.x86_64.rpm', ['tree'], [], 1],
    ['rpm -e tree', [], ['tree'], 0],
    ['zypper --non-interactive in tree', ['tree'], [], 0],
    ['apk -U add tree', ['tree'], [], 0],
    ['apk add --allow-untrusted tree', ['tree'], [], 1],
    ['apk del tree', [], ['tree'], 0],
    ['pacman -Sy --noconfirm tree', ['tree'], [], 0],
    ['pacman -Rs tree', [], ['tree'], 0],
    ['dnf install $(evil)\u001b[2J', [], [], 0],
  ])('%s', (line, changed, removed, reasons) => {
    const transaction = read(line)
    expect([...transaction.changed]).toEqual(changed)
    expect([...transaction.removed]).toEqual(removed)
    expect(transaction.reasons).toHaveLength(reasons)
  })

  test('tells of what was installed that it was removed, and of what was replaced that it is there', () => {
    const transaction = read('dpkg --unpack /var/cache/apt/archives/a_1_all.deb', 'dpkg --remove a')
    expect([[...transaction.changed], [...transaction.removed]]).toEqual([['a'], ['a']])
    const replaced = read('dpkg --remove a', 'dpkg --configure a')
    expect([[...replaced.changed], [...replaced.removed]]).toEqual([['a'], []])
  })

  test('of a million packages is kept within bounds', () => {
    const names = Array.from({ length: 10_000 }, (_, index) => `p${index}`)
    const transaction = read(`dpkg --configure ${names.join(' ')}`)
    expect(transaction.changed.size + transaction.unnamed).toBe(10_000)
    expect(transaction.changed.size).toBeLessThan(1000)
  })
})

test('a transaction is the same after it was stored', () => {
  const transaction = read('dpkg -i ./chrome.deb', 'dpkg --remove tree')
  transaction.files.set('create x', [1, 2])
  expect(unstored(JSON.parse(JSON.stringify(stored(transaction))) as ReturnType<typeof stored>)).toEqual(
    transaction,
  )
})

test('package managers are known by their true path, as root, and by the scripts that they are', () => {
  const image = {
    container: '',
    user: 'root',
    exe: '/usr/bin/dpkg',
    script: undefined,
    origin: undefined,
    depth: 0,
  }
  const python = { ...image, exe: '/usr/bin/python3.11' }
  expect(managerOf(image)?.name).toBe('dpkg')
  expect(managerOf({ ...image, exe: '/bin/dpkg' })?.name).toBe('dpkg')
  expect(managerOf({ ...python, script: '/usr/bin/unattended-upgrade' })?.name).toBe('unattended-upgrade')
  expect(managerOf({ ...image, user: 'app' })).toBeUndefined()
  expect(managerOf({ ...image, exe: '/usr/local/bin/dpkg' })).toBeUndefined()
  expect(managerOf({ ...python, script: '/home/app/usr/bin/dnf' })).toBeUndefined()
})

test('a transaction remembers so many setuid files, and says when there are more', () => {
  const transaction = newTransaction()
  for (let count = 0; count < 10_000; count++) noteSetuid(transaction, `/usr/bin/${count}`)
  expect(stored(transaction).setuid).toHaveLength(500)
  expect(transaction.reasons).toEqual(['more than 500 setuid files have come with packages'])
})
