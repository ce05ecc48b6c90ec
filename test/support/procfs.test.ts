import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fstatSync, mkdirSync, openSync, readFileSync, realpathSync, unlinkSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  containerOf,
  parseArguments,
  parsePasswd,
  parseStat,
  readProcess,
  snapshot,
  thisHost,
} from '../../agent/support/procfs.ts'
import { folderForTest } from './folder.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = 65_534

describe('the parent and the start in /proc/PID/stat', () => {
  // proc_pid_stat(5): ppid is field 4, starttime field 22.
  const REST = '5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 987654 23 24'
  test.each([
    [`1234 (bash) S 77 ${REST}`, 77],
    [`1234 (a) R 1 (b) S 77 ${REST}`, 77],
    [`1234 ()) S 77 ${REST}`, 77],
    [`1234 ((sd-pam)) S 77 ${REST}`, 77],
    [`1234 (two words) S 77 ${REST}`, 77],
    [`1234 (new\nline) S 77 ${REST}`, 77],
    [`1 (systemd) S 0 ${REST}`, 0],
  ])('%j', (stat, ppid) => {
    expect(parseStat(stat)).toEqual({ ppid, startTicks: 987_654 })
  })
})

describe('the arguments in /proc/PID/cmdline', () => {
  test.each([
    ['', []],
    ['ls\0', ['ls']],
    ['ls\0-l\0', ['ls', '-l']],
    ['sh\0-c\0\0', ['sh', '-c', '']],
    // Who wrote over its own arguments may have left no NUL at the end.
    ['nginx: master process', ['nginx: master process']],
    ['a\0b', ['a', 'b']],
  ])('%j', (cmdline, argv) => {
    expect(parseArguments(Buffer.from(cmdline))).toEqual(argv)
  })

  test('that are no UTF-8 differ from each other, and from none that is', () => {
    const [one, other, third] = parseArguments(Buffer.from([0xff, 0, 0xfe, 0, 0xef, 0xbf, 0xbd, 0]))
    expect(new Set([one, other, third]).size).toBe(3)
  })
})

const ID = '0123456789abcdef'.repeat(4)
const OTHER = 'fedcba9876543210'.repeat(4)
const FIRST_12 = '0123456789ab'
const POD = 'pod0e5ab11c_0f4b_4c5e_9d3a_0a1b2c3d4e5f'

