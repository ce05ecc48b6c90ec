import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { deedsOf, deedText } from '../support/deeds.ts'
import { expectedDeeds } from '../support/workload/deeds.ts'
import { type CALL, event, execve, line, path, syscall } from '../support/log.ts'

type Given = Parameters<typeof syscall>[1]

const USER = { auid: 1000, uid: 1000, euid: 1000, suid: 1000, fsuid: 1000 }
const ROOT = { uid: 0, euid: 0, suid: 0, fsuid: 0 }
const REFUSED = { success: 'no', exit: -1 }
const ENDED = { success: '', exit: '' }
const SUID_MODE = '0104755'

/** A log of several events, whose serials go on by themselves. */
class Story {
  text = ''
  private serial = 0

  exec(exe: string, given: Given = {}, mode = '0100755'): this {
    const file = path(0, exe, 11, 'NORMAL').replace('0100644', mode)
    return this.write([
      ['SYSCALL', syscall('execve', { ...USER, exe: `"${exe}"`, items: 1, ...given })],
      ['EXECVE', execve([exe])],
      ['CWD', 'cwd="/"'],
      ['PATH', file],
    ])
  }

  call(name: keyof typeof CALL, given: Given = {}): this {
    return this.write([['SYSCALL', syscall(name, { ...USER, exe: '"/bin/bash"', ...given })]])
  }

  failedExec(name: string, exit: number, inode = 11): this {
    const call = { ...USER, exe: '"/bin/bash"', items: 1, success: 'no', exit }
    return this.write([
      ['SYSCALL', syscall('execve', call)],
      ['CWD', 'cwd="/srv"'],
      ['PATH', path(0, name, inode, inode === 0 ? 'UNKNOWN' : 'NORMAL')],
    ])
  }

  /** A record that comes alone. */
  record(type: string, body: string): this {
    this.text += line(type, ++this.serial, body)
    return this
  }

  get deeds(): string[] {
    return deedsOf(this.text).map(deedText)
  }

  private write(records: readonly (readonly [string, string])[]): this {
    this.text += event(++this.serial, records)
    return this
  }
}

test.each(['ENRICHED', 'RAW'] as const)('what a real auditd recorded of them, %s', (logFormat) => {
  const log = readFileSync(join(import.meta.dirname, `../fixtures/deeds/${logFormat.toLowerCase()}.log`))
  expect(deedsOf(log).map(deedText)).toEqual(expectedDeeds(logFormat))
})

describe('root by a call', () => {
  const shell = (): Story => new Story().exec('/bin/bash')

  test('is told of a fork of an unseen fork, though a process of root has a pid near', () => {
    const child = { pid: 103, ppid: 102 }
    const story = new Story()
      .exec('/bin/bash', { ...ROOT, pid: 100, ppid: 9 })
      .call('connect', child)
      .call('setuid', { ...ROOT, ...child })
    expect(story.deeds).toEqual(['call done: proc::1000:/bin/bash->proc::0:/bin/bash by login 1000'])
  })

  test('is not told of the forks of an unseen fork that were root when they were first seen', () => {
    const story = new Story().exec('/bin/bash', { pid: 100, ppid: 9 })
    for (const pid of [103, 104]) story.call('setuid', { ...ROOT, pid, ppid: 102 })
    expect(story.deeds).toEqual([])
  })

  test('is told when it was granted to a process that never was root', () => {
    expect(shell().call('setuid', ROOT).deeds).toEqual([
      'call done: proc::1000:/bin/bash->proc::0:/bin/bash by login 1000',
    ])
    const kept = shell().call('setresuid', { euid: 0, a0: 'ffffffff', a2: 'ffffffff' })
    expect(kept.deeds).toEqual(['call done: proc::1000:/bin/bash->proc::1000:/bin/bash by login 1000'])
  })

  test('is told when a child that never ran another program was granted it', () => {
    expect(shell().call('setuid', { ...ROOT, pid: 101, ppid: 100 }).deeds).toEqual([
      'call done: proc::1000:/bin/bash->proc::0:/bin/bash by login 1000',
    ])
  })

  test('is told when it was refused, and root was what was asked for', () => {
    const refused = 'call refused: proc::1000:/bin/bash->proc::1000:/bin/bash by login 1000'
    expect(shell().call('setuid', { ...REFUSED, a0: 0 }).deeds).toEqual([refused])
    expect(shell().call('setresuid', { ...REFUSED, a0: 'ffffffff', a1: 0, a2: 'ffffffff' }).deeds).toEqual([
      refused,
    ])
    expect(shell().call('setuid', { ...REFUSED, a0: '3e9' }).deeds).toEqual([])
    expect(shell().call('setresuid', { ...REFUSED, a0: '3e9', a1: '3e9', a2: '3e9' }).deeds).toEqual([])
  })

  test('is no news of who has root, or had it and sees whether it is gone', () => {
    const daemon = (): Story => new Story().exec('/bin/bash', { ...ROOT })
    expect(daemon().call('setuid', ROOT).deeds).toEqual([])
    expect(daemon().call('setresuid', { euid: 0 }).deeds).toEqual([])
    // A child that was seen first when it had given root up.
    const child = { pid: 101, ppid: 100 }
    expect(
      daemon()
        .call('openat', child)
        .call('setresuid', { euid: 0, ...child }).deeds,
    ).toEqual([])
    // sshd forks, becomes the user, and tries to become root again.
    expect(daemon().call('setuid', { ...REFUSED, a0: 0, pid: 101, ppid: 100 }).deeds).toEqual([])
    expect(
      daemon()
        .call('openat')
        .call('setuid', { ...REFUSED, a0: 0 }).deeds,
    ).toEqual([])
  })

  test('is news again of what a user who was root once executes', () => {
    const login = new Story()
      .exec('/bin/login', ROOT)
      .exec('/bin/bash')
      .call('setuid', { ...REFUSED, a0: 0 })
    expect(login.deeds).toEqual(['call refused: proc::1000:/bin/bash->proc::1000:/bin/bash by login 1000'])
  })

  test('of a process that was never seen is told where its real user shows', () => {
    expect(new Story().call('setuid', ROOT).deeds).toEqual([])
    expect(new Story().call('setresuid', { euid: 0, auid: 4_294_967_295 }).deeds).toEqual([
      'call done: proc::1000:/bin/bash->proc::1000:/bin/bash',
    ])
  })
})

