import { describe, expect, test } from 'vitest'
import type { PathRecord } from '../../agent/domain/record.ts'
import { scriptOf } from '../../agent/interpret/script.ts'

const LOADER = '/lib64/ld-linux-x86-64.so.2'
const paths = (...names: (string | undefined)[]): PathRecord[] =>
  names.map((name, item) => ({
    type: 'PATH',
    item,
    name,
    inode: item + 1,
    dev: '00:01',
    mode: 0o100755,
    nameType: 'NORMAL',
  }))

/** A program started by its own name. */
const started = (exe: string, ...argv: string[]): string | undefined =>
  scriptOf(exe, [exe.slice(exe.lastIndexOf('/') + 1), ...argv], paths(exe, LOADER))

describe('by argv', () => {
  test.each<[exe: string, argv: string, script: string | undefined]>([
    // bash(1), dash(1)
    ['/usr/bin/dash', '-c|echo hi', undefined],
    ['/usr/bin/bash', '-lc|echo hi', undefined],
    ['/usr/bin/bash', '-c|/srv/x.sh|arg', undefined],
    ['/usr/bin/bash', '', undefined],
    ['/usr/bin/bash', '-s|/srv/x.sh', undefined],
    ['/usr/bin/bash', '-l|/srv/x.sh|-c', '/srv/x.sh'],
    ['/usr/bin/bash', '--login|/srv/x.sh', '/srv/x.sh'],
    ['/usr/bin/bash', '-eu|-o|pipefail|/srv/x.sh', '/srv/x.sh'],
    ['/usr/bin/bash', '-euo|pipefail|/srv/x.sh', '/srv/x.sh'],
    ['/usr/bin/bash', '+o|posix|/srv/x.sh', '/srv/x.sh'],
    ['/usr/bin/bash', '+x|/srv/x.sh', '/srv/x.sh'],
    ['/usr/bin/bash', '-O|extglob|/srv/x.sh', '/srv/x.sh'],
    ['/usr/bin/bash', '--rcfile|/etc/x.rc|/srv/x.sh', '/srv/x.sh'],
    ['/usr/bin/bash', '--|/srv/x.sh', '/srv/x.sh'],
    ['/usr/bin/bash', '-|/srv/x.sh', '/srv/x.sh'],
    ['/usr/bin/dash', 'x.sh', 'x.sh'],
    ['/usr/bin/dash', '../x.sh', '../x.sh'],
    ['/usr/bin/zsh', '-f|/srv/x.zsh', '/srv/x.zsh'],
    ['/usr/bin/fish', '-c|echo', undefined],
    ['/usr/bin/fish', '-C|true|/srv/x.fish', '/srv/x.fish'],
    ['/usr/bin/fish', '--command=echo', undefined],
    // python3(1)
    ['/usr/bin/python3.11', '-c|import os', undefined],
    ['/usr/bin/python3.11', '-cimport os', undefined],
    ['/usr/bin/python3.11', '-Ic|import os', undefined],
    ['/usr/bin/python3.11', '', undefined],
    ['/usr/bin/python3.11', '-', undefined],
    ['/usr/bin/python3.11', '-|/srv/app.py', undefined],
    ['/usr/bin/python3.11', '/srv/app.py|-c|x', '/srv/app.py'],
    ['/usr/bin/python3.11', '-u|/srv/app.py', '/srv/app.py'],
    ['/usr/bin/python3.11', '-m|http.server|8000', '-m http.server'],
    ['/usr/bin/python3.11', '-mhttp.server', '-m http.server'],
    ['/usr/bin/python3.11', '-Im|pip', '-m pip'],
    ['/usr/bin/python3.11', '-W|ignore|app.py', 'app.py'],
    ['/usr/bin/python3.11', '-Wonce|app.py', 'app.py'],
    ['/usr/bin/python3.11', '-Wdefault::m|app.py', 'app.py'],
    ['/usr/bin/python3.11', '-X|dev|app.py', 'app.py'],
    ['/usr/bin/python3.11', '-Xfrozen_modules=off|app.py', 'app.py'],
    ['/usr/bin/python3.11', '-Ximporttime|app.py', 'app.py'],
    ['/usr/bin/python3.11', '-bW|ignore|app.py', 'app.py'],
    ['/usr/bin/python3.11', '--check-hash-based-pycs|always|app.py', 'app.py'],
    ['/usr/bin/python3.11', '--|app.py', 'app.py'],
    ['/usr/bin/python3.11', '+x.py|/srv/app.py', '+x.py'],
    ['/usr/bin/python3', '-m', undefined],
    ['/usr/bin/pypy3', '/srv/app.py', '/srv/app.py'],
    // perlrun(1)
    ['/usr/bin/perl', '-e|print 1', undefined],
    ['/usr/bin/perl', '-le|print 1', undefined],
    ['/usr/bin/perl', '-0777ne|print', undefined],
    ['/usr/bin/perl', '-E|say 1|/srv/x.pl', undefined],
    ['/usr/bin/perl', '-w|/srv/x.pl', '/srv/x.pl'],
    ['/usr/bin/perl', '-Mfeature=say|/srv/x.pl', '/srv/x.pl'],
    ['/usr/bin/perl', '-MFile::Temp|-w|/srv/x.pl', '/srv/x.pl'],
    ['/usr/bin/perl', '-Isite|/srv/x.pl', '/srv/x.pl'],
    ['/usr/bin/perl', '-I|site|/srv/x.pl', '/srv/x.pl'],
    ['/usr/bin/perl', '-pi.orige|/srv/x.pl', '/srv/x.pl'],
    ['/usr/bin/perl5.36.0', '-T|/srv/x.pl', '/srv/x.pl'],
    // ruby(1), lua(1), node(1), php(1)
    ['/usr/bin/ruby3.1', '-r|json|/srv/x.rb', '/srv/x.rb'],
    ['/usr/bin/ruby3.1', '-rset|-Ilibe|/srv/x.rb', '/srv/x.rb'],
    ['/usr/bin/ruby3.1', '-ne|print', undefined],
    ['/usr/bin/lua5.4', '-l|socket|x.lua', 'x.lua'],
    ['/usr/bin/lua5.4', '-e|print(1)', undefined],
    ['/usr/bin/node', '/srv/server.js', '/srv/server.js'],
    ['/usr/bin/node', '-e|1', undefined],
    ['/usr/bin/node', '-pe|1', undefined],
    ['/usr/bin/node', '--eval=1', undefined],
    ['/usr/bin/node', '--print|1', undefined],
    ['/usr/bin/node', '-r|dotenv|server.js', 'server.js'],
    ['/usr/bin/node', '--require|dotenv|--enable-source-maps|server.js', 'server.js'],
    ['/usr/bin/node', '--require=dotenv|server.js', 'server.js'],
    ['/usr/bin/nodejs', 'server.js', 'server.js'],
    ['/usr/bin/php8.2', '-r|echo 1;', undefined],
    ['/usr/bin/php8.2', '-f|/srv/x.php', '/srv/x.php'],
    ['/usr/bin/php8.2', '-d|memory_limit=1G|/srv/x.php', '/srv/x.php'],
    ['/usr/bin/php8.2', '-dmemory_limit=1G|/srv/x.php', '/srv/x.php'],
    ['/usr/bin/php8.2', '-c|/etc/php.ini|/srv/x.php', '/srv/x.php'],
    // java(1): a class is no file
    ['/usr/lib/jvm/bin/java', '-Xmx1g|-jar|/srv/app.jar|-cp', '/srv/app.jar'],
    ['/usr/lib/jvm/bin/java', '-cp|/srv/lib/*|-Dx=y|com.example.Main|arg', '-m com.example.Main'],
    ['/usr/lib/jvm/bin/java', 'Main.java', 'Main.java'],
    // No interpreters.
    ['/usr/bin/cat', '/etc/passwd', undefined],
    ['/usr/bin/gcc', '/srv/x.c', undefined],
    ['/usr/bin/pythonic', '/srv/app.py', undefined],
    ['/usr/bin/shred', '/srv/x.sh', undefined],
  ])('%s %s', (exe, argv, script) => {
    expect(started(exe, ...(argv === '' ? [] : argv.split('|')))).toBe(script)
  })

  test('a file whose name begins like an option is a file', () => {
    expect(started('/usr/bin/python3', '--', '-m http.server')).toBe('./-m http.server')
    expect(started('/usr/bin/bash', '-', '-m x')).toBe('./-m x')
  })

  test('argv[0] is the choice of the caller and tells nothing', () => {
    expect(
      scriptOf('/usr/bin/python3', ['/srv/app.py', '-c', 'x'], paths('/usr/bin/python3', LOADER)),
    ).toBeUndefined()
    expect(scriptOf('/usr/bin/bash', ['-bash'], paths('/usr/bin/bash', LOADER))).toBeUndefined()
    expect(scriptOf('/usr/bin/bash', [], paths('/usr/bin/bash', LOADER))).toBeUndefined()
  })
})

