import { describe, expect, test } from 'vitest'
import { Core } from '../../agent/core.ts'
import { type FoundProcess, NO_WORLD, type ProcessImage, type World } from '../../agent/domain/activity.ts'
import type { SeenEdge } from '../../agent/graph/edges.ts'
import { chainOf } from '../../agent/graph/names.ts'
import { printed, runCore } from '../support/edges.ts'
import { event, execve, path, syscall, untrusted } from '../support/log.ts'

const LOADER = '/lib64/ld-linux-x86-64.so.2'

interface Who {
  readonly pid: number
  readonly ppid?: number
  readonly exe: string
  readonly uid?: number
  readonly euid?: number
}

interface Told extends Who {
  readonly argv?: readonly string[]
  /** File that was asked for, when it is not the executable: a script. */
  readonly file?: string
  readonly cwd?: string
}

const fields = ({ pid, ppid = 1, exe, uid = 1000, euid = uid }: Who): Record<string, string | number> => ({
  pid,
  ppid,
  uid,
  euid,
  exe: untrusted(exe),
})

/** A log that is written call by call, and what the core makes of it. */
class Story {
  readonly seen: SeenEdge[] = []
  private readonly core: Core
  private serial = 0

  constructor(world: World = NO_WORLD, found: readonly FoundProcess[] = []) {
    this.core = new Core(world, { onEvent: () => undefined, onEdge: (seen) => void this.seen.push(seen) })
    this.core.processes.seed(found)
  }

  exec({ argv, file, cwd = '/srv', ...who }: Told): this {
    const name = file ?? who.exe
    const words = argv ?? [who.exe]
    const interpreter = file === undefined ? [] : [path(1, words[0], 2, 'NORMAL')]
    const paths = [
      path(0, name, 1, 'NORMAL'),
      ...interpreter,
      path(1 + interpreter.length, LOADER, 3, 'NORMAL'),
    ]
    return this.write([
      ['SYSCALL', syscall('execve', { ...fields(who), items: paths.length })],
      ['EXECVE', execve(words)],
      ['CWD', `cwd=${untrusted(cwd)}`],
      ...paths.map((body) => ['PATH', body] as const),
    ])
  }

  connect(who: Who): this {
    return this.write([
      ['SYSCALL', syscall('connect', fields(who))],
      ['SOCKADDR', 'saddr=020001BBCB0071420000000000000000'],
    ])
  }

  trace(pid: number): this {
    return this.write([
      ['SYSCALL', syscall('ptrace', { pid: 7, a0: '10', a1: pid.toString(16) })],
      ['OBJ_PID', `opid=${pid} oauid=-1 ouid=1000 oses=-1 ocomm="bash"`],
    ])
  }

  failToExec(who: Who): this {
    return this.write([['SYSCALL', syscall('execve', { ...fields(who), success: 'no', exit: -2 })]])
  }

  exit(who: Who): this {
    return this.write([['SYSCALL', syscall('exit_group', { ...fields(who), success: '', exit: '' })]])
  }

  /** Execs of so many children, one after the other, which carries the pids forward. */
  execs(first: number, last: number, ppid = 9): this {
    for (let pid = first; pid <= last; pid++) this.exec({ pid, ppid, exe: '/bin/true', uid: 0 })
    return this
  }

  /** The order of pids begins again and passes 4000 and 5000, though nobody there is seen: most processes never exec. */
  around(): this {
    for (let pid = 5500; pid < 32_768; pid += 500) this.execs(pid, pid)
    for (let pid = 300; pid < 9000; pid += 500) this.execs(pid, pid)
    return this
  }

  get edges(): string[] {
    return this.seen.map(({ edge }) => printed(edge))
  }

  /** Names of the process that made the last edge, and of what it came from. */
  get chain(): string[] {
    return chainOf(this.last)
  }

  /** Pids of a process and its ancestors, as far as they are known. */
  lineage(pid: number): number[] {
    return this.core.processes.lineage(pid, 0).map((ancestor) => ancestor.pid)
  }

  get last(): ProcessImage {
    const image = this.seen.at(-1)?.source
    if (image === undefined) throw new Error('nothing was seen')
    return image
  }

  private write(records: readonly (readonly [string, string])[]): this {
    this.core.push(Buffer.from(event(++this.serial, records)))
    return this
  }
}