describe('root by a file', () => {
  test('that makes root of everybody', () => {
    const story = new Story().exec('/bin/bash').exec('/tmp/id', { euid: 0 }, SUID_MODE)
    expect(story.deeds).toEqual([
      'setuid-file done: proc::1000:/bin/bash->proc::1000:/tmp/id /tmp/id by login 1000',
    ])
  })

  test('whose mode was not recorded', () => {
    expect(new Story().exec('/bin/bash').exec('/tmp/id', { euid: 0 }).deeds).toHaveLength(1)
  })

  test('is told once, and not of what it executes with the rights that it has', () => {
    const story = new Story().exec('/bin/bash').exec('/tmp/id', { euid: 0 }, SUID_MODE)
    expect(story.exec('/bin/dash', { euid: 0 }).deeds).toHaveLength(1)
  })

  test('is not told of root', () => {
    expect(new Story().exec('/bin/bash', ROOT).exec('/usr/bin/passwd', ROOT, SUID_MODE).deeds).toEqual([])
  })

  test('that is there for it', () => {
    const story = new Story().exec('/bin/bash').exec('/usr/bin/sudo', { euid: 0 }, SUID_MODE)
    expect(story.deeds).toEqual([
      'switcher done: proc::1000:/bin/bash->proc::1000:/usr/bin/sudo /usr/bin/sudo by login 1000',
    ])
    expect(new Story().exec('/bin/bash').exec('/usr/sbin/runuser').deeds).toEqual([
      'switcher refused: proc::1000:/bin/bash->proc::1000:/usr/sbin/runuser /usr/sbin/runuser by login 1000',
    ])
  })
})

