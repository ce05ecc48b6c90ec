import { event, execve, line, path, syscall, untrusted } from './log.ts'

export interface Doer {
  readonly pid: number
  readonly ppid?: number
  readonly exe: string
  readonly uid?: number
  /** Nobody has logged in without it. */
  readonly auid?: number
}

const ROOT_INODE = 2

/** Writes a RAW log by hand, event by event, with serials and stamps that go on by themselves. */
export class LogBuilder {
  text = ''
  timeMs: number
  private serial = 1000
  private inode = 5000

  constructor(startMs: number) {
    this.timeMs = startMs
  }

  get bytes(): Buffer {
    return Buffer.from(this.text, 'latin1')
  }

  /** Time goes on. */
  after(milliseconds: number): this {
    this.timeMs += milliseconds
    return this
  }

  /** `doer.ppid` has forked, and the child becomes `doer.exe`. */
  exec(doer: Doer, argv: readonly string[] = [doer.exe]): this {
    return this.event([
      ['SYSCALL', syscall('execve', { ...fieldsOf(doer), items: 2 })],
      ['EXECVE', execve(argv)],
      ['CWD', 'cwd="/"'],
      ['PATH', path(0, doer.exe, 11, 'NORMAL')],
      ['PATH', path(1, '/lib64/ld-linux-x86-64.so.2', 12, 'NORMAL')],
    ])
  }

  /** To an IPv4 address. */
  connect(doer: Doer, address: string, port: number): this {
    const saddr = Buffer.alloc(16)
    saddr.writeUInt16LE(2)
    saddr.writeUInt16BE(port, 2)
    Buffer.from(address.split('.').map(Number)).copy(saddr, 4)
    return this.event([
      ['SYSCALL', syscall('connect', fieldsOf(doer))],
      ['SOCKADDR', `saddr=${saddr.toString('hex').toUpperCase()}`],
    ])
  }

  /** To a socket of the file system. */
  connectUnix(doer: Doer, file: string): this {
    const saddr = Buffer.from(`\u0001\0${file}\0`, 'latin1')
    return this.event([
      ['SYSCALL', syscall('connect', { ...fieldsOf(doer), items: 1 })],
      ['SOCKADDR', `saddr=${saddr.toString('hex').toUpperCase()}`],
      ['CWD', 'cwd="/"'],
      ['PATH', path(0, file, this.inode++, 'NORMAL')],
    ])
  }

  create(doer: Doer, file: string): this {
    return this.change(syscall('creat', { ...fieldsOf(doer), exit: 3, items: 2 }), file, 'CREATE')
  }

  /** Opens a file that is there to write to it. */
  write(doer: Doer, file: string): this {
    return this.change(syscall('creat', { ...fieldsOf(doer), exit: 3, items: 2 }), file, 'NORMAL')
  }

  delete(doer: Doer, file: string): this {
    return this.change(syscall('unlink', { ...fieldsOf(doer), items: 2 }), file, 'DELETE')
  }

  /** The configuration of the kernel's audit, as auditctl changes it. */
  configure(doer: Doer, change: string): this {
    return this.event([
      ['SYSCALL', syscall('sendto', fieldsOf(doer))],
      ['CONFIG_CHANGE', change],
    ])
  }

  exit(doer: Doer): this {
    return this.event([['SYSCALL', syscall('exit_group', { ...fieldsOf(doer), success: '', exit: '' })]])
  }

  /** Events whose records come line by line in turn, as those of several processors do. */
  interleaved(...writes: readonly ((log: LogBuilder) => void)[]): this {
    const before = this.text
    const parts = writes.map((write) => {
      this.text = ''
      write(this)
      return this.text.split('\n').slice(0, -1)
    })
    const longest = Math.max(...parts.map((part) => part.length))
    const lines = Array.from({ length: longest }, (_, index) => parts.flatMap((part) => part[index] ?? []))
    this.text =
      before +
      lines
        .flat()
        .map((text) => `${text}\n`)
        .join('')
    return this
  }

  /** A line that is no record. */
  junk(text = 'this is no record'): this {
    this.text += `${text}\n`
    return this
  }

  /** Events that the kernel had no room for. */
  lose(events: number): this {
    this.serial += events
    return this
  }

  private change(call: string, file: string, type: string): this {
    const directory = `${file.slice(0, file.lastIndexOf('/'))}/`
    return this.event([
      ['SYSCALL', call],
      ['CWD', 'cwd="/"'],
      ['PATH', path(0, directory, ROOT_INODE, 'PARENT')],
      ['PATH', path(1, file, this.inode++, type)],
    ])
  }

  private event(records: readonly (readonly [type: string, body: string])[]): this {
    this.text += event(++this.serial, records, { timeMs: this.timeMs })
    return this
  }

  /** The first half of an event, which the rest may never follow. */
  begin(doer: Doer): this {
    const body = syscall('creat', { ...fieldsOf(doer), exit: 3, items: 2 })
    this.text += line('SYSCALL', ++this.serial, body, { timeMs: this.timeMs })
    return this
  }
}

const fieldsOf = ({
  pid,
  ppid = 1,
  exe,
  uid = 0,
  auid = 4_294_967_295,
}: Doer): Readonly<Record<string, string | number>> => ({
  ...{ pid, ppid, uid, euid: uid, suid: uid, fsuid: uid, auid },
  exe: untrusted(exe),
  comm: untrusted(exe.slice(exe.lastIndexOf('/') + 1, 15)),
})