const SHELL: Told = { pid: 100, exe: '/bin/bash', argv: ['bash', '/srv/run.sh'] }
const HOST = 'host:203.0.113.66:443'

describe('exec', () => {
  test('of a process nobody has seen comes from ?', () => {
    expect(new Story().exec({ pid: 100, exe: '/bin/ls' }).edges).toEqual([
      'exec proc::1000:?->proc::1000:/bin/ls',
    ])
  })

  test('of two children of a process nobody has seen shows that they belong together, and no more', () => {
    const story = new Story()
      .exec({ pid: 101, ppid: 100, exe: '/bin/ls' })
      .exec({ pid: 102, ppid: 100, exe: '/bin/cp' })
    expect([101, 102].map((pid) => story.lineage(pid))).toEqual([
      [101, 100],
      [102, 100],
    ])
    expect(story.edges).toEqual([
      'exec proc::1000:?->proc::1000:/bin/ls',
      'exec proc::1000:?->proc::1000:/bin/cp',
    ])
    story.connect({ pid: 100, exe: '/bin/bash' })
    expect(story.edges.at(-1)).toBe(`connect proc::1000:/bin/bash->${HOST}`)
  })

  test('comes from the parent that forked, also when that was the first for whom pids began again', () => {
    const story = new Story()
      .execs(32_700, 32_766)
      .exec({ pid: 359, ppid: 9, exe: '/bin/dash', argv: ['sh'] })
    for (const pid of [360, 361]) story.exec({ pid, ppid: 359, exe: '/bin/ls' })
    expect(story.edges.slice(-2)).toEqual(
      Array.from({ length: 2 }, () => 'exec proc::1000:/bin/dash->proc::1000:/bin/ls'),
    )
  })

  test('comes from the parent that forked', () => {
    const story = new Story().exec(SHELL).exec({ pid: 101, ppid: 100, exe: '/bin/ls' })
    expect(story.edges.at(-1)).toBe('exec proc::1000:/bin/bash</srv/run.sh->proc::1000:/bin/ls')
  })

  test('of the same process again comes from what it was', () => {
    const story = new Story()
      .exec(SHELL)
      .exec({ pid: 101, ppid: 100, exe: '/usr/bin/env' })
      .exec({ pid: 101, ppid: 100, exe: '/usr/bin/python3', argv: ['python3', 'app.py'] })
      .connect({ pid: 101, ppid: 100, exe: '/usr/bin/python3' })
    expect(story.edges.slice(2)).toEqual([
      'exec proc::1000:/usr/bin/env->proc::1000:/usr/bin/python3</srv/app.py',
      `connect proc::1000:/usr/bin/python3</srv/app.py->${HOST}`,
    ])
    expect(story.chain).toEqual([
      'proc::1000:?',
      'proc::1000:/bin/bash</srv/run.sh',
      'proc::1000:/usr/bin/env',
      'proc::1000:/usr/bin/python3</srv/app.py',
    ])
  })

  test('of a script with #! has the script, seen from the current directory', () => {
    const story = new Story().exec({
      pid: 100,
      exe: '/usr/bin/dash',
      file: './.x',
      argv: ['/bin/sh', './.x'],
      cwd: '/tmp',
    })
    expect(story.edges).toEqual(['exec proc::1000:?->proc::1000:/usr/bin/dash</tmp/.x'])
  })

  test('of a script by env: the identity goes on to the interpreter', () => {
    const story = new Story()
      .exec({
        pid: 100,
        exe: '/usr/bin/env',
        file: '/srv/app.py',
        argv: ['/usr/bin/env', 'python3', '/srv/app.py'],
      })
      .exec({ pid: 100, exe: '/usr/bin/python3.11', argv: ['python3', '/srv/app.py'] })
    expect(story.edges).toEqual([
      'exec proc::1000:?->proc::1000:/usr/bin/env</srv/app.py',
      'exec proc::1000:/usr/bin/env</srv/app.py->proc::1000:/usr/bin/python3.11</srv/app.py',
    ])
  })

  test('the same interpreter with code, a module, a script are three programs', () => {
    const names = [['-c', 'x'], ['-m', 'http.server'], ['/srv/app.py']].map(
      (argv) => new Story().exec({ pid: 100, exe: '/usr/bin/python3', argv: ['python3', ...argv] }).edges[0],
    )
    expect(names).toEqual([
      'exec proc::1000:?->proc::1000:/usr/bin/python3',
      'exec proc::1000:?->proc::1000:/usr/bin/python3<-m http.server',
      'exec proc::1000:?->proc::1000:/usr/bin/python3</srv/app.py',
    ])
  })

  test('that failed leaves the process what it was', () => {
    const story = new Story()
      .exec(SHELL)
      .failToExec({ pid: 100, exe: '/bin/bash' })
      .connect({ pid: 100, exe: '/bin/bash' })
    expect(story.edges.at(-1)).toBe(`connect proc::1000:/bin/bash</srv/run.sh->${HOST}`)
  })
})

