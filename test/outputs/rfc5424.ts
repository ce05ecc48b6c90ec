/** What the grammar of RFC 5424, 6 finds in a message. */
export interface SyslogMessage {
  readonly facility: number
  readonly severity: number
  readonly time: string
  readonly host: string
  readonly app: string
  readonly pid: string
  readonly id: string
  readonly elements: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly text: string
}

const PRINTUSASCII = '[!-~]'
const SD_NAME = '[!#-<>-\\\\^-~]{1,32}'
const HEADER = new RegExp(
  `^<(0|[1-9]\\d{0,2})>([1-9]\\d{0,2}) ` +
    `(-|\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(?:\\.\\d{1,6})?(?:Z|[+-]\\d{2}:\\d{2})) ` +
    `(${PRINTUSASCII}{1,255}) (${PRINTUSASCII}{1,48}) (${PRINTUSASCII}{1,128}) (${PRINTUSASCII}{1,32}) `,
)
const ELEMENT = new RegExp(`^\\[(${SD_NAME})((?: ${SD_NAME}="(?:[^"\\\\\\]]|\\\\[^])*")*)\\]`)
const PARAMETER = new RegExp(` (${SD_NAME})="((?:[^"\\\\\\]]|\\\\[^])*)"`, 'g')
const BOM = '\uFEFF'

/** Reads a message by the grammar of the RFC. @throws Error where it is not kept */
export function readSyslog(bytes: Buffer): SyslogMessage {
  const all = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  const header = HEADER.exec(all)
  if (header === null) throw new Error(`no header: ${all}`)
  const [whole, priority = '', version, time = '', host = '', app = '', pid = '', id = ''] = header
  if (version !== '1' || Number(priority) > 191) throw new Error(`another version or priority: ${all}`)
  let rest = all.slice(whole.length)
  const elements: Record<string, Record<string, string>> = {}
  for (let match = ELEMENT.exec(rest); match !== null; match = ELEMENT.exec(rest)) {
    const [element, name = '', parameters = ''] = match
    if (name in elements) throw new Error(`${name} is there twice`)
    elements[name] = Object.fromEntries(
      [...parameters.matchAll(PARAMETER)].map(([, key = '', value = '']) => [
        key,
        value.replace(/\\(["\\\]])/g, '$1'),
      ]),
    )
    rest = rest.slice(element.length)
  }
  if (Object.keys(elements).length === 0) throw new Error(`no structured data: ${all}`)
  if (!rest.startsWith(` ${BOM}`)) throw new Error(`no UTF-8 text: ${all}`)
  const number = Number(priority)
  const text = rest.slice(1 + BOM.length)
  return { facility: number >> 3, severity: number & 7, time, host, app, pid, id, elements, text }
}
