import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Observation } from '../../agent/domain/alert.ts'
import { LayerWatch } from '../../agent/scan/layer-watch.ts'
import { containerForTest, type TestContainer } from '../support/container.ts'
import { folderForTest } from '../support/folder.ts'
import { mountUnavailable } from '../support/mount.ts'

const unavailable = mountUnavailable()
if (unavailable !== undefined) process.stderr.write(`layers.test.ts: left out: ${unavailable}\n`)

const ID = 'a1b2c3d4e5f6'
const HOUR_MS = 3_600_000

/** What one look tells, without what other containers of this host do. */
async function look(watch: LayerWatch, at: TestContainer, isLearning = false): Promise<string[]> {
  return (await observe(watch, at, isLearning)).map(({ severity, title }) => `${severity}: ${title}`).sort()
}

async function observe(
  watch: LayerWatch,
  at: TestContainer,
  isLearning = false,
  ageMs = HOUR_MS,
): Promise<readonly Observation[]> {
  const { observations } = await watch.look(at.processes(ID, ageMs), Date.now(), isLearning)
  return observations.filter(({ subject }) => String(subject['folder']).startsWith(at.upper))
}

const layerFolder = (...names: readonly string[]): string => join(folderForTest(), ...names)

describe.skipIf(unavailable !== undefined)('the writable layer of a container', () => {
  test('what is there at the first look is normal, what comes later is told until it is gone', async () => {
    const container = await containerForTest(layerFolder('diff'))
    const watch = new LayerWatch([])
    await container.run('mkdir /etc/app; echo old >/etc/app/old; cp /bin/true /srv/old')
    expect(await look(watch, container)).toEqual([])
    await container.run('cp /bin/true /srv/xmrig; echo x >>/etc/app/old; echo >/etc/app/other; echo >/srv/y')
    const told = [
      `high: the program /srv/xmrig was made or changed in the container ${ID}`,
      `low: the file /srv/y was made or changed in the container ${ID}`,
    ]
    // Files that are nothing special were in that folder before.
    expect(await look(watch, container)).toEqual(told)
    // The agent starts anew: it is still there.
    const next = new LayerWatch([])
    next.book.restore(JSON.parse(JSON.stringify(watch.book.memory)), [...watch.book.lessons])
    expect(await look(next, container)).toEqual(told)
    await container.run('rm /srv/xmrig')
    expect(await look(next, container)).toEqual([told[1]])
    await container.stop()
    expect(await look(next, container)).toEqual([])
  })

  test('a program that was there is told when it is another one', async () => {
    const container = await containerForTest(layerFolder('diff'))
    const watch = new LayerWatch([])
    await container.run('cp /bin/true /srv/tool')
    expect(await look(watch, container)).toEqual([])
    // Nobody but the kernel dates the change itself.
    await container.run('cp /bin/false /srv/tool; touch -d 2001-01-01 /srv/tool')
    expect(await look(watch, container)).toEqual([
      `high: the program /srv/tool was made or changed in the container ${ID}`,
    ])
  })

  test('what is grave is told as such, and what every container leaves behind is not told', async () => {
    const container = await containerForTest(layerFolder('diff'))
    const watch = new LayerWatch([])
    await look(watch, container)
    await container.run(`mkdir -p /var/log /var/run /root/.ssh /var/www; echo x >/var/log/x.log; echo 1 >/var/run/x.pid
      echo key >/root/.ssh/authorized_keys; echo '<?php' >/var/www/x.php; echo x >/tmp/x
      cp /bin/true /tmp/suid; chmod 4755 /tmp/suid; mknod /srv/disk b 8 0; rm /etc/passwd`)
    expect(await look(watch, container)).toEqual([
      `critical: the setuid program /tmp/suid was made or changed in the container ${ID}`,
      `high: the device /srv/disk was made or changed in the container ${ID}`,
      `high: the sensitive file /root/.ssh/authorized_keys was made or changed in the container ${ID}`,
      `high: the sensitive file /var/www/x.php was made or changed in the container ${ID}`,
    ])
    // What was told becomes worse.
    await container.run('cp /bin/true /srv/tool')
    expect(await look(watch, container)).toHaveLength(5)
    await container.run('chmod u+s /srv/tool')
    expect(await look(watch, container)).toContain(
      `critical: the setuid program /srv/tool was made or changed in the container ${ID}`,
    )
  })

  test('a flood is one alert, and what comes after it is another one', async () => {
    const container = await containerForTest(layerFolder('diff'))
    const watch = new LayerWatch([])
    await look(watch, container)
    await container.run('for n in $(seq 300); do mkdir -p /srv/$n/bin; cp /bin/true /srv/$n/bin/x; done')
    expect(await look(watch, container)).toEqual([
      `high: 300 programs in 300 folders were made or changed in the container ${ID}`,
    ])
    await container.run('cp /bin/true /srv/later')
    expect(await look(watch, container)).toEqual([
      `high: 300 programs in 300 folders were made or changed in the container ${ID}`,
      `high: the program /srv/later was made or changed in the container ${ID}`,
    ])
  })

  test('what is found while the agent learns is normal, as is what a container makes when it starts', async () => {
    const container = await containerForTest(layerFolder('diff'))
    const watch = new LayerWatch([])
    const titles = async (isLearning: boolean, ageMs: number): Promise<string[]> =>
      (await observe(watch, container, isLearning, ageMs)).map(({ title }) => title)
    await titles(true, HOUR_MS)
    await container.run('cp /bin/true /srv/updated')
    expect(await titles(true, HOUR_MS)).toEqual([])
    await container.run('cp /bin/false /srv/updated')
    expect(await titles(false, HOUR_MS)).toEqual([])
    await container.run('echo x >>/etc/passwd; echo x >/srv/settings; cp /bin/true /srv/brought')
    expect(await titles(false, 1000)).toEqual([
      `the program /srv/brought was made or changed in the container ${ID}`,
    ])
  })

  test('a name space of its own is no start', async () => {
    const container = await containerForTest(layerFolder('diff'))
    const watch = new LayerWatch([])
    await look(watch, container)
    const old = container.processes(ID, HOUR_MS).filter((each) => each.container === ID)
    await container.run('unshare --mount sleep 613 </proc/version & sleep 0.2; echo x >/srv/settings')
    // Those in the new name space are as young as they are.
    const processes = container
      .processes(ID, 0)
      .map((each) => old.find(({ pid }) => pid === each.pid) ?? each)
    expect(processes.map(({ argv }) => argv.join(' '))).toContain('sleep 613')
    const { observations } = await watch.look(processes, Date.now(), false)
    expect(observations.map(({ title }) => title)).toContain(
      `the file /srv/settings was made or changed in the container ${ID}`,
    )
  })

  test('what the allowlist names is not looked at, for one container or for all', async () => {
    const container = await containerForTest(layerFolder('diff'))
    const settings = ['/srv/**', `${ID.slice(0, 4)}*:/opt/*`, 'other:/usr/local/*']
    const watch = new LayerWatch(settings)
    await look(watch, container)
    await container.run(
      `mkdir -p /srv/a /opt /home/a; cp /bin/true /srv/a/x; cp /bin/true /opt/x; cp /bin/true /home/a/x`,
    )
    const told = `high: the program /home/a/x was made or changed in the container ${ID}`
    expect(await look(watch, container)).toEqual([told])
    const next = new LayerWatch([...settings, '/home/**'])
    next.book.restore(watch.book.memory, [...watch.book.lessons])
    expect(await look(next, container)).toEqual([])
  })

  test.each(['a,b', 'a b', 'a:b', 'a\\b', 'ä', 'a\nb', 'a\\,b'])(
    'is found in a folder called %j',
    async (name) => {
      const container = await containerForTest(layerFolder(name, 'diff'))
      const watch = new LayerWatch([])
      await look(watch, container)
      await container.run('cp /bin/true /srv/x')
      const { observations, unseen } = await watch.look(container.processes(ID, HOUR_MS), Date.now(), false)
      expect(
        observations.filter(({ subject }) => String(subject['folder']).includes('fullmon-tail-')),
      ).toHaveLength(1)
      expect(unseen).toEqual([])
    },
  )

  test('names of any bytes are told, and nothing leads out of the layer', async () => {
    const container = await containerForTest(layerFolder('diff'))
    const watch = new LayerWatch([])
    await look(watch, container)
    await container.run(
      `cp /bin/true "$(printf '/srv/a\\nb\\377')"; ln -s / /srv/host; ln -s ${join(container.upper, '..')} /srv/up`,
    )
    expect(await look(watch, container)).toEqual([
      `high: the program /srv/a\\x0ab\\xff was made or changed in the container ${ID}`,
      `low: 2 files in /srv were made or changed in the container ${ID}`,
    ])
  })

  test('what cannot be seen is told, and what was there before is not taken for gone', async () => {
    const container = await containerForTest(layerFolder('diff'))
    const watch = new LayerWatch([])
    await look(watch, container)
    await container.run('mkdir /zzz; cp /bin/true /srv/x')
    expect(await look(watch, container)).toHaveLength(1)
    const deep = Array.from({ length: 80 }, () => 'd').join('/')
    mkdirSync(join(container.upper, 'srv', deep), { recursive: true })
    const seen = await watch.look(container.processes(ID, HOUR_MS), Date.now(), false)
    expect(seen.unseen).toEqual([`${container.upper}: its folders are deeper than 64`])
    await container.run('rm /srv/x')
    expect(await look(watch, container)).toHaveLength(1)
  })
})
