/**
 * Runs host-b in this network and everybody around it, phase by phase: `driver.ts ROOT FOLDER TRAIN_SECONDS BENIGN_SECONDS`.
 *
 * Only the host's own processes get the audited login uid; who uses it from outside is not in its log, as in life.
 * Expects the keys of `dev`, `ops` and `attacker` in FOLDER, and leaves phases.jsonl and dns.pcap there.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, cpSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TEST_LOGINUID } from '../auditd.ts'
import { attack, stepsOf } from './attack.ts'
import { startInternet } from './internet.ts'
import { live, push } from './life.ts'
import { run } from './outside.ts'

const [root = '', folder = '', trainSeconds = '480', benignSeconds = '240'] = process.argv.slice(2)
const SEED = 20
const BOOT_MS = 12_000

/** The host's own view of files. Its init is the last exec, and the first that is audited. */
const START = `
mount --bind "$1" "$1" && cd "$1"
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
  set -- $node
  mknod -m 666 dev/$1 c $2 $3
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/lock run/old && chmod 1777 run/lock
hostname host-b
pivot_root . run/old
umount -l /run/old && rmdir /run/old
echo ${TEST_LOGINUID} >/proc/self/loginuid
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 runsvdir -P /etc/service
`

const chance = random(SEED)
const keyFile = (user: string): string => join(folder, `${user}.key`)
const mark = (kind: string, name: string, more = {}): void => {
  const t = Date.now() / 1000
  appendFileSync(join(folder, 'phases.jsonl'), `${JSON.stringify({ t, kind, name, ...more })}\n`)
  process.stderr.write(`${new Date().toISOString()} ${kind} ${name}\n`)
}

const capture = spawn(
  'tcpdump',
  ['-Z', 'root', '-U', '-i', 'lo', '-w', join(folder, 'dns.pcap'), 'udp port 53'],
  {
    stdio: 'ignore',
  },
)
await startInternet(chance)
const clone = join(folder, 'clone')
cpSync(join(root, 'usr/local/share/site'), clone, { recursive: true })
await run('git', ['init', '-q', '-b', 'main', clone])
await run('git', ['-C', clone, 'add', '.'])
const people = { chance, keyFile, clone }

mark('phase', 'start')
const host = spawn(
  'unshare',
  ['--mount', '--uts', '--propagation', 'private', 'sh', '-c', START, 'sh', root],
  {
    stdio: ['ignore', 'ignore', 'inherit'],
  },
)
await sleep(BOOT_MS)
try {
  await push(people)
  mark('phase', 'train')
  await live(people, Date.now() + Number(trainSeconds) * 1000)
  mark('phase', 'benign')
  await live(people, Date.now() + Number(benignSeconds) * 1000)
  mark('phase', 'attack')
  const steps = stepsOf(keyFile('attacker'), readFileSync(`${keyFile('attacker')}.pub`, 'utf8'))
  await attack(steps, ({ name, what, leadsTo }) => mark('attack', name, { what, leadsTo }))
  mark('phase', 'end')
} finally {
  endAll(host)
  capture.kill()
  rmSync(clone, { recursive: true })
}
await sleep(1000)
process.exit(0)

/** Every process that sees the files as the host does. */
function endAll({ pid = 0 }: ChildProcess): void {
  const spaceOf = (of: string): string | undefined => {
    try {
      return readlinkSync(`/proc/${of}/ns/mnt`)
    } catch {
      // It has ended.
      return undefined
    }
  }
  const space = spaceOf(String(pid))
  if (space === undefined || space === spaceOf('self')) return
  // The supervisor first, so that nothing is started anew.
  process.kill(pid, 'SIGKILL')
  for (const name of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    if (spaceOf(name) === space) process.kill(Number(name), 'SIGKILL')
}

/** Mulberry32: the same people each time, as far as the host answers the same. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
