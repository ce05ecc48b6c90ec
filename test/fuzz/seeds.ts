/** Real lines to begin with. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
const RECORDED = join(ROOT, 'test/fixtures/recorded')
/** Logs of others and of a busy host, which lie beside some checkouts. */
const CORPUS = join(ROOT, '../shared/corpus')
const HOST_BYTES = 4_000_000

const EXE = 'comm="x" exe="/usr/bin/x"'
const TASK = `auid=1000 uid=0 gid=0 ses=3 pid=711 ${EXE}`
const USER = (op: string): string =>
  `pid=711 uid=0 auid=1000 ses=3 subj=unconfined msg='op=${op} acct="root" exe="/usr/sbin/sshd" ` +
  `hostname=? addr=192.0.2.7 terminal=ssh res=success'\x1dUID="root" AUID="kim"`

/** Kinds of records that the recordings lack, in the words of the kernel, auditd and PAM. */
const BODIES: readonly (readonly [type: string, body: string])[] = [
  ['SECCOMP', `${TASK} sig=31 arch=c000003e syscall=41 compat=0 ip=0x7f0123456789 code=0x80000000`],
  ['ANOM_ABEND', `${TASK} sig=11 res=1`],
  ['ANOM_LINK', `op=follow_link ppid=1 ${TASK} res=0`],
  ['ANOM_PROMISCUOUS', 'dev=eth0 prom=256 old_prom=0 auid=1000 uid=0 gid=0 ses=3'],
  ['USER_AUTH', USER('PAM:authentication')],
  ['USER_CMD', `pid=711 uid=0 auid=1000 ses=3 msg='cwd="/root" cmd=6C73202D6C terminal=pts/0 res=success'`],
  ['USER_LOGIN', USER('login')],
  ['CRED_ACQ', USER('PAM:setcred')],
  ['ADD_USER', USER('adding user')],
  ['SERVICE_START', `pid=1 uid=0 auid=4294967295 ses=4294967295 msg='unit=cron comm="systemd" res=success'`],
  [
    'USER_AVC',
    `pid=711 uid=81 auid=4294967295 msg='avc:  denied  { send_msg } for scontext=a:b:c tcontext=d:e:f'`,
  ],
  [
    'DAEMON_START',
    'op=start ver=3.0.9 format=enriched kernel=6.18.0 auid=4294967295 pid=612 uid=0 res=success',
  ],
  ['CONFIG_CHANGE', 'auid=1000 ses=3 op=remove_rule key="exec" list=4 res=1'],
  ['LOGIN', 'pid=711 uid=0 old-auid=4294967295 auid=1000 tty=(none) old-ses=4294967295 ses=3 res=1'],
  ['AVC', `avc:  denied  { read write } for  pid=711 ${EXE} path="/srv/a b" dev="sda1" ino=7 permissive=0`],
  [
    'AVC',
    'apparmor="DENIED" operation="open" profile="/usr/bin/x" name="/etc/shadow" pid=711 fsuid=0 ouid=0',
  ],
  ['NETFILTER_CFG', 'table=filter:4;?:0 family=2 entries=7 op=nft_register_rule pid=711 comm="nft"'],
  ['KERN_MODULE', 'name="dummy"'],
  ['UNKNOWN[1334]', 'prog-id=74 op=LOAD'],
  ['TTY', `tty pid=711 uid=0 auid=1000 ses=3 major=136 minor=0 comm="bash" data=6C730D`],
  ['FANOTIFY', 'resp=2 fan_type=1 fan_info=3137 subj_trust=2 obj_trust=2'],
  ['MAC_TASK_CONTEXTS', 'subj_apparmor=unconfined subj_selinux=u:r:t:s0'],
]

const URINGOP =
  'success=yes exit=0 items=2 ppid=700 pid=711 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 key=(null)'
const SYSCALL =
  'success=yes exit=0 a0=3 a1=7ffd0000 a2=10 a3=0 items=0 ppid=700 pid=711 auid=1000 uid=0 gid=0 euid=0 suid=0 ' +
  `fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 ${EXE} subj==/usr/bin/x (enforce) key="a"`
const PATHS: readonly (readonly [string, string])[] = [
  ['CWD', 'cwd="/srv"'],
  [
    'PATH',
    'item=0 name="dir" inode=8 dev=fe:00 mode=040755 ouid=0 ogid=0 rdev=00:00 nametype=PARENT cap_fp=0',
  ],
  [
    'PATH',
    'item=1 name=(null) inode=9 dev=fe:00 mode=0100644 ouid=0 ogid=0 rdev=00:00 nametype=CREATE cap_fp=0',
  ],
]