/** execve(2): the kernel puts the interpreter, its argument if any, and the path of the script before argv[1]. */
describe('by #!', () => {
  test.each<
    [what: string, exe: string, argv: readonly string[], names: readonly string[], script: string | undefined]
  >([
    ['sh', '/usr/bin/dash', ['/bin/sh', '/tmp/.x'], ['/tmp/.x', '/bin/sh', LOADER], '/tmp/.x'],
    [
      'with an argument',
      '/usr/bin/dash',
      ['/bin/sh', '-e', '/tmp/.x'],
      ['/tmp/.x', '/bin/sh', LOADER],
      '/tmp/.x',
    ],
    [
      'with an argument that reads code',
      '/usr/bin/bash',
      ['/bin/bash', '-c', '/tmp/.x'],
      ['/tmp/.x', '/bin/bash', LOADER],
      '/tmp/.x',
    ],
    ['relative', '/usr/bin/dash', ['/bin/sh', './x.sh', 'a'], ['./x.sh', '/bin/sh', LOADER], './x.sh'],
    [
      'env',
      '/usr/bin/env',
      ['/usr/bin/env', 'python3', '/srv/app.py'],
      ['/srv/app.py', '/usr/bin/env', LOADER],
      '/srv/app.py',
    ],
    [
      'an interpreter nobody knows',
      '/opt/foo',
      ['/opt/foo', '/srv/x.foo'],
      ['/srv/x.foo', '/opt/foo', LOADER],
      '/srv/x.foo',
    ],
    [
      'a static interpreter',
      '/opt/foo',
      ['/opt/foo', '/srv/x.foo'],
      ['/srv/x.foo', '/opt/foo'],
      '/srv/x.foo',
    ],
    ['a name like an option', '/usr/bin/dash', ['/bin/sh', '-m x'], ['-m x', '/bin/sh', LOADER], './-m x'],
    ['no script: a program', '/usr/bin/ls', ['ls', '/srv'], ['/usr/bin/ls', LOADER], undefined],
    [
      'no script: a program and its own name',
      '/usr/bin/ls',
      ['ls', '/usr/bin/ls'],
      ['/usr/bin/ls', LOADER],
      undefined,
    ],
    ['no script: nothing known', '/usr/bin/ls', [], [], undefined],
  ])('%s', (_, exe, argv, names, script) => {
    expect(scriptOf(exe, argv, paths(...names))).toBe(script)
  })
})