describe('the container in /proc/PID/cgroup', () => {
  test.each([
    // On the host itself.
    ['the host, version 2', '0::/system.slice/nginx.service\n', ''],
    ['the host, version 1', '12:cpuset:/\n1:name=systemd:/system.slice/ssh.service\n', ''],
    ['a session', '0::/user.slice/user-1000.slice/session-3.scope\n', ''],
    ['the root', '0::/\n', ''],
    ['nothing', '', ''],
    ['a short number in a unit', '0::/system.slice/run-rdeadbeef0123.scope\n', ''],
    ['a hash that is too long', `0::/x/${ID}0\n`, ''],
    ['the daemon of docker', '0::/system.slice/docker.service\n', ''],
    ['the daemon of containerd', '0::/system.slice/containerd.service\n', ''],
    // Docker.
    ['docker, version 2, systemd', `0::/system.slice/docker-${ID}.scope\n`, FIRST_12],
    ['docker, version 2, cgroupfs', `0::/docker/${ID}\n`, FIRST_12],
    ['docker, version 1', `12:pids:/docker/${ID}\n11:cpuset:/docker/${ID}\n0::/\n`, FIRST_12],
    ['docker with systemd inside', `0::/docker/${ID}/system.slice/nginx.service\n`, FIRST_12],
    ['docker with init inside', `0::/system.slice/docker-${ID}.scope/init.scope\n`, FIRST_12],
    ['docker in docker', `0::/docker/${OTHER}/docker/${ID}\n`, FIRST_12],
    ['a slice of a user', `0::/user.slice/user-1000.slice/user@1000.service/docker-${ID}.scope\n`, FIRST_12],
    // Podman.
    ['podman', `0::/machine.slice/libpod-${ID}.scope/container\n`, FIRST_12],
    ['podman, version 1', `9:pids:/machine.slice/libpod-${ID}.scope\n`, FIRST_12],
    ['podman with cgroupfs', `0::/libpod_parent/libpod-${ID}\n`, FIRST_12],
    [
      'podman without root',
      `0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope/container\n`,
      FIRST_12,
    ],
    [
      'podman with systemd inside',
      `0::/machine.slice/libpod-${ID}.scope/container/system.slice/nginx.service\n`,
      FIRST_12,
    ],
    ['conmon, which watches from outside', `0::/machine.slice/libpod-conmon-${ID}.scope\n`, ''],
    // containerd, CRI-O, Kubernetes.
    ['nerdctl', `0::/system.slice/nerdctl-${ID}.scope\n`, FIRST_12],
    ['containerd', `0::/default/${ID}\n`, FIRST_12],
    [
      'kubernetes with containerd',
      `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-${POD}.slice/cri-containerd-${ID}.scope\n`,
      FIRST_12,
    ],
    [
      'kubernetes with containerd, its own cgroups',
      `11:memory:/system.slice/containerd.service/kubepods-burstable-${POD}.slice:cri-containerd:${ID}\n`,
      FIRST_12,
    ],
    [
      'kubernetes with cgroupfs',
      `4:memory:/kubepods/besteffort/${POD.replaceAll('_', '-')}/${ID}\n`,
      FIRST_12,
    ],
    [
      'kubernetes with CRI-O',
      `0::/kubepods.slice/kubepods-${POD}.slice/crio-${ID}.scope/container\n`,
      FIRST_12,
    ],
    ['conmon of CRI-O', `0::/kubepods.slice/kubepods-${POD}.slice/crio-conmon-${ID}.scope\n`, ''],
    ['kubernetes in docker', `0::/docker/${OTHER}/kubelet/kubepods/besteffort/${POD}/${ID}\n`, FIRST_12],
    // Machines with a name.
    ['LXC', '0::/lxc.payload.web/system.slice/nginx.service\n', 'web'],
    ['LXC, the first process', '0::/lxc.payload.web\n', 'web'],
    ['LXC 4.0', '0::/lxc.payload/web/init.scope\n', 'web'],
    ['LXC, version 1', '12:pids:/lxc/web/system.slice/nginx.service\n0::/lxc/web\n', 'web'],
    ['the monitor of LXC', '0::/lxc.monitor.web\n', ''],
    ['docker in LXC', `0::/lxc.payload.web/system.slice/docker-${ID}.scope\n`, FIRST_12],
    ['nspawn', '0::/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service\n', 'web'],
    ['the supervisor of nspawn', '0::/machine.slice/systemd-nspawn@web.service/supervisor\n', ''],
    ['nspawn by hand', '0::/machine.slice/machine-web.scope/payload\n', 'web'],
    ['nspawn, version 1', '1:name=systemd:/machine.slice/machine-web.scope\n', 'web'],
    ['nspawn with a dash', '0::/machine.slice/machine-my\\x2dweb.scope/payload\n', 'my-web'],
    // Who may make cgroups gives them names that would look odd in a report.
    ['a name that moves the cursor', '0::/lxc.payload.we\u001b[2Jb\n', 'we__2Jb'],
    ['a name that pretends to be another', '0::/lxc.payload.a:root:/bin\n', 'a_root_'],
  ])('%s', (_, cgroup, container) => {
    expect(containerOf(cgroup)).toBe(container)
  })
})

test('the names of users, the first of several for one id', () => {
  const text = [
    'root:x:0:0:root:/root:/bin/bash',
    'toor:x:0:0::/root:/bin/sh',
    'www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin',
    '# a remark',
    '',
    ':x:7:7:::',
    '+::::::',
    'torn:x:4x:1::/:/bin/sh',
    'short',
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
  ].join('\n')
  expect([...parsePasswd(text)]).toEqual([
    [0, 'root'],
    [33, 'www-data'],
    [65_534, 'nobody'],
  ])
})