/** Calls and operations with the records around them. */
const CALLS: readonly (readonly (readonly [type: string, body: string])[])[] = [
  [['URINGOP', `uring_op=18 ${URINGOP}`], ...PATHS],
  [['URINGOP', `uring_op=16 ${URINGOP}`], ['SOCKADDR', 'saddr=020001BBC00002070000000000000000'], ...PATHS],
  [
    ['SYSCALL', `arch=40000003 syscall=102 ${SYSCALL}`],
    ['SOCKETCALL', 'nargs=3 a0=3 a1=bfff0000 a2=10'],
    ['SOCKADDR', 'saddr=01002F72756E2F7800'],
  ],
  [
    ['SYSCALL', `arch=c000003e syscall=437 per=400000 ${SYSCALL}`],
    ['OPENAT2', 'oflag=0100101 mode=0600 resolve=0x4'],
    ...PATHS,
  ],
  [
    ['SYSCALL', `arch=80000016 syscall=362 ${SYSCALL}`],
    ['SOCKADDR', 'saddr=28000000000004000200000000000000'],
  ],
  [
    ['SYSCALL', `arch=c000003e syscall=22 ${SYSCALL}`],
    ['FD_PAIR', 'fd0=4 fd1=5'],
  ],
  [
    ['SYSCALL', `arch=c000003e syscall=101 ${SYSCALL}`],
    ['OBJ_PID', 'opid=712 oauid=1000 ouid=33 oses=3 obj=a:b:c d ocomm="y"'],
  ],
  [
    ['SYSCALL', `arch=c000003e syscall=59 ${SYSCALL}`],
    ['EXECVE', 'argc=4 a0="x" a1_len=12 a1[0]=2D612D61'],
    ['EXECVE', 'a1[1]=2D612D612D612D61 a2="" a3=6120E9'],
    ['BPRM_FCAPS', 'fver=0 fp=0 fi=0 fe=0 old_pp=0 pp=1ffffffffff'],
    ...PATHS,
  ],
]

/** The lines of one event, one character a byte, without newlines. */
export type Group = readonly string[]

const STAMP = 'msg=audit(1795210797.987:42): '
const line = ([type, body]: readonly [string, string]): string => `type=${type} ${STAMP}${body}`

/** Events by where they come from: written above, recorded, and from the collections that lie beside the checkout. */
export function seeds(): (readonly Group[])[] {
  const recorded = readdirSync(RECORDED).filter((name) => name.endsWith('.log'))
  const kinds = [
    BODIES.map((body) => [line(body)]),
    CALLS.map((records) => [...records, ['PROCTITLE', 'proctitle=7800'] as const].map(line)),
    recorded.flatMap((name) => groupsOf(readFileSync(join(RECORDED, name), 'latin1'))),
    collected('edge', 'logs').flatMap((path) => groupsOf(readFileSync(path, 'latin1'))),
    groupsOf(busyHost()),
  ]
  return kinds.filter((groups) => groups.length > 0)
}

function collected(...folders: readonly string[]): string[] {
  if (!existsSync(CORPUS)) return []
  return folders
    .flatMap((folder) =>
      readdirSync(join(CORPUS, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
        join(CORPUS, folder, name),
      ),
    )
    .filter((path) => /\.(?:log|txt)$/.test(path))
    .sort()
}

function busyHost(): string {
  const log = join(CORPUS, 'host-a/audit.log.xz')
  if (!existsSync(log)) return ''
  const { stdout } = spawnSync('sh', ['-c', `xz -dc '${log}' | head -c ${HOST_BYTES}`], {
    encoding: 'latin1',
    maxBuffer: HOST_BYTES,
  })
  return stdout
}

/** Lines that stand together and have the same stamp. */
function groupsOf(text: string): Group[] {
  const groups: string[][] = []
  let before: string | undefined
  for (const each of text.split('\n')) {
    const stamp = /msg=audit\(\S+\)/.exec(each)?.[0]
    if (each === '' || stamp === undefined) continue
    if (stamp === before) groups.at(-1)?.push(each)
    else groups.push([each])
    before = stamp
  }
  return groups
}
