/** A mount, as a line of proc_pid_mountinfo(5) has it. */
export interface Mount {
  /** The same for nothing else that is mounted now, in any name space. */
  readonly id: string
  /** `MAJOR:MINOR` of the file system. */
  readonly device: string
  readonly point: string
  readonly type: string
  readonly source: string
  /** Of the mount and of its file system: it can be written only when both say `rw`. */
  readonly options: readonly string[]
  readonly superOptions: readonly string[]
}

/** Mounts from the text of `/proc/PID/mountinfo`, one character for each byte. A line that is none is left out. */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ', 2)
    const [id = '', , device, , point, options] = before.split(' ')
    const [type, source, superOptions = ''] = after?.split(' ') ?? []
    if (device === undefined || point === undefined || options === undefined) return []
    if (type === undefined || source === undefined) return []
    return {
      ...{ id, device, point: unescaped(point), type, source: unescaped(source) },
      // A comma within a value is written as \054.
      options: options.split(',').map(unescaped),
      superOptions: superOptions.split(',').map(unescaped),
    }
  })
}

/** The value of an option of the file system, as in `upperdir=/var/lib/…`. */
export const optionOf = ({ superOptions }: Mount, name: string): string | undefined =>
  superOptions.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1)

/** Where something is mounted now: of mounts on one point the last one covers the others. */
export const mountAt = (mounts: readonly Mount[], point: string): Mount | undefined =>
  mounts.findLast((mount) => mount.point === point)

/** The mount that a path lies in. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const around = mounts.filter(({ point }) => isWithin(path, point))
  const longest = Math.max(...around.map(({ point }) => point.length))
  return around.findLast(({ point }) => point.length === longest)
}

const isWithin = (path: string, folder: string): boolean =>
  folder === '/' || path === folder || path.startsWith(`${folder}/`)

/** mangle() of fs/proc_namespace.c and seq_escape(): blanks, backslashes and commas as three octal digits. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
