/**
 * Records test/fixtures/host-b anew: `node test/support/record-host-b.ts [TRAIN_SECONDS [BENIGN_SECONDS]]`, as root on
 * Debian for x86_64, with debootstrap, tcpdump, openssh-client and git. Takes a quarter of an hour and the kernel's audit.
 *
 * host-b is a Debian 12 of its own below ROOT, made anew each time, in a network of its own where the documentation
 * addresses are local. Nothing of this machine is changed and nothing leaves it.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  auditctl,
  auditdUnavailable,
  ensureAuditd,
  rulesForLoginuid,
  startAuditd,
  TEST_LOGINUID,
} from './auditd.ts'
import { makeKey } from './host-b/attack.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
const FIXTURE = join(REPOSITORY, 'test/fixtures/host-b')
const ROOT = '/var/lib/fullmon-host-b'
/** How a login uid is written that was never set. */
const UNSET = '4294967295'
/** The rules name it, and auditctl wants it to be there. */
const STATE = '/var/lib/fullmon'

const folder = mkdtempSync(join(tmpdir(), 'host-b-'))
const inherit = { stdio: ['ignore', 'inherit', 'inherit'] as ['ignore', 'inherit', 'inherit'] }

async function makeHost(): Promise<void> {
  rmSync(ROOT, { recursive: true, force: true })
  execFileSync('debootstrap', ['--variant=minbase', '--include=ca-certificates', 'bookworm', ROOT], {
    stdio: 'ignore',
  })
  cpSync(join(FIXTURE, 'root'), join(ROOT, 'tree'), { recursive: true })
  mkdirSync(join(ROOT, 'keys'))
  for (const user of ['ops', 'dev', 'attacker']) {
    await makeKey(join(folder, `${user}.key`))
    copyFileSync(join(folder, `${user}.key.pub`), join(ROOT, 'keys', `${user}.pub`))
  }
  copyFileSync(join(FIXTURE, 'prepare'), join(ROOT, 'prepare'))
  execFileSync(
    'unshare',
    ['--mount', 'sh', '-c', `mount -t proc proc ${ROOT}/proc && exec chroot ${ROOT} /prepare`],
    inherit,
  )
  rmSync(join(ROOT, 'prepare'))
}

/** Others may hold the kernel's audit for longer than a test has patience. @throws Error if there is none for us */
function waitForAudit(): void {
  for (;;) {
    const unavailable = auditdUnavailable()
    if (unavailable === undefined) return
    if (!unavailable.startsWith('another test'))
      throw new Error(`nothing can be recorded here: ${unavailable}`)
  }
}

/** A network of its own, with all addresses of the lab. */
const NETWORK = `
ip link set lo up
for range in 203.0.113.0/24 198.51.100.0/24; do ip address add $range dev lo; done
ip address add 203.0.113.2/32 dev lo
ip -6 address add 2001:db8::2/128 dev lo
ip -6 route add local 2001:db8::/64 dev lo
echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind
exec "$@"
`

async function record(words: readonly string[]): Promise<void> {
  mkdirSync(STATE, { recursive: true })
  const rules = rulesForLoginuid(readFileSync(join(REPOSITORY, 'audit.rules'), 'utf8'))
  const lab = await startAuditd({ logFormat: 'ENRICHED', rules })
  try {
    // The recording is to be whole, however busy this machine is with other things.
    auditctl('-b', '65536')
    auditctl('--backlog_wait_time', '60000')
    const driver = [process.execPath, join(import.meta.dirname, 'host-b/driver.ts'), ROOT, folder, ...words]
    execFileSync('unshare', ['--net', 'sh', '-c', NETWORK, 'sh', ...driver], inherit)
    await lab.settle()
    writeFileSync(join(folder, 'audit.log'), ofHost(readFileSync(lab.logFile)))
    process.stdout.write(auditctl('-s'))
  } finally {
    await lab.stop()
  }
}

/** The events of the host's login uid: the others tell how auditd was started and rules were loaded. */
function ofHost(log: Buffer): Buffer {
  const lines = log.toString('latin1').split(/(?<=\n)/)
  const idOf = (line: string): string => /msg=audit\(([^)]*)\)/.exec(line)?.[1] ?? ''
  const kept = new Set(lines.filter((line) => line.includes(` auid=${TEST_LOGINUID} `)).map(idOf))
  return Buffer.from(inNamesOfHost(lines.filter((line) => kept.has(idOf(line))).join('')), 'latin1')
}

/** auditd adds the names of this machine's accounts; these are the host's. */
function inNamesOfHost(log: string): string {
  const [users, groups] = ['passwd', 'group'].map((file) => {
    const lines = readFileSync(join(ROOT, 'etc', file), 'utf8').split('\n')
    // The first account of an id gives it its name, as getpwuid(3) has it.
    return new Map(
      lines
        .map((line) => line.split(':'))
        .map(([name = '', , id = '']) => [id, name] as const)
        .reverse(),
    )
  })
  return log.replaceAll(/^(.*)\u001d(.*)$/gm, (_, record: string, added: string) => {
    const renamed = added.replaceAll(/\b([A-Z]*[UG]ID)="[^"]*"/g, (whole, key: string) => {
      const id = new RegExp(`\\b${key.toLowerCase()}=(\\d+)`).exec(record)?.[1]
      if (id === undefined || id === UNSET) return whole
      const name = (key.endsWith('GID') ? groups : users)?.get(id) ?? `unknown(${id})`
      return `${key}="${name}"`
    })
    return `${record}\u001d${renamed}`
  })
}

ensureAuditd()
try {
  await makeHost()
  waitForAudit()
  await record(process.argv.slice(2))
  copyFileSync(join(folder, 'phases.jsonl'), join(FIXTURE, 'phases.jsonl'))
  for (const name of ['audit.log', 'dns.pcap'])
    execFileSync('sh', ['-c', 'xz -9 -c "$1" >"$2"', 'sh', join(folder, name), join(FIXTURE, `${name}.xz`)])
} finally {
  rmSync(folder, { recursive: true })
}
