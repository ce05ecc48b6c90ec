/** A rule of auditctl(8), in a form that does not depend on how it was spelled. */
export interface AuditRule {
  /** As it stands in the file or the listing. */
  readonly text: string
  /** Action and list, `always,exit`. */
  readonly list: string
  /** Names, and numbers where auditctl knew no name. */
  readonly syscalls: ReadonlySet<string>
  /** `arch=b64`, `a0=16`, `key=fullmon-exec` … */
  readonly fields: ReadonlySet<string>
  /** Whether the comment above says that it is for x86: the rule cannot be loaded elsewhere. */
  readonly isForX86: boolean
  /** Whether the comment above says so: no edge needs it, and who leaves it out is blind to none. */
  readonly isOptional: boolean
}

/** Rules of a rules file, or of `auditctl -l`. Watches (-w) and control lines are left out. */
export function parseRules(text: string): AuditRule[] {
  const rules: AuditRule[] = []
  let comment = ''
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) comment += line
    else if (/^-[aA] /.test(line)) rules.push(parseRule(line.trim(), comment))
    else if (line.trim() === '') comment = ''
  }
  return rules
}

function parseRule(text: string, comment: string): AuditRule {
  const words = text.split(/\s+/)
  const valuesOf = (option: string): string[] =>
    words.flatMap((word, index) => (words[index - 1] === option ? [word] : []))
  const [list = ''] = [...valuesOf('-a'), ...valuesOf('-A')]
  return {
    text,
    // `exit,always` is the same.
    list: /^(exit|task|user|exclude|filesystem|io_uring),/.test(list)
      ? list.split(',').reverse().join(',')
      : list,
    syscalls: new Set(valuesOf('-S').flatMap((names) => names.split(','))),
    fields: new Set([
      ...valuesOf('-F').map(fieldOf),
      ...valuesOf('-C'),
      ...valuesOf('-k').map((key) => `key=${key}`),
    ]),
    isForX86: /\bx86\b/.test(comment),
    isOptional: /\bOptional\b/.test(comment),
  }
}

/** auditctl takes hexadecimal and octal numbers, and prints decimal ones but for `a0` to `a3`. */
function fieldOf(word: string): string {
  const [, name = word, operator = '', value = ''] = /^(\w+)([!<>=&]+)(.*)$/.exec(word) ?? []
  if (name === 'filetype' && value === 'file') return name + operator + String(0o100000)
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(value)) return word
  return `${name}${operator}${/^0[0-7]+$/.test(value) ? Number.parseInt(value, 8) : Number(value)}`
}

/** Rules of `wanted` that are not among `loaded`. */
export const missingRules = (wanted: readonly AuditRule[], loaded: readonly AuditRule[]): AuditRule[] =>
  wanted.filter((rule) => !loaded.some((other) => isSame(rule, other)))

/** Whether a listed rule is a rule of the file. */
export const isSame = (wanted: AuditRule, listed: AuditRule): boolean =>
  wanted.syscalls.size === listed.syscalls.size &&
  wanted.fields.size === listed.fields.size &&
  isNarrower(wanted, listed)

/**
 * Whether a listed rule is a rule of the file, perhaps for more calls, or with further fields that let less through. A
 * call may be a number in the file that a younger auditctl has a name for.
 */
export const isNarrower = (wanted: AuditRule, listed: AuditRule): boolean =>
  wanted.list === listed.list &&
  [...wanted.syscalls].every((call) => /^\d+$/.test(call) || listed.syscalls.has(call)) &&
  [...wanted.fields].every((field) => listed.fields.has(field))

/** `-a never,task` keeps each process that is born after it out of audit for as long as it lives. */
export const hidesTasks = (rule: AuditRule): boolean => rule.list === 'never,task'

/** Whether a rule records something, and whether it keeps something from being recorded. */
export const records = (rule: AuditRule): boolean => rule.list === 'always,exit'
export const hides = (rule: AuditRule): boolean =>
  !hidesTasks(rule) && (rule.list.startsWith('never,') || rule.list.endsWith(',exclude'))
