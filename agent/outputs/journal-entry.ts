import type { Notice } from '../report/notice.ts'
import { beginningOf, PRIORITIES } from './syslog-message.ts'

/** Of reports of all kinds: `journalctl MESSAGE_ID=…`. Made once with systemd-id128(1). */
const MESSAGE_IDS: Readonly<Partial<Record<Notice['kind'], string>>> = {
  incident: '822c7bb3bbf54b83a063362412f409a6',
  alert: '32f9a71f7afd4cc0b36c3fe009e92678',
  tamper: '72e5ab623bca47a8837717d7528087d9',
  'blind-spot': '89cb6d32186046dba891f459f2287cd5',
}
/** So that all of them fit into one datagram: net.core.wmem_default is 208 KiB. */
const MOST_BYTES_OF_VALUE = 8192

/** An entry in the native protocol of the journal: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ */
export function journalEntry({ kind, severity, headline, reasons, next, fields }: Notice): Buffer {
  const own = fields.map(([name, value]) => [`FULLMON_${name.toUpperCase()}`, value] as const)
  const values: readonly (readonly [string, string])[] = [
    ['MESSAGE', headline],
    ['PRIORITY', String(PRIORITIES[severity])],
    ['SYSLOG_IDENTIFIER', 'fullmon'],
    ['MESSAGE_ID', MESSAGE_IDS[kind] ?? ''],
    ...own,
    ['FULLMON_WHY', reasons.join('\n')],
    ['FULLMON_NEXT', next.join('\n')],
  ]
  return Buffer.concat(
    values.filter(([, value]) => value !== '').map(([name, value]) => field(name.slice(0, 64), value)),
  )
}

/** A value with a newline comes behind its length, 64 bits of little endian. */
function field(name: string, value: string): Buffer {
  const text = beginningOf(value, MOST_BYTES_OF_VALUE)
  if (!text.includes('\n')) return Buffer.from(`${name}=${text}\n`)
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(bytes.length))
  return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n')])
}
