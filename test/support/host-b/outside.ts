/** What people outside of the host do to it: requests from addresses of their own, logins, pushes, mail. */
import { spawn } from 'node:child_process'
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

export const HOST = '203.0.113.2'
export const HOST_V6 = '2001:db8::2'

const PATIENCE_MS = 20_000

interface Asked {
  readonly path: string
  /** Source address; decides between IPv4 and IPv6. */
  readonly from: string
  /** Of a photo to upload. */
  readonly file?: { readonly name: string; readonly content: string }
}

/** What the web server answers; empty when it does not. */
export function ask({ path, from, file }: Asked): Promise<string> {
  const boundary = 'b0undary'
  const body =
    file === undefined
      ? undefined
      : `--${boundary}\r\nContent-Disposition: form-data; name="photo"; filename="${file.name}"\r\n` +
        `Content-Type: image/jpeg\r\n\r\n${file.content}\r\n--${boundary}--\r\n`
  const headers =
    body === undefined
      ? {}
      : { 'Content-Type': `multipart/form-data; boundary=${boundary}`, 'Content-Length': body.length }
  return new Promise((resolve) => {
    const asked = request(
      {
        host: from.includes(':') ? HOST_V6 : HOST,
        localAddress: from,
        path,
        headers: { Host: 'host-b.example', ...headers },
        method: body === undefined ? 'GET' : 'POST',
        agent: false,
        timeout: PATIENCE_MS,
      },
      (response) => void text(response).then(resolve, () => resolve('')),
    )
    asked.once('error', () => resolve('')).once('timeout', () => asked.destroy())
    asked.end(body, 'latin1')
  })
}

interface Login {
  readonly user: string
  readonly from: string
  readonly keyFile: string
}

export const sshWords = ({ from, keyFile }: Omit<Login, 'user'>): readonly string[] => [
  ...['-b', from, '-i', keyFile, '-F', 'none'],
  ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'],
  ...['-o', 'ConnectTimeout=5', '-o', 'BatchMode=yes'],
]

/** Logs in with a terminal and types lines, as a person does. Gives what was printed. */
export async function type(login: Login, lines: readonly string[]): Promise<string> {
  const child = spawn('ssh', ['-tt', ...sshWords(login), `${login.user}@${HOST}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 60_000,
  })
  child.stdin.on('error', () => {
    // It has logged out.
  })
  const printed = text(child.stdout)
  child.stderr.resume()
  await sleep(800)
  for (const line of [...lines, 'exit']) {
    child.stdin.write(`${line}\n`)
    await sleep(500)
  }
  return printed
}

/** Runs a program here, outside. @throws Error if it fails */
export async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = spawn(program, args, {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 60_000,
  })
  const complaint = await text(child.stderr)
  if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve))
  if (child.exitCode !== 0) throw new Error(`${program} ${args.join(' ')}: ${complaint}`)
}

/** Says lines to a port, waiting a little for each answer, and hangs up. */
export function say(port: number, from: string, lines: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port, localAddress: from })
    const waiting = [...lines]
    socket.on('data', () => {
      const line = waiting.shift()
      if (line === undefined) socket.end()
      else socket.write(`${line}\r\n`)
    })
    socket.once('error', () => resolve()).once('close', () => resolve())
    socket.setTimeout(5000, () => socket.destroy())
  })
}
