/** A real Debian that boots in a virtual machine of its own: systemd, a kernel with an audit of its own, no network. */
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { debianUnavailable, must, type Run } from './debian.ts'
import { PORT, vmImage } from './vm-image.ts'

const MEMORY_MIB = 1024

/** FULLMON_TEST_VM=emulate does without KVM: the same machine, and every instruction takes ten times as long. */
export const EMULATES = process.env['FULLMON_TEST_VM'] === 'emulate'
const ACCELERATION = EMULATES
  ? // The cmpxchg16b of QEMU 7.2 loses the flags, of which kernels since 6.12 die.
    ['-machine', 'q35', '-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max,cx16=off']
  : // A host that is a guest itself may know this register, and not let it be written.
    ['-machine', 'q35', '-accel', 'kvm', '-cpu', 'host,arch-capabilities=off']
const BOOT_MS = EMULATES ? 240_000 : 120_000
const RUN_MS = EMULATES ? 900_000 : 180_000

export interface Vm {
  /** Runs a script as root, in the session of a login by this uid. @throws Error when it does not end in time */
  run(script: string, loginuid?: number): Promise<Run>
  /** The same. @throws Error when it ends with another status than 0 */
  must(script: string, loginuid?: number): Promise<string>
  /** Ends when the guest has booted again. */
  reboot(): Promise<void>
  stop(): Promise<void>
}

/** Why no machine can boot here, or undefined. */
export async function vmUnavailable(suite: string, mirror: string): Promise<string | undefined> {
  if (process.arch !== 'x64') return 'needs x86-64'
  if (spawnSync('qemu-system-x86_64', ['--version']).status !== 0) return 'needs qemu-system-x86'
  if (!EMULATES && !isVirtualizing())
    return 'needs KVM on a processor with vmx or svm (FULLMON_TEST_VM=emulate does without, and takes long)'
  return debianUnavailable(mirror, suite)
}

/** There are sandboxes with a /dev/kvm that emulates in the kernel what the processor cannot do: no Debian boots there. */
function isVirtualizing(): boolean {
  if (!/^flags.* (?:vmx|svm) /m.test(readFileSync('/proc/cpuinfo', 'utf8'))) return false
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Boots a fresh machine; nothing that it does outlives it. `folder` is what it finds, read-only, in /media.
 * @throws Error, with what it printed, when it does not boot
 */
export async function startVm(suite: string, mirror: string, folder: string): Promise<Vm> {
  const { disk, kernel, initrd } = vmImage(suite, mirror)
  const directory = mkdtempSync(join(tmpdir(), 'fullmon-vm-'))
  const media = join(directory, 'media')
  const consoleLog = join(directory, 'console')
  const control = join(directory, 'control')
  mkdirSync(folder, { recursive: true })
  must('mke2fs', '-q', '-t', 'ext4', '-d', folder, media, '512M')
  const server = createServer()
  const connected = new Promise<Socket>((resolve) => server.once('connection', resolve))
  await new Promise<void>((resolve) => server.listen(control, resolve))
  const words = [
    ...'-nodefaults -no-user-config -display none -smp 2 -nic none'.split(' '),
    ...ACCELERATION,
    ...['-m', String(MEMORY_MIB), '-kernel', kernel, '-initrd', initrd],
    ...['-append', 'root=/dev/vda rw console=ttyS0 panic=-1'],
    ...['-drive', `file=${disk},format=raw,if=virtio,snapshot=on,cache=unsafe`],
    ...['-drive', `file=${media},format=raw,if=virtio,readonly=on`],
    ...['-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
    ...[
      '-chardev',
      `socket,path=${control},id=control`,
      '-device',
      `virtserialport,chardev=control,name=${PORT}`,
    ],
    ...['-serial', `file:${consoleLog}`],
  ]
  const qemu = spawn('qemu-system-x86_64', words, { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaint = ''
  qemu.stderr.on('data', (piece: Buffer) => (complaint += piece.toString()))
  const ended = new Promise<void>((resolve) => qemu.once('close', () => resolve()))
  const killWithTest = (): void => void qemu.kill('SIGKILL')
  process.once('exit', killWithTest)

  const waiting = new Map<string, (words: readonly string[]) => void>()
  const answer = async (id: string, timeoutMs: number, what: string): Promise<readonly string[]> => {
    const stopped = new AbortController()
    try {
      return await Promise.race([
        new Promise<readonly string[]>((resolve) => waiting.set(id, resolve)),
        ended.then(() => {
          throw new Error(`the machine ended during ${what}: ${complaint}${consoleTail()}`)
        }),
        sleep(timeoutMs, undefined, { signal: stopped.signal }).then(() => {
          throw new Error(`the machine did not answer to ${what}: ${consoleTail()}`)
        }),
      ])
    } finally {
      stopped.abort()
      waiting.delete(id)
    }
  }
  const consoleTail = (): string =>
    existsSync(consoleLog) ? `\n${readFileSync(consoleLog, 'utf8').slice(-3000)}` : ''

  const stop = async (): Promise<void> => {
    qemu.kill('SIGKILL')
    await ended
    process.off('exit', killWithTest)
    server.close()
    rmSync(directory, { recursive: true, force: true })
  }

  let count = 0
  let socket: Socket
  const run = async (script: string, loginuid = 0): Promise<Run> => {
    const id = String(++count)
    socket.write(`${id} ${loginuid} ${Buffer.from(script).toString('hex')}\n`)
    const [status = '', stdout = '', stderr = ''] = await answer(id, RUN_MS, script)
    const out = decoded(stdout)
    return { status: Number(status), stdout: out, stderr: decoded(stderr), lines: out.trimEnd().split('\n') }
  }
  const mustRun = async (script: string, loginuid?: number): Promise<string> => {
    const { status, stdout, stderr } = await run(script, loginuid)
    if (status !== 0) throw new Error(`${script}: status ${status}: ${stderr}${stdout}`)
    return stdout
  }
  const ready = async (): Promise<void> => {
    await answer('ready', BOOT_MS, 'booting')
    // 1 is what it says when a unit has failed: that is for the tests to see.
    await run('systemctl is-system-running --wait; mount -o ro /dev/vdb /media')
  }

  try {
    socket = await Promise.race([
      connected,
      ended.then(() => {
        throw new Error(`qemu did not start: ${complaint}`)
      }),
    ])
    createInterface({ input: socket }).on('line', (line) => {
      const [id = '', ...rest] = line.split(' ')
      waiting.get(id)?.(rest)
    })
    await ready()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    run,
    must: mustRun,
    stop,
    async reboot() {
      const back = ready()
      socket.write(`0 0 ${Buffer.from('systemctl reboot').toString('hex')}\n`)
      await back
    },
  }
}

const decoded = (word: string): string => (word === '-' ? '' : Buffer.from(word, 'hex').toString())