describe('a child that never execs', () => {
  test('is what its parent is', () => {
    const story = new Story().exec(SHELL).connect({ pid: 101, ppid: 100, exe: '/bin/bash' })
    expect(story.edges.at(-1)).toBe(`connect proc::1000:/bin/bash</srv/run.sh->${HOST}`)
  })

  test('and so are its children', () => {
    const story = new Story()
      .exec(SHELL)
      .connect({ pid: 101, ppid: 100, exe: '/bin/bash' })
      .exec({ pid: 102, ppid: 101, exe: '/bin/ls' })
    expect(story.edges.at(-1)).toBe('exec proc::1000:/bin/bash</srv/run.sh->proc::1000:/bin/ls')
  })

  test('is what its parent was when it forked, though the parent then became something else', () => {
    const story = new Story()
      .exec(SHELL)
      .connect({ pid: 101, ppid: 100, exe: '/bin/bash' })
      .exec({ pid: 100, exe: '/bin/sleep' })
      .connect({ pid: 101, ppid: 100, exe: '/bin/bash' })
    expect(story.edges.at(-1)).toBe(`connect proc::1000:/bin/bash</srv/run.sh->${HOST}`)
  })

  test('stays what it is when its parent dies and init adopts it', () => {
    const story = new Story()
      .exec(SHELL)
      .connect({ pid: 101, ppid: 100, exe: '/bin/bash' })
      .exit({ pid: 100, exe: '/bin/bash' })
      .connect({ pid: 101, ppid: 1, exe: '/bin/bash' })
      .exec({ pid: 101, ppid: 1, exe: '/bin/ls' })
    expect(story.edges.slice(-2)).toEqual([
      `connect proc::1000:/bin/bash</srv/run.sh->${HOST}`,
      'exec proc::1000:/bin/bash</srv/run.sh->proc::1000:/bin/ls',
    ])
  })

  test('is not its parent when the kernel shows another program', () => {
    const story = new Story().exec(SHELL).connect({ pid: 101, ppid: 100, exe: '/usr/bin/curl' })
    expect(story.edges.at(-1)).toBe(`connect proc::1000:/usr/bin/curl->${HOST}`)
    expect(story.chain).toEqual([
      'proc::1000:?',
      'proc::1000:/bin/bash</srv/run.sh',
      'proc::1000:/usr/bin/curl',
    ])
  })

  test('runs on when its file is replaced', () => {
    const story = new Story().exec(SHELL).connect({ pid: 100, exe: '/bin/bash (deleted)' })
    expect(story.edges.at(-1)).toBe(`connect proc::1000:/bin/bash</srv/run.sh->${HOST}`)
  })
})

