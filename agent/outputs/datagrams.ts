import { type Companion, startCommand } from '../support/command.ts'
import { type Carrier, type Outcome, TAKEN } from './courier.ts'
import type { Waiting } from './spool.ts'

/**
 * Sends each message to a datagram socket of the file system, which Node cannot make and perl (essential on Debian) can: one
 * process for as long as the agent runs, since a process for each message would be an exec in the audit log. A message comes
 * behind its length; the answer is a line, empty when the socket took it. A server that was started again has another socket
 * by the same name, so a message that fails is tried with a new one. Who stops the agent stops it by the end of its input:
 * a service manager sends its signals to all processes at once.
 */
const PROGRAM = `use strict; use Socket;
$SIG{$_} = 'IGNORE' for qw(TERM INT HUP PIPE);
my ($path, $socket) = @ARGV;
sub take {
  my $count = shift;
  my $bytes = '';
  while (length $bytes < $count) { sysread(STDIN, $bytes, $count - length $bytes, length $bytes) or exit }
  return $bytes;
}
sub open_socket {
  socket($socket, AF_UNIX, SOCK_DGRAM, 0) or return;
  setsockopt($socket, SOL_SOCKET, SO_SNDTIMEO, pack('l!l!', 1, 0));
  return connect($socket, pack_sockaddr_un($path));
}
while (1) {
  my $text = take(unpack('N', take(4)));
  my $reason = '';
  for my $try (1, 2) {
    last if ($socket or open_socket()) and defined send($socket, $text, 0) and ($reason = '', 1);
    $reason = "$!";
    undef $socket;
  }
  syswrite(STDOUT, "$reason\\n") or exit;
}`

const SENDER = 'perl'
/** Before the socket. */
const SENDER_WORDS = ['-e', PROGRAM] as const
/** What is executed, as the audit log has it. */
export const SENDER_ARGV: readonly string[] = [SENDER, ...SENDER_WORDS]

const ANSWER_MS = 5000

export interface DatagramOptions {
  /** Path of the socket. */
  readonly socket: string
  /** A message; undefined for a report that makes none. */
  readonly messageOf: (waiting: Waiting) => Buffer | undefined
}

/** Brings messages to a socket that takes datagrams: /dev/log, or that of the journal. */
export function datagrams({ socket, messageOf }: DatagramOptions): Carrier {
  let sender: Sender | undefined
  return {
    carry: async (waiting, signal) => {
      const message = messageOf(waiting)
      if (message === undefined) return TAKEN
      try {
        sender = sender?.isAlive === true ? sender : new Sender(socket)
        const reason = await sender.send(message, signal)
        return reason === '' ? TAKEN : failed(socket, reason)
      } catch (error) {
        return failed(socket, error instanceof Error ? error.message : String(error))
      }
    },
    close: () => sender?.end(),
  }
}

const failed = (socket: string, reason: string): Outcome => ({
  // A message that is too long will never be shorter.
  kind: reason === 'Message too long' ? 'refused' : 'failed',
  reason: `${socket}: ${reason}`,
})

/** The process that sends. */
class Sender {
  isAlive = true
  private readonly child: Companion
  private answer: (line: string) => void = () => undefined
  private text = ''

  /** @throws CommandError when there is no perl */
  constructor(socket: string) {
    this.child = startCommand(SENDER, [...SENDER_WORDS, socket])
    const gone = (): void => {
      this.isAlive = false
      this.answer('the process that sends has ended')
    }
    this.child.on('error', gone)
    this.child.on('close', gone)
    this.child.stdin.on('error', gone)
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.text += text
      const end = this.text.indexOf('\n')
      if (end === -1) return
      const line = this.text.slice(0, end)
      this.text = this.text.slice(end + 1)
      this.answer(line)
    })
  }

  /** @returns why it was not sent; empty when it was */
  async send(message: Buffer, signal: AbortSignal): Promise<string> {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(message.length)
    const reason = await new Promise<string>((resolve) => {
      const late = (): void => {
        resolve('no answer')
        this.kill()
      }
      const timer = setTimeout(late, ANSWER_MS)
      signal.addEventListener('abort', late, { once: true })
      this.answer = (line) => {
        clearTimeout(timer)
        signal.removeEventListener('abort', late)
        resolve(line)
      }
      this.child.stdin.write(Buffer.concat([length, message]))
    })
    this.answer = () => undefined
    return reason
  }

  end(): void {
    this.child.stdin.end()
  }

  private kill(): void {
    this.isAlive = false
    this.child.kill('SIGKILL')
  }
}
