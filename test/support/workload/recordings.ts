import { chmodSync, copyFileSync, realpathSync, writeFileSync } from 'node:fs'
import type { EdgeKind } from '../../../agent/domain/edge.ts'
import { type Argument, type Call, elf } from './elf.ts'
import { type ExpectedEdge, syscallNumber } from './syscalls.ts'

/** Where the recorded programs live and work, so that a recording always says the same. */
export const SHOP = '/srv/shop'

/** A small piece of real life, and what whoever wrote it knows to have happened in it. */
export interface Recording {
  readonly name: string
  readonly what: string
  /** Lays out the programs below SHOP. */
  prepare(): void
  readonly command: readonly string[]
  /** Every edge, in order of the first time; an end that the log alone cannot tell is left out. */
  readonly edges: readonly ExpectedEdge[]
}

/** Local in the network that the commands run in. */
export const RECORDED_ADDRESSES = ['203.0.113.66/32', '203.0.113.67/32', '203.0.113.68/32', '2001:db8::1/128']

const PYTHON = realpathSync('/usr/bin/python3')
const shop = (name: string): string => `${SHOP}/${name}`
const root = (exe: string, script?: string): string =>
  `proc::root:${exe}${script === undefined ? '' : `<${script}`}`
const dash = (script: string): string => root('/usr/bin/dash', shop(script))
const python = (script: string): string => root(PYTHON, shop(script))
const edge = (kind: EdgeKind, from: string, to: string): ExpectedEdge => ({ kind, from, to })
const file = (kind: EdgeKind, from: string, name: string): ExpectedEdge =>
  edge(kind, from, `file:${kind}:${shop(name)}`)
const write = (name: string, content: string | Buffer): void =>
  writeFileSync(shop(name), content, { mode: 0o755 })

/** A script run by `sh` or `python3`, and the exec it begins with. What was there before is not in the log. */
function script(
  interpreter: 'sh' | 'python3',
  name: string,
  text: string,
): Pick<Recording, 'command' | 'prepare'> & { readonly started: ExpectedEdge } {
  const isShell = interpreter === 'sh'
  return {
    prepare: () => write(name, text),
    command: isShell ? ['/bin/sh', shop(name)] : ['/usr/bin/python3', '-B', shop(name)],
    started: { kind: 'exec', to: isShell ? dash(name) : python(name) },
  }
}

const exec = script(
  'sh',
  'exec.sh',
  `cd ${SHOP}
./run.sh
`,
)

const connect = script(
  'python3',
  'connect.py',
  `import socket

def serve(family, address, port):
    server = socket.socket(family)
    server.bind((address, port))
    server.listen()
    return server

servers = [
    serve(socket.AF_INET, '203.0.113.66', 4444),
    serve(socket.AF_INET, '203.0.113.67', 443),
    serve(socket.AF_INET, '203.0.113.68', 8443),
    serve(socket.AF_INET6, '2001:db8::1', 443),
]
socket.socket(socket.AF_INET).connect(('203.0.113.66', 4444))
waiting = socket.socket(socket.AF_INET)
waiting.setblocking(False)
assert waiting.connect_ex(('203.0.113.67', 443)) == 115  # EINPROGRESS
socket.socket(socket.AF_INET6).connect(('::ffff:203.0.113.68', 8443))
socket.socket(socket.AF_INET6).connect(('2001:db8::1', 443))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('203.0.113.66', 53))
`,
)

const accept = script(
  'python3',
  'accept.py',
  `import socket

both = socket.socket(socket.AF_INET6)
both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
both.bind(('::', 8080))
both.listen()
four = socket.socket(socket.AF_INET)
four.bind(('0.0.0.0', 8081))
four.listen()

def call(server, family, address, port):
    caller = socket.socket(family)
    caller.connect((address, port))
    server.accept()

call(both, socket.AF_INET, '203.0.113.66', 8080)
call(both, socket.AF_INET6, '2001:db8::1', 8080)
call(four, socket.AF_INET, '203.0.113.67', 8081)
call(four, socket.AF_INET, '203.0.113.67', 8081)
`,
)

const files = script(
  'sh',
  'files.sh',
  `mkdir ${SHOP}/data
echo one >${SHOP}/data/a
echo two >>${SHOP}/data/a
cd ${SHOP}/data
echo three >../data/./b
mv a c
mv b c
chmod 600 c
chown www-data c
ln c hard
ln -s c soft
cp c copy
mkfifo pipe
truncate -s 0 copy
rm hard soft
mkdir empty
rmdir empty
cd /
rm -r ${SHOP}/data
`,
)