describe('a fork between that made no call', () => {
  const sudo = { exe: '/usr/bin/sudo', euid: 0 }
  const SUDO = 'proc::1000:/usr/bin/sudo'
  /** As sudo with use_pty: it forks one that watches the terminal, which forks one that becomes the program. */
  const begun = (): Story =>
    new Story().exec(SHELL).exec({ pid: 101, ppid: 100, ...sudo, argv: ['sudo', 'tee', '/etc/x'] })

  test('leaves its child what its parent is', () => {
    const story = begun()
      .connect({ pid: 103, ppid: 102, ...sudo })
      .exec({ pid: 103, ppid: 102, exe: '/usr/bin/tee', uid: 0 })
      .connect({ pid: 103, ppid: 102, exe: '/usr/bin/tee', uid: 0 })
    expect(story.chain.slice(1)).toEqual(['proc::1000:/bin/bash</srv/run.sh', SUDO, 'proc::0:/usr/bin/tee'])
    expect(story.lineage(103)).toEqual([103, 102, 101, 100])
  })

  test('and is gone does as well: whoever adopts its child did not fork it', () => {
    const story = begun()
      .exec({ pid: 50, ppid: 1, exe: '/usr/sbin/supervise' })
      .connect({ pid: 103, ppid: 50, ...sudo })
    expect(story.chain.slice(1)).toEqual(['proc::1000:/bin/bash</srv/run.sh', SUDO])
  })

  test('is looked for beside one that changed its user in between', () => {
    const story = begun()
      .connect({ pid: 102, ppid: 101, exe: '/usr/bin/sudo', uid: 0 })
      .connect({ pid: 104, ppid: 103, ...sudo })
    expect(story.chain.slice(1, 3)).toEqual(['proc::1000:/bin/bash</srv/run.sh', SUDO])
  })

  test.each([
    ['of two of different descent', (story: Story) => story.exec({ pid: 102, ppid: 9, ...sudo })],
    [
      'of another user',
      () => new Story().exec({ pid: 102, ppid: 9, exe: '/usr/bin/sudo', uid: 33, euid: 33 }),
    ],
    ['far away in the order of pids', () => new Story().exec({ pid: 50, ppid: 9, ...sudo })],
    ['of another program', () => new Story().exec(SHELL)],
    ['younger than the parent', () => new Story().exec({ pid: 104, ppid: 9, ...sudo })],
  ])('is nobody when there is only one %s', (_, before) => {
    const story = before(begun()).connect({ pid: 105, ppid: 103, ...sudo })
    expect(story.chain).toEqual([SUDO])
    expect(story.lineage(105)).toEqual([105])
  })

  test('of a pid that no kernel gives is looked for nowhere', () => {
    const story = begun().connect({ pid: 2 ** 53, ppid: 2 ** 53 - 2, ...sudo })
    expect(story.chain).toEqual([SUDO])
  })
})

describe('a pid that is used again', () => {
  const SECOND: Told = { pid: 200, exe: '/bin/bash', argv: ['bash', '/srv/other.sh'] }

  test('after its process has ended belongs to a child of its new parent', () => {
    const story = new Story()
      .exec(SHELL)
      .exec({ pid: 101, ppid: 100, exe: '/usr/bin/curl' })
      .exit({ pid: 101, ppid: 100, exe: '/usr/bin/curl' })
      .exec(SECOND)
      .exec({ pid: 101, ppid: 200, exe: '/bin/rm' })
    expect(story.edges.at(-1)).toBe('exec proc::1000:/bin/bash</srv/other.sh->proc::1000:/bin/rm')
  })

  test('after its process has ended, by a child of the same parent', () => {
    const story = new Story()
      .exec(SHELL)
      .exec({ pid: 101, ppid: 100, exe: '/usr/bin/curl' })
      .exit({ pid: 101, ppid: 100, exe: '/usr/bin/curl' })
      .exec({ pid: 101, ppid: 100, exe: '/bin/rm' })
    expect(story.edges.at(-1)).toBe('exec proc::1000:/bin/bash</srv/run.sh->proc::1000:/bin/rm')
  })

  test('without that being told, by a parent of another pid', () => {
    const story = new Story()
      .exec(SHELL)
      .exec({ pid: 101, ppid: 100, exe: '/usr/bin/curl' })
      .exec(SECOND)
      .exec({ pid: 101, ppid: 200, exe: '/bin/rm' })
    expect(story.edges.at(-1)).toBe('exec proc::1000:/bin/bash</srv/other.sh->proc::1000:/bin/rm')
  })

  test('by a fork of another shell of the same kind', () => {
    const story = new Story()
      .exec(SHELL)
      .connect({ pid: 101, ppid: 100, exe: '/bin/bash' })
      .exec(SECOND)
      .connect({ pid: 101, ppid: 200, exe: '/bin/bash' })
    expect(story.edges.at(-1)).toBe(`connect proc::1000:/bin/bash</srv/other.sh->${HOST}`)
  })

  test('after the order of pids has begun again, by a child of the same parent', () => {
    // Recorded with a pid_max of 32768: the same parent, the same pid, another child, and no exit in the log.
    const story = new Story()
      .exec(SHELL)
      .exec({ pid: 5000, ppid: 100, exe: '/usr/bin/curl' })
      .execs(5001, 32_000)
      .execs(300, 5400)
      .exec({ pid: 5000, ppid: 100, exe: '/bin/rm' })
    expect(story.edges.at(-1)).toBe('exec proc::1000:/bin/bash</srv/run.sh->proc::1000:/bin/rm')
  })

  test('but not before: a process that execs again after a while is still itself', () => {
    const story = new Story()
      .exec(SHELL)
      .exec({ pid: 5000, ppid: 100, exe: '/usr/bin/env' })
      .execs(5001, 9000)
      .exec({ pid: 5000, ppid: 100, exe: '/bin/rm' })
    expect(story.edges.at(-1)).toBe('exec proc::1000:/usr/bin/env->proc::1000:/bin/rm')
  })

  test('by another user than could have come of it', () => {
    // No exec and no fork changes the real uid, and only root can: neither 101 nor 100 was this one before.
    const story = new Story()
      .exec(SHELL)
      .exec({ pid: 101, ppid: 100, exe: '/usr/bin/curl', uid: 1000 })
      .exec({ pid: 101, ppid: 100, exe: '/bin/rm', uid: 33 })
    expect(story.edges.at(-1)).toBe('exec proc::33:?->proc::33:/bin/rm')
  })
})

