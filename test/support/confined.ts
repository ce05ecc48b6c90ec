/**
 * Runs a command as a service manager would run it that reads this unit: user, capabilities, file system, system calls, address
 * families and limits. Where systemd itself is the first process, the tests of the package do the same with it.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Settings of [Service] that are given more than once are joined, as systemd does with lists. */
export type Unit = ReadonlyMap<string, string>

/** The section [Service] of a unit file. */
export function serviceOf(file: string): Unit {
  const unit = new Map<string, string>()
  const [, section = ''] = readFileSync(file, 'utf8').split(/^\[Service\]$/m)
  for (const line of section.split(/^\[/m)[0]?.split('\n') ?? []) {
    const [, name, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) continue
    unit.set(name, [...(unit.has(name) ? [unit.get(name)] : []), value].join(' | '))
  }
  return unit
}

interface Place {
  /** Directories in which the service may write: its state, its log and what it makes at run time. */
  readonly writable: readonly string[]
  /** Directories that it has to see although a setting hides what is around them: this checkout. */
  readonly visible: readonly string[]
  /** Who it is; there need not be such an account. */
  readonly uid: number
}

/** Why nothing can be confined here; undefined when it can. */
export function confinementMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root'
  const libraries = 'import ctypes; ctypes.CDLL("libseccomp.so.2"); ctypes.CDLL("libc.so.6").unshare'
  if (spawnSync('python3', ['-c', libraries]).status !== 0) return 'needs python3 and libseccomp2'
  const programs = ['setpriv', 'systemd-analyze'].find((name) => spawnSync(name, ['--version']).status !== 0)
  return programs === undefined ? undefined : `needs ${programs}`
}

/** The command that runs another one so. */
export function confined(unit: Unit, { writable, visible, uid }: Place): readonly string[] {
  const words = (name: string): string[] =>
    (unit.get(name) ?? '').split(/[ |]+/).filter((word) => word !== '')
  const capabilities = (name: string): string =>
    ['-all', ...words(name).map((each) => each.replace('CAP_', '+').toLowerCase())].join(',')
  const ambient = capabilities('AmbientCapabilities')
  const settings = JSON.stringify({
    ...Object.fromEntries(unit),
    ...{ calls: callsOf(unit.get('SystemCallFilter') ?? ''), families: words('RestrictAddressFamilies') },
    ...{ writable, visible },
  })
  return [
    ...['/usr/bin/python3', '-c', FILE_SYSTEM, settings],
    ...['/usr/bin/setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', `--inh-caps=${ambient}`],
    ...[`--ambient-caps=${ambient}`, `--bounding-set=${capabilities('CapabilityBoundingSet')}`],
    ...(unit.get('NoNewPrivileges') === 'yes' ? ['--no-new-privs'] : []),
    ...['/usr/bin/python3', '-c', SYSTEM_CALLS, settings],
  ]
}

/** The calls that a SystemCallFilter lets through: lists are added and taken away in their order. */
function callsOf(filter: string): readonly string[] {
  const calls = new Set<string>()
  for (const list of filter.split('|').map((each) => each.trim())) {
    const isDenied = list.startsWith('~')
    for (const name of list.replace('~', '').split(/\s+/))
      for (const call of named(name))
        if (isDenied) calls.delete(call)
        else calls.add(call)
  }
  return [...calls]
}

const groups = new Map<string, readonly string[]>()

/** A call, or those of a group of systemd.exec(5). */
function named(name: string): readonly string[] {
  if (!name.startsWith('@')) return [name]
  const known = groups.get(name)
  if (known !== undefined) return known
  const { stdout } = spawnSync('systemd-analyze', ['syscall-filter', name], { encoding: 'utf8' })
  const members = stdout
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => /^@?\w/.test(line))
  if (members.length === 0) throw new Error(`systemd-analyze knows no ${name}`)
  const calls = members.flatMap(named)
  groups.set(name, calls)
  return calls
}

