/** A disk with a real Debian server on it, as an administrator would have it: made once, kept from one run to the next. */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { debianCache, makeDebian, must } from './debian.ts'

export interface VmImage {
  readonly disk: string
  readonly kernel: string
  readonly initrd: string
}

/** A server by itself, with all that a package may depend on: the guest has no network to fetch it from. */
const PACKAGES =
  'systemd-sysv udev dbus linux-image-cloud-amd64 auditd adduser cron openssh-server sudo logrotate man-db rsyslog ' +
  'unattended-upgrades iproute2 procps kmod'

/** The name of the port through which the guest is asked. */
export const PORT = 'fullmon.control'

/**
 * Runs scripts for the host: `ID LOGINUID HEX` in, `ID STATUS HEX HEX` (what was printed, and complained of) out.
 * Each is a session of its own, as if somebody had logged in; nothing of it touches the disk.
 */
const CONTROL = String.raw`#!/usr/bin/perl
use strict;
use warnings;
use IO::Handle;
use POSIX ();
$SIG{CHLD} = 'IGNORE';
open my $port, '+<', '/dev/virtio-ports/${PORT}' or die "no port: $!";
$port->autoflush(1);
syswrite $port, "ready\n";
while (defined(my $line = <$port>)) {
  my ($id, $loginuid, $script) = split ' ', $line;
  next if !defined $script || fork;
  $SIG{CHLD} = 'DEFAULT';
  POSIX::setsid();
  pipe my $outRead, my $outWrite;
  pipe my $errRead, my $errWrite;
  my $child = fork;
  if (!$child) {
    open my $login, '>', '/proc/self/loginuid';
    syswrite $login, $loginuid;
    close $login;
    open STDIN, '<', '/dev/null';
    open STDOUT, '>&', $outWrite;
    open STDERR, '>&', $errWrite;
    exec '/bin/sh', '-c', pack "H*", $script;
  }
  close $outWrite;
  close $errWrite;
  my %text = (fileno $outRead, '', fileno $errRead, '');
  my %open = (fileno $outRead, $outRead, fileno $errRead, $errRead);
  while (%open) {
    my $ready = '';
    vec($ready, $_, 1) = 1 for keys %open;
    select $ready, undef, undef, undef;
    for (keys %open) {
      next if !vec($ready, $_, 1);
      delete $open{$_} if !sysread $open{$_}, $text{$_}, 65536, length $text{$_};
    }
  }
  waitpid $child, 0;
  my $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
  my $answer = join(' ', $id, $status, map { unpack("H*", $text{fileno $_}) || "-" } $outRead, $errRead) . "\n";
  while (length $answer) {
    my $length = syswrite $port, $answer;
    last if !defined $length;
    substr($answer, 0, $length, '');
  }
  POSIX::_exit(0);
}
`

const CONTROL_UNIT = `[Unit]
Description=Runs scripts for the host
After=basic.target

[Service]
ExecStart=/usr/local/sbin/control
Environment=HOME=/root LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WorkingDirectory=/root
# udev may not have made the port yet.
Restart=on-failure
RestartSec=200ms
StandardError=journal+console
# Whoever is logged in goes on when the service ends.
KillMode=process

[Install]
WantedBy=multi-user.target
`

/** $1 is the root, $2 the packages. */
const INSTALL = `
set -e
mount -t proc proc "$1/proc"
chroot "$1" sh -ec '
  apt-get -qq update
  apt-get -qq install --no-install-recommends "$@"
  apt-get clean
  rm -rf /var/lib/apt/lists/*
  useradd --create-home --shell /bin/bash --uid 1000 alice
  systemctl enable control.service
' sh $2
`

/** Makes the disk when there is none of this recipe, and takes away those of older ones. @throws Error if that fails */
export function vmImage(suite: string, mirror: string): VmImage {
  const recipe = createHash('sha256')
    .update([PACKAGES, CONTROL, CONTROL_UNIT, INSTALL, make.toString()].join('\0'))
    .digest('hex')
    .slice(0, 12)
  const cache = debianCache()
  const folder = join(cache, `vm-${suite}-${recipe}`)
  if (!existsSync(folder)) {
    for (const name of readdirSync(cache))
      if (name.startsWith(`vm-${suite}-`)) rmSync(join(cache, name), { recursive: true })
    const fresh = mkdtempSync(join(cache, 'fresh-'))
    make(fresh, suite, mirror)
    if (existsSync(folder)) rmSync(fresh, { recursive: true })
    else renameSync(fresh, folder)
  }
  return { disk: join(folder, 'disk'), kernel: join(folder, 'kernel'), initrd: join(folder, 'initrd') }
}

function make(folder: string, suite: string, mirror: string): void {
  const root = join(folder, 'root')
  mkdirSync(root)
  chmodSync(root, 0o755)
  makeDebian(root, mirror, suite)
  const write = (path: string, text: string, mode = 0o644): void =>
    writeFileSync(join(root, path), text, { mode })
  // No package may start anything here: auditd would take the audit of this machine's kernel.
  write('usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n', 0o755)
  copyFileSync('/etc/resolv.conf', join(root, 'etc/resolv.conf'))
  write('usr/local/sbin/control', CONTROL, 0o755)
  write('etc/systemd/system/control.service', CONTROL_UNIT)
  write('etc/fstab', '/dev/vda / ext4 errors=remount-ro 0 1\n')
  write('etc/hostname', 'guarded\n')
  write('etc/hosts', '127.0.0.1 localhost\n127.0.1.1 guarded\n::1 localhost ip6-localhost ip6-loopback\n')
  must(
    'unshare',
    '--mount',
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'sh',
    '-c',
    INSTALL,
    'sh',
    root,
    PACKAGES,
  )
  rmSync(join(root, 'usr/sbin/policy-rc.d'))
  rmSync(join(root, 'etc/resolv.conf'))
  // Made anew at the first boot, as in images for clouds.
  write('etc/machine-id', '')
  for (const [name, file] of [
    ['kernel', 'vmlinuz'],
    ['initrd', 'initrd.img'],
  ] as const)
    copyFileSync(join(root, file), join(folder, name))
  must('mke2fs', '-q', '-t', 'ext4', '-d', root, join(folder, 'disk'), '3G')
  rmSync(root, { recursive: true })
}
