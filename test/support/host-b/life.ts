/** Ordinary life of the host: what customers, a developer, an administrator, mail and scanners do to it. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, HOST, run, say, sshWords, type } from './outside.ts'

type Chance = () => number

export interface People {
  readonly chance: Chance
  /** Of `dev` and `ops`. */
  readonly keyFile: (user: string) => string
  /** The developer's clone of the site. */
  readonly clone: string
}

/** Lets everybody do what they do until then, and waits for who is in the middle of it. */
export async function live(people: People, untilMs: number): Promise<void> {
  const { chance } = people
  const between = (lowMs: number, highMs: number): number => lowMs + chance() * (highMs - lowMs)
  const repeat = async (lowMs: number, highMs: number, act: () => Promise<unknown>): Promise<void> => {
    for (;;) {
      const pauseMs = between(lowMs, highMs)
      if (Date.now() + pauseMs > untilMs) break
      await sleep(pauseMs)
      await act()
    }
    await sleep(Math.max(0, untilMs - Date.now()))
  }
  await Promise.all([
    repeat(100, 600, () => browse(chance)),
    repeat(25_000, 45_000, () => push(people)),
    repeat(20_000, 50_000, () => administer(people)),
    repeat(10_000, 30_000, () => deliver(chance)),
    repeat(5000, 25_000, () => say(22, stranger(chance), ['SSH-2.0-scan'])),
  ])
}

/** One push, so that the site is there before anybody asks for it. */
export async function push({ chance, keyFile, clone }: People): Promise<void> {
  const pages = readdirSync(clone).filter((name) => name.endsWith('.php'))
  const page = join(clone, pages[Math.floor(chance() * pages.length)] ?? 'index.php')
  writeFileSync(page, `${readFileSync(page, 'utf8')}// ${Math.floor(chance() * 1e9)}\n`)
  const login = { from: '198.51.100.20', keyFile: keyFile('dev') }
  const env = {
    GIT_SSH_COMMAND: ['ssh', ...sshWords(login)].join(' '),
    GIT_AUTHOR_NAME: 'dev',
    GIT_AUTHOR_EMAIL: 'dev@host-b.example',
    GIT_COMMITTER_NAME: 'dev',
    GIT_COMMITTER_EMAIL: 'dev@host-b.example',
  }
  await run('git', ['-C', clone, 'commit', '-q', '-a', '-m', 'Change'], env)
  await run('git', ['-C', clone, 'push', '-q', `ssh://dev@${HOST}/srv/git/site.git`, 'HEAD:main'], env)
}

const pick = <T>(chance: Chance, from: readonly T[]): T => from[Math.floor(chance() * from.length)] as T
const number = (chance: Chance, below: number): number => Math.floor(chance() * below)

/** Somebody out there; every fifth has IPv6. */
const stranger = (chance: Chance): string => `198.51.100.${30 + number(chance, 150)}`
const visitor = (chance: Chance): string =>
  chance() < 0.2 ? `2001:db8::f${number(chance, 0xfff).toString(16)}` : stranger(chance)

const hex = (chance: Chance, length: number): string =>
  Array.from({ length }, () => number(chance, 16).toString(16)).join('')

function browse(chance: Chance): Promise<unknown> {
  const from = visitor(chance)
  const which = chance()
  if (which < 0.5) return ask({ from, path: `/index.php?page=${number(chance, 15)}` })
  if (which < 0.7) return ask({ from, path: `/cart.php?id=${number(chance, 200)}` })
  if (which < 0.82) {
    const content = hex(chance, 2000)
    return ask({ from, path: '/upload.php', file: { name: `IMG_${number(chance, 9999)}.jpg`, content } })
  }
  if (which < 0.9) return ask({ from, path: '/price.php' })
  if (which < 0.93) return ask({ from, path: '/contact.php' })
  if (which < 0.97) return ask({ from, path: '/export.php' })
  return ask({ from, path: pick(chance, ['/favicon.ico', '/robots.txt', '/wp-login.php', '/.env']) })
}

/** What the administrator does: some of it each time, nothing of it every time. */
const ERRANDS: readonly (readonly string[])[] = [
  ['uptime', 'df -h', 'free -m'],
  ['sudo tail -n 20 /var/log/syslog'],
  ['sudo sv status /etc/service/*'],
  ['sudo sv restart metrics'],
  ['ps aux | head -20', 'top -bn1 | head'],
  ['sudo apache2ctl configtest'],
  ['sudo postqueue -p'],
  ['cd /srv/www/shop', 'ls -la', 'git -C /srv/git/site.git log -3 --oneline | cat'],
  ['sudo -u postgres psql -c "select count(*) from orders" shop | cat'],
  ['sudo grep -c GET /var/log/apache2/access.log'],
  ['tar czf ~/logs-$(date +%F-%H%M%S).tgz /var/log/shop', 'ls -t ~/logs-* | tail -n +3 | xargs -r rm'],
  ['echo "- $(date)" >> ~/notes.txt', 'tail -n 3 ~/notes.txt'],
  ['sudo du -sh /var/backups', 'ss -tln'],
  ['curl -sI http://127.0.0.1/ | head -1'],
]

async function administer({ chance, keyFile }: People): Promise<void> {
  const errands = Array.from({ length: 2 + number(chance, 3) }, () => pick(chance, ERRANDS))
  const from = chance() < 0.7 ? '198.51.100.10' : `198.51.100.${180 + number(chance, 10)}`
  await type({ user: 'ops', from, keyFile: keyFile('ops') }, errands.flat())
}

const deliver = (chance: Chance): Promise<void> =>
  say(25, stranger(chance), [
    'EHLO mail.example',
    `MAIL FROM:<someone${number(chance, 99)}@mail.example>`,
    'RCPT TO:<ops@host-b.example>',
    'DATA',
    `Subject: hello ${number(chance, 999)}\r\n\r\nwords\r\n.`,
    'QUIT',
  ])