/** ProtectSystem, ProtectHome, PrivateTmp and PrivateDevices. */
const FILE_SYSTEM = `
import ctypes, json, os, stat, sys
unit = json.loads(sys.argv[1])
libc = ctypes.CDLL('libc.so.6', use_errno=True)
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, SLAVE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 19
def mount(source, target, kind, flags, options=''):
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), target)
if libc.unshare(0x20000) != 0: sys.exit('unshare')
mount('none', '/', '', REC | SLAVE)
# Opened before something lies over them.
kept = [(path, os.open(path, os.O_PATH)) for path in unit['visible'] + unit['writable']]
hidden = []
if unit.get('PrivateTmp') == 'yes': hidden += [('/tmp', '1777'), ('/var/tmp', '1777')]
if unit.get('ProtectHome') == 'yes': hidden += [(path, '000') for path in ('/home', '/root', '/run/user') if os.path.isdir(path)]
for path, mode in hidden: mount('tmpfs', path, 'tmpfs', NOSUID | NODEV, 'mode=' + mode)
if unit.get('PrivateDevices') == 'yes':
    names = ['null', 'zero', 'full', 'random', 'urandom', 'tty']
    nodes = [(name, os.stat('/dev/' + name).st_rdev) for name in names]
    log = os.readlink('/dev/log') if os.path.islink('/dev/log') else None
    mount('tmpfs', '/dev', 'tmpfs', NOSUID | NOEXEC, 'mode=755')
    for name, device in nodes:
        os.mknod('/dev/' + name, stat.S_IFCHR | 0o666, device)
        os.chmod('/dev/' + name, 0o666)
    for name, target in [('fd', ''), ('stdin', '/0'), ('stdout', '/1'), ('stderr', '/2')]:
        os.symlink('/proc/self/fd' + target, '/dev/' + name)
    if log: os.symlink(log, '/dev/log')
for path, fd in kept:
    os.makedirs(path, exist_ok=True)
    mount('/proc/self/fd/%d' % fd, path, '', BIND | REC)
    os.close(fd)
def unescaped(text): return text.encode('latin1').decode('unicode_escape')
if unit.get('ProtectSystem') == 'strict':
    writable = unit['writable'] + ['/dev', '/tmp', '/var/tmp']
    points = [unescaped(line.split()[4]) for line in open('/proc/self/mountinfo', encoding='latin1')]
    for point in points:
        if any(point == each or point.startswith(each + '/') for each in writable + ['/proc', '/sys']): continue
        if os.path.ismount(point): mount('none', point, '', REMOUNT | BIND | RDONLY)
if unit.get('ProtectKernelTunables') == 'yes':
    mount('/proc/sys', '/proc/sys', '', BIND | REC)
    mount('none', '/proc/sys', '', REMOUNT | BIND | RDONLY)
os.execv(sys.argv[2], sys.argv[2:])
`

/** SystemCallFilter, SystemCallErrorNumber, RestrictAddressFamilies and the limits of resources. */
const SYSTEM_CALLS = `
import ctypes, errno, json, os, resource, socket, sys
unit = json.loads(sys.argv[1])
for name, limit in [('LimitNOFILE', resource.RLIMIT_NOFILE), ('LimitCORE', resource.RLIMIT_CORE)]:
    if name in unit: resource.setrlimit(limit, (int(unit[name]), int(unit[name])))
os.umask(int(unit.get('UMask', '22'), 8))
seccomp = ctypes.CDLL('libseccomp.so.2')
seccomp.seccomp_init.restype = ctypes.c_void_p
class Comparison(ctypes.Structure):
    _fields_ = [('argument', ctypes.c_uint), ('operator', ctypes.c_int), ('one', ctypes.c_uint64), ('other', ctypes.c_uint64)]
ALLOW, EQUAL = 0x7fff0000, 4
def deny(number): return 0x00050000 | number
def rule(filter, action, call, *comparisons):
    number = seccomp.seccomp_syscall_resolve_name(call.encode())
    if number == -1: return
    array = (Comparison * len(comparisons))(*comparisons)
    seccomp.seccomp_rule_add_array(ctypes.c_void_p(filter), ctypes.c_uint32(action), number, len(comparisons), array)
def load(filter):
    if seccomp.seccomp_load(ctypes.c_void_p(filter)) != 0: sys.exit('no filter could be loaded')
# The first one must not keep the second from being loaded, which needs no call that is denied.
if unit['families']:
    families = seccomp.seccomp_init(ctypes.c_uint32(ALLOW))
    allowed = [getattr(socket, name) for name in unit['families']]
    for number in range(64):
        if number not in allowed: rule(families, deny(errno.EAFNOSUPPORT), 'socket', Comparison(0, EQUAL, number, 0))
    load(families)
if unit['calls']:
    calls = seccomp.seccomp_init(ctypes.c_uint32(deny(getattr(errno, unit['SystemCallErrorNumber']))))
    for call in unit['calls'] + ['execve', 'seccomp']: rule(calls, ALLOW, call)
    load(calls)
os.execvp(sys.argv[2], sys.argv[2:])
`