describe('a parent', () => {
  const DAEMON: Told = { pid: 4000, exe: '/usr/sbin/cron', argv: ['cron'], uid: 0 }

  test('may be silent for as long as it likes', () => {
    const story = new Story()
      .exec(DAEMON)
      .exec({ pid: 4001, ppid: 4000, exe: '/bin/sh', argv: ['sh'], uid: 0 })
    story.around().exec({ pid: 9001, ppid: 4000, exe: '/bin/sh', argv: ['sh'], uid: 0 })
    expect(story.edges.at(-1)).toBe('exec proc::0:/usr/sbin/cron->proc::0:/bin/sh')
  })

  test('and what has never started anything may not: its pid was passed', () => {
    const story = new Story().exec(DAEMON).around().exec({ pid: 9001, ppid: 4000, exe: '/bin/sh', uid: 0 })
    expect(story.edges.at(-1)).toBe('exec proc::0:?->proc::0:/bin/sh')
  })

  test('that is passed does not exec: who execs is rather a new process', () => {
    const story = new Story()
      .exec(DAEMON)
      .exec({ pid: 4001, ppid: 4000, exe: '/bin/sh', argv: ['sh'], uid: 0 })
      .around()
      .exec({ pid: 4000, exe: '/bin/sh', argv: ['sh'], uid: 0 })
    expect(story.edges.at(-1)).toBe('exec proc::0:?->proc::0:/bin/sh')
  })

  test('stays one when it acts for another user in between', () => {
    const story = new Story()
      .exec(DAEMON)
      .exec({ pid: 4001, ppid: 4000, exe: '/bin/sh', argv: ['sh'], uid: 0 })
      .connect({ pid: 4000, exe: '/usr/sbin/cron', uid: 33, euid: 0 })
      .connect({ pid: 4000, exe: '/usr/sbin/cron', uid: 0 })
    story.around().exec({ pid: 9001, ppid: 4000, exe: '/bin/sh', argv: ['sh'], uid: 0 })
    expect(story.edges.at(-1)).toBe('exec proc::0:/usr/sbin/cron->proc::0:/bin/sh')
  })

  test('is one by children that never exec', () => {
    const story = new Story()
      .exec({ ...DAEMON, exe: '/bin/bash', argv: ['bash', '/srv/run.sh'] })
      .connect({ pid: 4001, ppid: 4000, exe: '/bin/bash', uid: 0 })
    story.around().exec({ pid: 9001, ppid: 4000, exe: '/bin/ls', uid: 0 })
    expect(story.edges.at(-1)).toBe('exec proc::0:/bin/bash</srv/run.sh->proc::0:/bin/ls')
  })

  test('whose exec was before the log began is not known, and its children are its children all the same', () => {
    const story = new Story()
      .exec({ pid: 51, ppid: 50, exe: '/bin/ls' })
      .connect({ pid: 50, exe: '/bin/bash' })
      .exec({ pid: 52, ppid: 50, exe: '/bin/ls' })
    expect(story.edges).toEqual([
      'exec proc::1000:?->proc::1000:/bin/ls',
      `connect proc::1000:/bin/bash->${HOST}`,
      'exec proc::1000:/bin/bash->proc::1000:/bin/ls',
    ])
  })
})

