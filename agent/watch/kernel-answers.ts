import { text } from 'node:stream/consumers'
import { fail, ok, type Result } from '../domain/result.ts'
import { ERRNO } from '../interpret/tables/errno.ts'
import { CommandError, outputOf } from '../support/command.ts'

/** What asks the kernel: Node has no netlink sockets, perl (essential on Debian) has, and auditctl asks for nobody but root. */
const ASKER = 'perl'

/** Of <linux/audit.h> and <linux/netlink.h>. */
const AUDIT_GET = 1000
const AUDIT_LIST_RULES = 1013
const NLMSG_ERROR = 2
const NLMSG_DONE = 3
/** struct nlmsghdr: length, type, flags, sequence number, port id. */
const HEADER_BYTES = 16

/**
 * Asks for the status, then for the rules, and writes each answer as a line of hex; a line that begins with `!` says what went
 * wrong. Only what comes from the kernel (port id 0) and bears the number of the question is an answer. It ends with status
 * 0 in any case: a bad end would be one more deed in the audit log.
 */
const PROGRAM = `use Socket;
eval {
  socket(my $kernel, 16, SOCK_RAW, 9) or die "$!\\n";
  setsockopt($kernel, SOL_SOCKET, SO_RCVTIMEO, pack('l!l!', 5, 0)) or die "$!\\n";
  for my $question (${AUDIT_GET}, ${AUDIT_LIST_RULES}) {
    my $to = pack('SSLL', 16, 0, 0, 0);
    defined send($kernel, pack('LSSLL', ${HEADER_BYTES}, $question, 1, $question, 0), 0, $to) or die "$!\\n";
    for (;;) {
      my $answer = '';
      my $from = recv($kernel, $answer, 65536, 0);
      defined $from or die "$!\\n";
      next if length $from != 12 or (unpack 'SSL', $from)[2] != 0;
      my (undef, $type, undef, $number) = unpack 'LSSL', $answer;
      next if not defined $number or $number != $question;
      print unpack('H*', $answer), "\\n";
      last if $type == $question && $question == ${AUDIT_GET} or $type == ${NLMSG_ERROR} or $type == ${NLMSG_DONE};
    }
  }
};
print "!$@" if $@;
exit 0`

/** What is executed, as the audit log has it. */
export const ASKER_ARGV: readonly string[] = [ASKER, '-e', PROGRAM]

/** It answers within milliseconds. */
const PATIENCE_MS = 10_000

/** Bytes of struct audit_status, and one struct audit_rule_data for each rule. */
export interface KernelAnswers {
  readonly status: Buffer
  readonly rules: readonly Buffer[]
}

/**
 * What the kernel says of its audit; the error says in one sentence why it says nothing.
 * @param onStart told the pid of the process that asks
 */
export async function askKernel(onStart?: (pid: number) => void): Promise<Result<KernelAnswers, string>> {
  try {
    const limits = { timeoutMs: PATIENCE_MS, ...(onStart === undefined ? {} : { onStart }) }
    return readAnswers(await text(outputOf(ASKER, ASKER_ARGV.slice(1), 'ignore', limits)))
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return fail(error.message)
  }
}

/** Answers from what the process that asked has printed. */
export function readAnswers(printed: string): Result<KernelAnswers, string> {
  let status: Buffer | undefined
  const rules: Buffer[] = []
  for (const line of printed.split('\n').slice(0, -1)) {
    if (line.startsWith('!')) return fail(refusal(line.slice(1)))
    const message = Buffer.from(line, 'hex')
    if (message.length < HEADER_BYTES || message.readUInt32LE(0) > message.length) break
    const body = message.subarray(HEADER_BYTES, message.readUInt32LE(0))
    const type = message.readUInt16LE(4)
    if (type === NLMSG_ERROR) return fail(refusal(body.length < 4 ? undefined : -body.readInt32LE(0)))
    if (type === AUDIT_GET) status = body
    if (type === AUDIT_LIST_RULES) rules.push(body)
    if (type === NLMSG_DONE && status !== undefined) return ok({ status, rules })
  }
  return fail('the answer of the kernel is not whole')
}

/** @param why as perl says it, or the number of the error that the kernel answers with */
function refusal(why: string | number | undefined): string {
  switch (typeof why === 'number' ? ERRNO[why] : why) {
    case 'ECONNREFUSED':
    case 'Connection refused':
      return 'the audit of the kernel cannot be asked from within a container'
    case 'EPERM':
    case 'Operation not permitted':
      return process.getuid?.() === 0
        ? 'the kernel does not let its audit be asked: CAP_AUDIT_CONTROL is missing, or this is a container'
        : 'only root can ask the kernel: run fullmon as root'
    case 'Address family not supported by protocol':
      return 'there is no way to the kernel from here: this is a container, or the unit lacks RestrictAddressFamilies=AF_NETLINK'
    case 'Protocol not supported':
      return 'this kernel has no audit'
    default:
      return `the kernel does not tell its audit: ${typeof why === 'number' ? (ERRNO[why] ?? `error ${why}`) : (why ?? 'no reason')}`
  }
}