// busybox goes by argv[0], or by the next word when it is called by its own name (its README, "Usage").
describe('one program that is many', () => {
  test.each<[exe: string, argv: string, script: string | undefined]>([
    ['/bin/busybox', 'wget|http://203.0.113.66/x', '-m wget'],
    ['/bin/busybox', '/bin/ls|-l', '-m ls'],
    ['/bin/busybox', 'busybox|nc|-l', '-m nc'],
    ['/bin/busybox', '/usr/bin/busybox|/bin/nc|-l', '-m nc'],
    ['/bin/busybox', '[|-e|/x|]', '-m ['],
    ['/bin/busybox', 'sh|-c|wget http://203.0.113.66/x', '-m sh'],
    ['/bin/busybox', 'sh|/srv/run.sh', '/srv/run.sh'],
    ['/bin/busybox', 'busybox|sh|/srv/run.sh', '/srv/run.sh'],
    ['/bin/busybox', '-ash', '-m ash'],
    ['/bin/busybox', 'busybox', undefined],
    ['/bin/busybox', 'busybox|--install', undefined],
    ['/bin/busybox', 'what is this', undefined],
    ['/bin/busybox', '', undefined],
    ['/usr/bin/toybox', 'tar|-x', '-m tar'],
    ['/usr/bin/coreutils', 'rm|-r|x', '-m rm'],
    ['/usr/bin/wget', 'busybox|nc', undefined],
  ])('%s as %s', (exe, argv, script) => {
    expect(scriptOf(exe, argv.split('|'), paths('/bin/anything', LOADER))).toBe(script)
  })

  test('runs a script with #! as any shell does', () => {
    expect(scriptOf('/bin/busybox', ['/bin/sh', './run.sh'], paths('./run.sh', '/bin/sh', LOADER))).toBe(
      './run.sh',
    )
  })
})