describe('a refusal', () => {
  const refusal = (claims: string, ids = 'pid=100 uid=1000 auid=1000 ses=3'): string =>
    `${ids} msg='${claims}'`
  const SAID =
    'op=PAM:authentication acct="root" exe="/usr/bin/su" hostname=? addr=? terminal=pts/0 res=failed'
  const su = (): Story => new Story().exec('/usr/bin/su', { euid: 0 }, SUID_MODE)
  const last = (story: Story): string | undefined => story.deeds.slice(1).at(-1)

  test('is of the process that the kernel names', () => {
    expect(last(su().record('USER_AUTH', refusal(SAID)))).toBe(
      'authentication refused: proc::1000:/usr/bin/su->proc::1000:/usr/bin/su /usr/bin/su USER_AUTH root by login 1000',
    )
  })

  test('by sudo, which has taken on root by then, is of the user who called it', () => {
    const sudo = new Story().exec('/usr/bin/sudo', { euid: 0 }, SUID_MODE)
    sudo.call('setresuid', { ...ROOT, exe: '"/usr/bin/sudo"' })
    const claims = 'cwd="/" cmd=636174202F6574632F736861646F77 exe="/usr/bin/sudo" res=failed'
    expect(last(sudo.record('USER_CMD', refusal(claims, 'pid=100 uid=0 auid=1000 ses=3')))).toBe(
      'authentication refused: proc::1000:/usr/bin/sudo->proc::0:/usr/bin/sudo /usr/bin/sudo USER_CMD  ' +
        'cat /etc/shadow by login 1000',
    )
  })

  test('is believed of a process that is known to be such a program, whatever it says', () => {
    const lie = SAID.replace('/usr/bin/su', '/usr/sbin/sshd')
    expect(last(su().record('USER_AUTH', refusal(lie)))).toContain('authentication refused')
    const sshd = new Story().exec('/usr/sbin/sshd').record('USER_AUTH', refusal(SAID))
    expect(sshd.deeds).toEqual([])
    expect(new Story().record('USER_AUTH', refusal(SAID)).deeds).toHaveLength(1)
    expect(new Story().record('USER_AUTH', refusal(lie)).deeds).toEqual([])
  })

  test('is one only where it says so, and is none of root', () => {
    expect(last(su().record('USER_AUTH', refusal(SAID.replace('failed', 'success'))))).toBeUndefined()
    expect(last(su().record('USER_START', refusal(SAID)))).toBeUndefined()
    const root = new Story().exec('/usr/bin/su', ROOT)
    expect(root.record('USER_AUTH', refusal(SAID, 'pid=100 uid=0 auid=0 ses=3')).deeds).toEqual([])
  })

  test('has ids of its own, which those that the sender writes do not replace', () => {
    const hostile = `pid=1 uid=0 auid=0 ${SAID}`
    expect(deedsOf(new Story().record('USER_AUTH', refusal(hostile)).text)).toMatchObject([
      { pid: 100, auid: 1000 },
    ])
    expect(new Story().record('USER_AUTH', refusal(SAID, 'pid=x uid=y')).deeds).toEqual([])
    expect(new Story().record('USER_AUTH', '').deeds).toEqual([])
  })
})

describe('an end', () => {
  const end = (a0: string): string[] =>
    new Story().exec('/bin/bash').call('exit_group', { ...ENDED, a0 }).deeds

  // wait(2): the low eight bits of what was handed over, which the kernel writes in hex.
  test.each([
    ['1', 1],
    ['7f', 127],
    ['ff', 255],
    ['ffffffff', 255],
    ['102', 2],
  ])('with a0=%s is one with status %i', (a0, status) => {
    expect(end(a0)).toEqual([`end ${status}: proc::1000:/bin/bash by login 1000`])
  })

  test.each(['0', '100'])('with a0=%s is a good one', (a0) => {
    expect(end(a0)).toEqual([])
  })

  test('by a signal', () => {
    const abend = (exe: string): string[] =>
      new Story()
        .exec('/bin/bash')
        .record('ANOM_ABEND', `auid=1000 uid=1000 gid=1000 ses=3 pid=100 comm="bash"${exe} sig=11 res=1`)
        .deeds
    expect(abend(' exe="/bin/bash"')).toEqual(['end by signal 11: proc::1000:/bin/bash by login 1000'])
    // Older kernels write `reason="memory violation"` in its place.
    expect(abend(' reason="memory violation"')).toEqual([
      'end by signal 11: proc::1000:/bin/bash by login 1000',
    ])
    expect(abend(' exe="/bin/other"')).toEqual(['end by signal 11: proc::1000:/bin/other by login 1000'])
  })

  test('by a signal is told although nothing else of its event comes, and before much else has', () => {
    const abend = line(
      'ANOM_ABEND',
      1,
      'auid=1000 uid=1000 gid=1000 ses=3 pid=7 comm="x" exe="/bin/x" sig=6 res=1',
    )
    const others = Array.from({ length: 50 }, (_, index) =>
      event(index + 2, [['SYSCALL', syscall('exit_group', { ...ENDED, a0: '1' })]]),
    )
    expect(deedsOf(abend + others.join(''))[0]).toMatchObject({ kind: 'end', signal: 6, pid: 7 })
  })

  test('leaves a parent to whom its children still belong', () => {
    const story = new Story().exec('/bin/bash').call('exit_group', { ...ENDED, a0: '3' })
    story.exec('/usr/bin/su', { pid: 101, ppid: 100, euid: 0 }, SUID_MODE)
    expect(story.deeds[1]).toBe(
      'switcher done: proc::1000:/bin/bash->proc::1000:/usr/bin/su /usr/bin/su by login 1000',
    )
  })
})

describe('a program that was not executed', () => {
  test('because it may not is told with its path', () => {
    expect(new Story().exec('/bin/bash').failedExec('x.sh', -13).deeds).toEqual([
      'exec-failed 13: proc::1000:/bin/bash /srv/x.sh by login 1000',
    ])
  })

  test('because it is not there, or is no program, or nobody looked there, is not', () => {
    for (const exit of [-2, -8]) expect(new Story().failedExec('/bin/x', exit).deeds).toEqual([])
    expect(new Story().failedExec('/root/bin/ls', -13, 0).deeds).toEqual([])
  })
})