/** A real process that is there until the test has ended. */
async function child(program: string, args: readonly string[], options: object = {}): Promise<ChildProcess> {
  const running = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options })
  onTestFinished(async () => {
    running.kill('SIGKILL')
    if (running.exitCode === null && running.signalCode === null) await once(running, 'exit')
  })
  await once(running, 'spawn')
  return running
}

describe('a real process', () => {
  test('is read with its program, arguments, directory, parent and user', async () => {
    const cwd = join(realpathSync(folderForTest()), 'a directory')
    mkdirSync(cwd)
    const { pid = 0 } = await child('/bin/sleep', ['100', '0'], { cwd })
    expect(readProcess(pid)).toEqual({
      pid,
      ppid: process.pid,
      uid: process.getuid?.(),
      exe: realpathSync('/bin/sleep'),
      argv: ['/bin/sleep', '100', '0'],
      cwd,
      container: containerOf(readFileSync('/proc/self/cgroup', 'latin1')),
      startMs: expect.any(Number) as number,
      readMs: expect.any(Number) as number,
    })
  })

  test('was started after what had been started before it, and before what comes after', async () => {
    const startOf = ({ pid = 0 }: ChildProcess): number => readProcess(pid)?.startMs ?? Number.NaN
    const first = await child('/bin/sleep', ['100'])
    // Starts are counted in hundredths of a second.
    await child('/bin/sleep', ['0.1']).then((pause) => once(pause, 'exit'))
    const second = await child('/bin/sleep', ['100'])
    expect(startOf(second) - startOf(first)).toBeGreaterThanOrEqual(80)
    // ps(1) knows the start in seconds since 1970 by its own arithmetic.
    const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(first.pid)], {
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
      encoding: 'utf8',
    })
    expect(Math.abs(Date.parse(`${stdout.trim()} UTC`) - startOf(first))).toBeLessThan(2000)
  })

  test('is among all of them, and kernel threads are not', async () => {
    const { pid = 0 } = await child('/bin/sleep', ['100'])
    const all = snapshot()
    const number = expect.any(Number) as number
    expect(all).toContainEqual({ ...readProcess(pid), startMs: number, readMs: number })
    expect(all.filter(({ exe }) => exe === '')).toEqual([])
    expect(new Set(all.map((each) => each.pid)).size).toBe(all.length)
  })

  test('that has ended is no more', async () => {
    const running = spawn('/bin/true')
    await once(running, 'exit')
    expect(readProcess(running.pid ?? 0)).toBeUndefined()
    expect(thisHost().containerOf(running.pid ?? 0)).toBeUndefined()
  })

  test.skipIf(!isRoot)('that acts for somebody else is still that of its real user', async () => {
    const program = `process.seteuid(${NOBODY}); console.log('ready'); setInterval(() => {}, 1e6)`
    const running = await child(process.execPath, ['-e', program])
    if (running.stdout !== null) await once(running.stdout, 'data')
    expect(readProcess(running.pid ?? 0)?.uid).toBe(0)
  })
})

describe('this host', () => {
  test('knows its users', () => {
    const { uid, username } = userInfo()
    expect(thisHost().userName(uid)).toBe(username)
    expect(thisHost().userName(4_000_000_000)).toBeUndefined()
  })

  test('knows what a descriptor is, while it is that file', () => {
    const fd = openSync(import.meta.filename, 'r')
    const { ino } = fstatSync(fd)
    expect(thisHost().descriptorPath(process.pid, fd, ino)).toBe(realpathSync(import.meta.filename))
    expect(thisHost().descriptorPath(process.pid, fd, ino + 1)).toBeUndefined()
    expect(thisHost().descriptorPath(process.pid, 1_000_000, ino)).toBeUndefined()
  })

  test('knows a file that is gone by the name it had', () => {
    const path = join(realpathSync(folderForTest()), 'gone')
    const fd = openSync(path, 'w')
    unlinkSync(path)
    expect(thisHost().descriptorPath(process.pid, fd, fstatSync(fd).ino)).toBe(path)
  })
})
if (!isRoot) process.stderr.write('procfs.test.ts: 1 left out: only root can act for somebody else\n')
