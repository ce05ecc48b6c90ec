import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type LabOptions, rulesForLoginuid, startAuditd } from '../auditd.ts'
import { type Call, elf } from './elf.ts'
import { syscallNumber } from './syscalls.ts'

/** Where the programs lie, so that a recording always says the same. */
export const YARD = '/srv/yard'

const yard = (name: string): string => join(YARD, name)
const write = (name: string, content: string | Buffer, mode = 0o755): void => {
  writeFileSync(yard(name), content)
  chmodSync(yard(name), mode)
}

/** As nobody, who tries to become root, runs what makes root of everybody, and says a wrong password. */
const USER_SCRIPT = `${yard('ask')}
${yard('id')} >/dev/null
echo wrong | su -c true 2>/dev/null
PATH=${yard('locked')}:$PATH ls >/dev/null
true
`

/** As root. The status that comes before each `true` is that of a program, not of the shell. */
const ROOT_SCRIPT = `setpriv --reuid=nobody --regid=nogroup --clear-groups /bin/sh ${yard('user.sh')}
setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=+setuid --ambient-caps=+setuid ${yard('ask')}
sh -c 'exit 3'
${yard('plain')} 2>/dev/null
perl -e 'print unpack("P8", pack("Q", 8))' 2>/dev/null
sh -c 'kill -ABRT $$'
sh -c 'exit 256'
exit 0
`

/** What the core must tell of it, as `deedText` writes it. */
export function expectedDeeds(logFormat: LabOptions['logFormat']): string[] {
  const [root, nobody] = logFormat === 'ENRICHED' ? ['root', 'nobody'] : ['0', '65534']
  const rootShell = `proc::${root}:/usr/bin/dash<${yard('root.sh')}`
  const userShell = `proc::${nobody}:/usr/bin/dash<${yard('user.sh')}`
  const user = (exe: string): string => `proc::${nobody}:${exe}`
  return [
    `call refused: ${user(yard('ask'))}->${user(yard('ask'))}`,
    `setuid-file done: ${userShell}->${user(yard('id'))} ${yard('id')}`,
    `switcher done: ${userShell}->${user('/usr/bin/su')} /usr/bin/su`,
    `authentication refused: ${user('/usr/bin/su')}->${user('/usr/bin/su')} /usr/bin/su USER_AUTH root`,
    `end 1: ${user('/usr/bin/su')}`,
    `call done: ${user(yard('ask'))}->proc::${root}:${yard('ask')}`,
    `end 3: proc::${root}:/usr/bin/dash`,
    `exec-failed 13: ${rootShell} ${yard('plain')}`,
    `end 126: ${rootShell}`,
    `end by signal 11: proc::${root}:/usr/bin/perl`,
    `end by signal 6: proc::${root}:/usr/bin/dash`,
  ].map((deed) => `${deed} by login 4242`)
}

/** Why it cannot be done here; undefined if it can. */
export function deedsUnavailable(): string | undefined {
  const absent = ['/usr/bin/su', '/usr/bin/setpriv', '/usr/bin/perl'].find((program) => !existsSync(program))
  return absent === undefined ? undefined : `${absent} is not there`
}

/** Does it with an auditd of its own, and gives the log. */
export async function logOfDeeds(logFormat: LabOptions['logFormat']): Promise<Buffer> {
  const rules = rulesForLoginuid(readFileSync(join(import.meta.dirname, '../../../audit.rules'), 'utf8'))
  mkdirSync(YARD)
  try {
    chmodSync(YARD, 0o755)
    mkdirSync(yard('locked'), { mode: 0o700 })
    const call = (name: string, ...args: readonly number[]): Call => [syscallNumber('b64', name), ...args]
    write('ask', elf('b64', [call('setuid', 0)]))
    copyFileSync('/usr/bin/id', yard('id'))
    chmodSync(yard('id'), 0o4755)
    write('plain', 'no program', 0o644)
    write('user.sh', USER_SCRIPT)
    write('root.sh', ROOT_SCRIPT)
    const lab = await startAuditd({ logFormat, rules: rules.filter((rule) => !rule.includes(' dir=')) })
    try {
      const { status, stderr } = await lab.run(['/bin/sh', yard('root.sh')])
      if (status !== 0) throw new Error(`the workload went wrong: ${stderr}`)
      await lab.settle()
      return readFileSync(lab.logFile)
    } finally {
      await lab.stop()
    }
  } finally {
    rmSync(YARD, { recursive: true })
  }
}
