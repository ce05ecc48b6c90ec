import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** Node has no datagram sockets of the file system. A line for each datagram: its bytes in base64. */
const PROGRAM = `
import base64, os, socket, sys
path = sys.argv[1]
if os.path.exists(path): os.unlink(path)
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
server.bind(path)
print("", flush=True)
while True: print(base64.b64encode(server.recv(1 << 20)).decode(), flush=True)`

/** Somebody who listens at a socket that takes datagrams. */
export interface DatagramServer {
  readonly messages: readonly Buffer[]
  /** Ends without a word, as a daemon that is killed: its socket stays, and nobody listens. */
  readonly kill: () => Promise<void>
}

export async function datagramServerAt(path: string): Promise<DatagramServer> {
  const child = spawn('python3', ['-c', PROGRAM, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const messages: Buffer[] = []
  const ended = once(child, 'close')
  let rest = ''
  let isThere: () => void
  const there = new Promise<void>((resolve) => (isThere = resolve))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') isThere()
      else messages.push(Buffer.from(line, 'base64'))
    }
  })
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  await there
  return { messages, kill }
}