describe('users', () => {
  test('root may become anybody, and the child of root too', () => {
    const story = new Story()
      .exec({ pid: 100, exe: '/usr/sbin/cron', uid: 0 })
      .exec({ pid: 101, ppid: 100, exe: '/bin/sh', argv: ['sh', '-c', 'x'], uid: 33 })
    expect(story.edges.at(-1)).toBe('exec proc::0:/usr/sbin/cron->proc::33:/bin/sh')
  })

  test('who changes the user is another process of the graph, that came of the first', () => {
    const story = new Story()
      .exec({ pid: 100, exe: '/usr/sbin/sshd', uid: 0 })
      .connect({ pid: 100, exe: '/usr/sbin/sshd', uid: 1000 })
    expect(story.edges.at(-1)).toBe(`connect proc::1000:/usr/sbin/sshd->${HOST}`)
    expect(story.chain.slice(-2)).toEqual(['proc::0:/usr/sbin/sshd', 'proc::1000:/usr/sbin/sshd'])
  })

  test('and is the first again when it changes back, however often', () => {
    const story = new Story().exec({ pid: 100, exe: '/usr/sbin/sshd', uid: 0 })
    story.connect({ pid: 100, exe: '/usr/sbin/sshd', uid: 0 })
    const before = story.chain
    for (let round = 0; round < 1000; round++)
      story.connect({ pid: 100, exe: '/usr/sbin/sshd', uid: round % 2 === 0 ? 33 : 0, euid: 0 })
    expect(story.edges.at(-1)).toBe(`connect proc::0:/usr/sbin/sshd->${HOST}`)
    expect(story.chain).toEqual(before)
  })

  test('are known by their names where the host has them', () => {
    const world = { ...NO_WORLD, userName: (uid: number) => (uid === 33 ? 'www-data' : undefined) }
    expect(new Story(world).exec({ pid: 100, exe: '/bin/ls', uid: 33 }).edges).toEqual([
      'exec proc::www-data:?->proc::www-data:/bin/ls',
    ])
  })
})

describe('chains', () => {
  test('stay short under 100,000 execs of one process', () => {
    const story = new Story()
    for (let round = 0; round < 100_000; round++) {
      story.exec({ pid: 100, exe: `/bin/${round % 7}` })
      if (round % 1000 !== 999) story.seen.length = 0
    }
    expect(story.chain.length).toBeGreaterThan(5)
    expect(story.chain.length).toBeLessThanOrEqual(40)
    let length = 0
    for (let at: ProcessImage | undefined = story.last; at !== undefined; at = at.origin) length++
    expect(length).toBeLessThanOrEqual(40)
  })

  test('stay short under 10,000 generations', () => {
    const story = new Story()
    for (let pid = 100; pid < 10_100; pid++) story.exec({ pid, ppid: pid - 1, exe: `/bin/${pid % 7}` })
    let length = 0
    for (let at: ProcessImage | undefined = story.last; at !== undefined; at = at.origin) length++
    expect(length).toBeLessThanOrEqual(40)
  })
})

