import { describe, expect, test } from 'vitest'
import { isSensitive, sensitivityOf } from '../../agent/detect/sensitive.ts'

describe('a place that attackers want has a word', () => {
  test.each([
    ['/etc/passwd', 'accounts and passwords'],
    ['/etc/passwd.12345', 'accounts and passwords'],
    ['/etc/shadow-', 'accounts and passwords'],
    ['/etc/group+', 'accounts and passwords'],
    ['/etc/sudoers.d/x', 'rights of sudo'],
    ['/etc/pam.d/sshd', 'authentication (PAM)'],
    ['/root/.ssh/authorized_keys', 'access by ssh'],
    ['/home/a/.aws/credentials', 'keys and credentials'],
    ['/etc/cron.d/x', 'scheduled work (cron, at)'],
    ['/var/spool/cron/crontabs/tmp.aB3xYz', 'scheduled work (cron, at)'],
    ['/etc/systemd/system/x.service', 'services (systemd, init)'],
    ['/home/a/.config/systemd/user/x.timer', 'services (systemd, init)'],
    ['/etc/rc.local', 'services (systemd, init)'],
    ['/etc/ld.so.preload', 'what every program loads (ld.so)'],
    ['/home/a/.bashrc', 'what a login runs'],
    ['/etc/profile.d/x.sh', 'what a login runs'],
    ['/lib/modules/6.1.0/extra/x.ko', 'kernel and its modules'],
    ['/boot/vmlinuz', 'boot'],
    ['/proc/77/mem', 'memory of a process'],
    ['/dev/sda1', 'disk or memory itself'],
    ['/usr/local/bin/x', 'programs of the system'],
    ['/lib/x86_64-linux-gnu/libc.so.6', 'programs of the system'],
    ['/etc/udev/rules.d/99-x.rules', 'what events start'],
    ['/etc/audit/audit.rules', 'auditing'],
    ['/srv/www/files/shell.php', 'pages that run on the web server'],
    ['/srv/www/x.PHP7', 'pages that run on the web server'],
    ['/srv/www/.htaccess', 'pages that run on the web server'],
  ])('%s', (path, word) => {
    expect(sensitivityOf(path)).toBe(word)
    expect(isSensitive(path)).toBe(true)
  })

  test.each([
    ['/tmp/x'],
    ['/srv/app/uploads/a.bin'],
    ['/srv/etc/passwd'],
    ['/srv/groups/7'],
    ['/dev/null'],
    ['/dev/pts/3'],
    ['/run/systemd/transient/session-3.scope'],
    ['/run/systemd/sessions/3'],
    ['/var/log/journal/x/system.journal'],
    ['/etc/resolv.conf.dhclient-new.123'],
    ['/srv/www/index.phpx'],
    ['/proc/77/oom_score_adj'],
  ])('%s has none', (path) => {
    expect(sensitivityOf(path)).toBeUndefined()
    expect(isSensitive(path)).toBe(false)
  })
})