const dirfd = script(
  'sh',
  'dirfd.sh',
  `mkdir ${SHOP}/data
cd /usr
python3 -B ${SHOP}/dirfd.py
rmdir ${SHOP}/data
`,
)

const privilege = script(
  'sh',
  'privilege.sh',
  `setpriv --reuid=www-data --regid=www-data --clear-groups ${SHOP}/suid -u
python3 -B ${SHOP}/seteuid.py
`,
)

const trace = script(
  'sh',
  'trace.sh',
  `sleep 60 &
perl ${SHOP}/attach.pl $!
kill $!
`,
)

const memory = script(
  'sh',
  'memory.sh',
  `python3 -B ${SHOP}/memfd.py
python3 -B ${SHOP}/unlinked.py
${SHOP}/shell -c 'rm ${SHOP}/shell; : >${SHOP}/after; rm ${SHOP}/after'
`,
)

export const RECORDINGS: readonly Recording[] = [
  {
    ...exec,
    name: 'exec',
    what: 'A shell script starts Python scripts, by absolute and relative name and by #!, and other programs.',
    prepare: () => {
      exec.prepare()
      write(
        'run.sh',
        `#!/bin/sh
/usr/bin/python3 -B ${SHOP}/app.py
python3 -B app.py
${SHOP}/tool one two
python3 -B -c 'pass'
printf 'hello\\n' | cat
sh -c 'id; true'
setpriv --reuid=www-data --regid=www-data --clear-groups id
no-such-program 2>/dev/null
true
`,
      )
      write('app.py', `import subprocess\nsubprocess.run(['/usr/bin/id'])\n`)
      write('tool', '#!/usr/bin/env python3\n')
    },
    edges: [
      exec.started,
      edge('exec', dash('exec.sh'), dash('run.sh')),
      edge('exec', dash('run.sh'), python('app.py')),
      edge('exec', python('app.py'), root('/usr/bin/id')),
      edge('exec', dash('run.sh'), root('/usr/bin/env', shop('tool'))),
      edge('exec', root('/usr/bin/env', shop('tool')), python('tool')),
      edge('exec', dash('run.sh'), root(PYTHON)),
      edge('exec', dash('run.sh'), root('/usr/bin/cat')),
      edge('exec', dash('run.sh'), root('/usr/bin/dash')),
      edge('exec', root('/usr/bin/dash'), root('/usr/bin/id')),
      edge('exec', dash('run.sh'), root('/usr/bin/setpriv')),
      { kind: 'exec', to: 'proc::www-data:/usr/bin/id' },
    ],
  },
  {
    ...connect,
    name: 'connect',
    what: 'A Python script connects by IPv4, without blocking, by IPv4 in IPv6, by IPv6 and by UDP.',
    edges: [
      connect.started,
      ...['203.0.113.66:4444', '203.0.113.67:443', '203.0.113.68:8443', '[2001:db8::1]:443'].map((host) =>
        edge('listen', python('connect.py'), `host:${host}`),
      ),
      ...[
        '203.0.113.66:4444',
        '203.0.113.67:443',
        '203.0.113.68:8443',
        '[2001:db8::1]:443',
        '203.0.113.66:53',
      ].map((host) => edge('connect', python('connect.py'), `host:${host}`)),
    ],
  },
  {
    ...accept,
    name: 'accept',
    what: 'A Python script listens on all addresses of both families, calls itself and accepts.',
    edges: [
      accept.started,
      edge('listen', python('accept.py'), 'host:[::]:8080'),
      edge('listen', python('accept.py'), 'host:0.0.0.0:8081'),
      edge('connect', python('accept.py'), 'host:203.0.113.66:8080'),
      edge('accept', python('accept.py'), 'host:203.0.113.66:*'),
      edge('connect', python('accept.py'), 'host:[2001:db8::1]:8080'),
      edge('accept', python('accept.py'), 'host:[2001:db8::1]:*'),
      edge('connect', python('accept.py'), 'host:203.0.113.67:8081'),
      edge('accept', python('accept.py'), 'host:203.0.113.67:*'),
    ],
  },
  {
    ...files,
    name: 'files',
    what: 'Shell and coreutils create, write, rename, rename over, change and delete, by absolute and relative names.',
    edges: [
      files.started,
      edge('exec', dash('files.sh'), root('/usr/bin/mkdir')),
      file('create', root('/usr/bin/mkdir'), 'data'),
      file('create', dash('files.sh'), 'data/a'),
      file('write', dash('files.sh'), 'data/a'),
      file('create', dash('files.sh'), 'data/b'),
      edge('exec', dash('files.sh'), root('/usr/bin/mv')),
      file('rename', root('/usr/bin/mv'), 'data/a'),
      file('rename', root('/usr/bin/mv'), 'data/c'),
      file('rename', root('/usr/bin/mv'), 'data/b'),
      edge('exec', dash('files.sh'), root('/usr/bin/chmod')),
      file('attribute', root('/usr/bin/chmod'), 'data/c'),
      edge('exec', dash('files.sh'), root('/usr/bin/chown')),
      file('attribute', root('/usr/bin/chown'), 'data/c'),
      edge('exec', dash('files.sh'), root('/usr/bin/ln')),
      file('create', root('/usr/bin/ln'), 'data/hard'),
      file('create', root('/usr/bin/ln'), 'data/soft'),
      edge('exec', dash('files.sh'), root('/usr/bin/cp')),
      file('create', root('/usr/bin/cp'), 'data/copy'),
      edge('exec', dash('files.sh'), root('/usr/bin/mkfifo')),
      file('create', root('/usr/bin/mkfifo'), 'data/pipe'),
      edge('exec', dash('files.sh'), root('/usr/bin/truncate')),
      file('write', root('/usr/bin/truncate'), 'data/copy'),
      edge('exec', dash('files.sh'), root('/usr/bin/rm')),
      file('delete', root('/usr/bin/rm'), 'data/hard'),
      file('delete', root('/usr/bin/rm'), 'data/soft'),
      file('create', root('/usr/bin/mkdir'), 'data/empty'),
      edge('exec', dash('files.sh'), root('/usr/bin/rmdir')),
      file('delete', root('/usr/bin/rmdir'), 'data/empty'),
      ...['data/c', 'data/copy', 'data/pipe', 'data'].map((name) =>
        file('delete', root('/usr/bin/rm'), name),
      ),
    ],
  },
  {
    ...dirfd,
    name: 'dirfd',
    what: 'A Python script in another directory works with names relative to directory descriptors, and with descriptors.',
    prepare: () => {
      dirfd.prepare()
      write(
        'dirfd.py',
        `import os

data = os.open('${SHOP}/data', os.O_RDONLY)
one = os.open('one', os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=data)
os.fchmod(one, 0o600)
os.rename('one', 'two', src_dir_fd=data, dst_dir_fd=data)
os.mkdir('inner', dir_fd=data)
inner = os.open('inner', os.O_RDONLY, dir_fd=data)
os.open('deep', os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=inner)
os.rename('deep', 'up', src_dir_fd=inner, dst_dir_fd=data)
os.unlink('up', dir_fd=data)
os.unlink('two', dir_fd=data)
os.rmdir('inner', dir_fd=data)
`,
      )
    },
    edges: [
      dirfd.started,
      edge('exec', dash('dirfd.sh'), root('/usr/bin/mkdir')),
      file('create', root('/usr/bin/mkdir'), 'data'),
      edge('exec', dash('dirfd.sh'), python('dirfd.py')),
      file('create', python('dirfd.py'), 'data/one'),
      file('attribute', python('dirfd.py'), 'data/one'),
      file('rename', python('dirfd.py'), 'data/one'),
      file('rename', python('dirfd.py'), 'data/two'),
      file('create', python('dirfd.py'), 'data/inner'),
      file('create', python('dirfd.py'), 'data/inner/deep'),
      file('rename', python('dirfd.py'), 'data/inner/deep'),
      file('rename', python('dirfd.py'), 'data/up'),
      file('delete', python('dirfd.py'), 'data/up'),
      file('delete', python('dirfd.py'), 'data/two'),
      file('delete', python('dirfd.py'), 'data/inner'),
      edge('exec', dash('dirfd.sh'), root('/usr/bin/rmdir')),
      file('delete', root('/usr/bin/rmdir'), 'data'),
    ],
  },
  {
    ...privilege,
    name: 'privilege',
    what: 'A setuid program is run by www-data, and a program that gave up root takes it back.',
    prepare: () => {
      privilege.prepare()
      copyFileSync('/usr/bin/id', shop('suid'))
      chmodSync(shop('suid'), 0o4755)
      write('seteuid.py', 'import os\nos.setresuid(33, 33, 0)\nos.seteuid(0)\n')
    },
    edges: [
      privilege.started,
      edge('exec', dash('privilege.sh'), root('/usr/bin/setpriv')),
      { kind: 'exec', to: `proc::www-data:${shop('suid')}` },
      edge('privilege', `proc::www-data:${shop('suid')}`, root(shop('suid'))),
      edge('exec', dash('privilege.sh'), python('seteuid.py')),
      edge('privilege', `proc::www-data:${PYTHON}<${shop('seteuid.py')}`, python('seteuid.py')),
    ],
  },
  {
    ...trace,
    name: 'trace',
    what: 'A Perl script attaches to sleep.',
    prepare: () => {
      trace.prepare()
      // ptrace(PTRACE_ATTACH), wait for it to stop, ptrace(PTRACE_DETACH)
      const request = (number: number): string =>
        `syscall(${syscallNumber('b64', 'ptrace')}, ${number}, $pid, 0, 0)`
      write(
        'attach.pl',
        `my $pid = $ARGV[0] + 0;\n${request(0x10)};\nwaitpid($pid, 0x40000000);\n${request(0x11)};\n`,
      )
    },
    edges: [
      trace.started,
      edge('exec', dash('trace.sh'), root('/usr/bin/sleep')),
      edge('exec', dash('trace.sh'), root('/usr/bin/perl', shop('attach.pl'))),
      edge('trace', root('/usr/bin/perl', shop('attach.pl')), root('/usr/bin/sleep')),
    ],
  },
  {
    ...memory,
    name: 'memory',
    what: 'Programs run from a memfd and from a file without a name, and a program works on after its file was deleted.',
    prepare: () => {
      memory.prepare()
      copyFileSync('/usr/bin/true', shop('program'))
      copyFileSync('/usr/bin/dash', shop('shell'))
      write(
        'memfd.py',
        `import os
payload = os.memfd_create('payload')
os.write(payload, open('/usr/bin/true', 'rb').read())
os.execve(payload, ['x'], {})
`,
      )
      write(
        'unlinked.py',
        `import os
program = os.open('${SHOP}/program', os.O_RDONLY)
os.unlink('${SHOP}/program')
os.execve(program, ['x'], {})
`,
      )
    },
    edges: [
      memory.started,
      edge('exec', dash('memory.sh'), python('memfd.py')),
      { kind: 'exec', from: python('memfd.py') },
      { kind: 'memory-exec', from: python('memfd.py') },
      edge('exec', dash('memory.sh'), python('unlinked.py')),
      file('delete', python('unlinked.py'), 'program'),
      { kind: 'exec', from: python('unlinked.py') },
      { kind: 'memory-exec', from: python('unlinked.py') },
      edge('exec', dash('memory.sh'), root(shop('shell'))),
      edge('exec', root(shop('shell')), root('/usr/bin/rm')),
      file('delete', root('/usr/bin/rm'), 'shell'),
      file('create', root(shop('shell')), 'after'),
      file('delete', root('/usr/bin/rm'), 'after'),
    ],
  },
  {
    name: 'b32',
    what: 'A 32-bit program makes a file, changes its owner, serves and calls itself through socketcall, and starts another.',
    prepare: () => {
      const call = (name: string): number => syscallNumber('b32', name)
      const address = Buffer.from([2, 0, 0x1f, 0x90, 203, 0, 113, 66, 0, 0, 0, 0, 0, 0, 0, 0])
      const socket = (number: number, ...args: readonly Argument[]): Call => [
        call('socketcall'),
        number,
        args,
      ]
      write(
        'b32',
        elf('b32', [
          [call('mkdir'), shop('made'), 0o755],
          [call('open'), shop('made/file'), 0o101, 0o644],
          [call('chown32'), shop('made/file'), 33, 33],
          [call('close'), 3],
          socket(1, 2, 1, 0),
          socket(2, 3, address, 16),
          socket(4, 3, 8),
          socket(1, 2, 1, 0),
          socket(3, 4, address, 16),
          socket(5, 3, Buffer.alloc(16), Buffer.from([16, 0, 0, 0])),
          [call('unlink'), shop('made/file')],
          [call('rmdir'), shop('made')],
          [call('execve'), shop('b32-quick'), [shop('b32-quick'), 0], 0],
        ]),
      )
      write('b32-quick', elf('b32', []))
    },
    command: [shop('b32')],
    edges: [
      { kind: 'exec', to: root(shop('b32')) },
      file('create', root(shop('b32')), 'made'),
      file('create', root(shop('b32')), 'made/file'),
      file('attribute', root(shop('b32')), 'made/file'),
      edge('listen', root(shop('b32')), 'host:203.0.113.66:8080'),
      edge('connect', root(shop('b32')), 'host:203.0.113.66:8080'),
      edge('accept', root(shop('b32')), 'host:203.0.113.66:*'),
      file('delete', root(shop('b32')), 'made/file'),
      file('delete', root(shop('b32')), 'made'),
      edge('exec', root(shop('b32')), root(shop('b32-quick'))),
    ],
  },
]