describe('what /proc shows', () => {
  const found = (given: Partial<FoundProcess> & { pid: number }): FoundProcess => ({
    ppid: 1,
    uid: 1000,
    exe: '/bin/bash',
    argv: ['bash'],
    cwd: '/srv',
    container: '',
    startMs: 0,
    readMs: 1,
    ...given,
  })

  test('at the start is the past of what comes, in whatever order it is given', () => {
    const processes = [
      found({ pid: 300, ppid: 200, exe: '/usr/bin/python3', argv: ['python3', 'app.py'] }),
      found({ pid: 1, ppid: 0, uid: 0, exe: '/sbin/init', argv: ['init'] }),
      found({ pid: 200, ppid: 1, argv: ['bash', '/srv/run.sh'] }),
    ]
    for (const order of [processes, [...processes].reverse()]) {
      const story = new Story(NO_WORLD, order).exec({ pid: 301, ppid: 300, exe: '/bin/ls' })
      expect(story.edges).toEqual(['exec proc::1000:/usr/bin/python3</srv/app.py->proc::1000:/bin/ls'])
      expect(story.chain).toEqual([
        'proc::0:/sbin/init',
        'proc::1000:/bin/bash</srv/run.sh',
        'proc::1000:/usr/bin/python3</srv/app.py',
      ])
    }
  })

  test('two that call each other parent, as a race may show them, are no endless chain', () => {
    const story = new Story(NO_WORLD, [
      found({ pid: 200, ppid: 300 }),
      found({ pid: 300, ppid: 200 }),
      found({ pid: 400, ppid: 400 }),
    ])
    expect(story.exec({ pid: 301, ppid: 300, exe: '/bin/ls' }).chain.length).toBeLessThanOrEqual(40)
  })

  test('is asked once for a parent that no record has told of', () => {
    const asked: number[] = []
    const world = {
      ...NO_WORLD,
      findProcess: (pid: number) => {
        asked.push(pid)
        return pid === 50 ? found({ pid: 50, ppid: 40, argv: ['bash', '/srv/run.sh'] }) : undefined
      },
    }
    const story = new Story(world, [found({ pid: 40, exe: '/usr/sbin/sshd', argv: [], uid: 0 })])
      .exec({ pid: 51, ppid: 50, exe: '/bin/ls' })
      .exec({ pid: 52, ppid: 50, exe: '/bin/ls' })
    expect(story.edges).toEqual([
      'exec proc::1000:/bin/bash</srv/run.sh->proc::1000:/bin/ls',
      'exec proc::1000:/bin/bash</srv/run.sh->proc::1000:/bin/ls',
    ])
    expect(story.chain).toEqual(['proc::0:/usr/sbin/sshd', 'proc::1000:/bin/bash</srv/run.sh'])
    expect(asked).toEqual([50])
  })

  test('of a parent is remembered when it has gone', () => {
    let isThere = true
    const world = {
      ...NO_WORLD,
      findProcess: (pid: number) =>
        isThere && pid === 4000 ? found({ pid: 4000, argv: ['bash', '/srv/run.sh'] }) : undefined,
    }
    const story = new Story(world).exec({ pid: 4001, ppid: 4000, exe: '/bin/ls' })
    isThere = false
    story.around().exec({ pid: 9001, ppid: 4000, exe: '/bin/ls' })
    expect(story.edges.at(-1)).toBe('exec proc::1000:/bin/bash</srv/run.sh->proc::1000:/bin/ls')
  })

  test('of another program under the pid is not believed', () => {
    const world = {
      ...NO_WORLD,
      findProcess: (pid: number) =>
        pid === 50 ? found({ pid: 50, argv: ['bash', '/srv/x.sh'] }) : undefined,
    }
    const story = new Story(world).connect({ pid: 50, exe: '/usr/bin/curl' })
    expect(story.edges).toEqual([`connect proc::1000:/usr/bin/curl->${HOST}`])
  })

  describe('tells by the start whether it is the same process', () => {
    /** The stamp of every event of the story. */
    const NOW_MS = 1_795_210_797_987
    const live = (pid: number, startMs: number): World => ({
      ...NO_WORLD,
      findProcess: (asked) =>
        asked === pid ? found({ pid, startMs, argv: ['bash', '/srv/run.sh'] }) : undefined,
    })

    test('that acted, or started another', () => {
      for (const [startMs, is] of [
        [NOW_MS - 60_000, '/bin/bash</srv/run.sh'],
        // The clock of the stamps is coarse.
        [NOW_MS + 100, '/bin/bash</srv/run.sh'],
        [NOW_MS + 5000, undefined],
      ] as const) {
        const world = live(50, startMs)
        expect(new Story(world).connect({ pid: 50, exe: '/bin/bash' }).edges).toEqual([
          `connect proc::1000:${is ?? '/bin/bash'}->${HOST}`,
        ])
        expect(new Story(world).exec({ pid: 51, ppid: 50, exe: '/bin/ls' }).edges).toEqual([
          `exec proc::1000:${is ?? '?'}->proc::1000:/bin/ls`,
        ])
        expect(new Story(world).trace(50).edges).toEqual([
          `trace proc::1000:/bin/x->proc::1000:${is ?? '[bash]'}`,
        ])
      }
    })

    test('at the start: an older event of the log was of another one', () => {
      const seed = (startMs: number): FoundProcess[] => [
        found({ pid: 50, startMs, argv: ['bash', '/srv/run.sh'] }),
      ]
      const connect = (startMs: number): string[] =>
        new Story(NO_WORLD, seed(startMs)).connect({ pid: 50, exe: '/bin/bash' }).edges
      expect(connect(NOW_MS - 60_000)).toEqual([`connect proc::1000:/bin/bash</srv/run.sh->${HOST}`])
      expect(connect(NOW_MS + 60_000)).toEqual([`connect proc::1000:/bin/bash->${HOST}`])
    })

    test('at the start: what it became since, it was not before', () => {
      const seed = (readMs: number): FoundProcess[] => [
        found({ pid: 1, ppid: 0, uid: 0, exe: '/sbin/init', argv: ['init'], startMs: NOW_MS - 60_000 }),
        found({ pid: 50, exe: '/usr/sbin/cron', argv: ['cron'], startMs: NOW_MS - 60_000, readMs }),
      ]
      const exec = (readMs: number): string | undefined =>
        new Story(NO_WORLD, seed(readMs)).exec({ pid: 50, ppid: 1, exe: '/usr/sbin/cron' }).edges[0]
      expect(exec(NOW_MS + 60_000)).toBe('exec proc::0:/sbin/init->proc::1000:/usr/sbin/cron')
      expect(exec(NOW_MS - 1000)).not.toContain('/sbin/init')
    })

    test('when the order of pids has passed it', () => {
      const shell: Told = { pid: 5000, exe: '/bin/bash', argv: ['bash', '/srv/run.sh'] }
      const later = (world: World): string | undefined =>
        new Story(world).exec(shell).around().connect({ pid: 5000, exe: '/bin/bash' }).edges.at(-1)
      const findsOther = (startMs: number): World => ({
        ...NO_WORLD,
        findProcess: (asked) =>
          asked === 5000 ? found({ pid: 5000, startMs, argv: ['bash', '/srv/other.sh'] }) : undefined,
      })
      expect(later(NO_WORLD)).toBe(`connect proc::1000:/bin/bash->${HOST}`)
      // What it was started as counts, not what it makes of its arguments later.
      expect(later(findsOther(NOW_MS - 60_000))).toBe(`connect proc::1000:/bin/bash</srv/run.sh->${HOST}`)
      expect(later(findsOther(NOW_MS + 5000))).toBe(`connect proc::1000:/bin/bash->${HOST}`)
      expect(later(findsOther(NOW_MS + 900))).toBe(`connect proc::1000:/bin/bash</srv/run.sh->${HOST}`)
    })
  })

  test('tells the container, which children keep', () => {
    const inside = '0123456789ab'
    const world = { ...NO_WORLD, containerOf: (pid: number) => (pid === 100 ? inside : undefined) }
    const story = new Story(world)
      .exec({ pid: 100, exe: '/bin/sh' })
      .connect({ pid: 100, exe: '/bin/sh' })
      .exec({ pid: 101, ppid: 100, exe: '/bin/ls' })
    expect(story.edges).toEqual([
      `exec proc::1000:?->proc:${inside}:1000:/bin/sh`,
      `connect proc:${inside}:1000:/bin/sh->${HOST}`,
      `exec proc:${inside}:1000:/bin/sh->proc:${inside}:1000:/bin/ls`,
    ])
  })
})

test('this host is the machine with its name, or without one, though another comes first', () => {
  const world = { ...NO_WORLD, isThisHost: (node: string) => node === 'me', userName: () => 'alice' }
  const connect = (node: string | undefined, serial: number): string =>
    event(
      serial,
      [
        ['SYSCALL', syscall('connect')],
        ['SOCKADDR', 'saddr=0200270F0A0000010000000000000000'],
      ],
      {
        ...(node !== undefined && { node }),
      },
    )
  for (const home of ['me', undefined]) {
    const { edges } = runCore(connect('stranger', 1) + connect(home, 2) + connect('stranger', 3), world)
    expect(edges.slice(1).map(({ from }) => from)).toEqual(['proc::alice:/bin/x', 'proc::1000:/bin/x'])
  }
})
