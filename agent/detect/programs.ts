import { baseName, type NamedProcess } from './nodes.ts'

/**
 * What kinds of programs there are, by the names that distributions give them. A name is no proof: who renames a program
 * only loses the weight that the name would have given it, and is unseen under any name.
 */
const SHELLS = new Set('sh ash bash csh dash fish ksh mksh rbash tcsh yash zsh'.split(' '))
const INTERPRETERS = new Set(
  'python pypy perl ruby node nodejs php lua tclsh expect Rscript gawk mawk awk'.split(' '),
)
/** Connect a terminal, a program or a file with a socket. */
const RELAYS = new Set(
  'nc ncat netcat nc.openbsd nc.traditional socat cryptcat telnet telnet.netkit inetutils-telnet chisel ngrok frpc proxychains proxychains4'.split(
    ' ',
  ),
)
const DOWNLOADERS = new Set(
  'ssh curl wget aria2c axel ftp tnftp tftp sftp scp rsync lftp lwp-request GET lynx w3m fetch'.split(' '),
)
/** Start another program and are nothing by themselves. */
const WRAPPERS = new Set(
  (
    'env timeout nice ionice nohup setsid setpriv stdbuf chrt taskset time xargs runuser start-stop-daemon ' +
    'chroot unshare nsenter flock setarch linux64 prlimit systemd-run run-parts'
  ).split(' '),
)
/** Let somebody in, or make somebody else of him: what is below them is a person's doing. */
const LOGINS = new Set(
  (
    'sshd sshd-session sshd-auth dropbear login agetty su sudo doas pkexec runuser in.telnetd telnetd rlogind ' +
    'mosh-server tmux screen gdm gdm3 lightdm sddm xrdp cockpit-session'
  ).split(' '),
)
/** Start and supervise all others. */
const INITS = new Set(
  (
    'init systemd systemd-executor runit runsv runsvdir s6-supervise s6-svscan supervisord tini dumb-init dockerd containerd ' +
    'containerd-shim containerd-shim-runc-v2 dbus-daemon dbus-broker dbus-broker-launch'
  ).split(' '),
)
/** Run a program as somebody else, for whoever asks. */
const SWITCHERS = new Set('sudo su doas pkexec runuser'.split(' '))
const SCHEDULERS = new Set('cron crond anacron atd fcron systemd-cron run-parts'.split(' '))
/** Work for whoever asks, also where they were given their sockets by others. */
const SERVERS = new Set(
  (
    'nginx apache2 httpd lighttpd caddy haproxy squid php-fpm php-cgi uwsgi gunicorn unicorn puma passenger tomcat ' +
    'postgres mysqld mariadbd mongod redis-server memcached named unbound dnsmasq smbd nmbd vsftpd proftpd exim4 master ' +
    'dovecot slapd cupsd rpcbind snmpd'
  ).split(' '),
)
/** Fetch from the web what others ask them for. */
const PROXIES = new Set('squid privoxy tinyproxy polipo trafficserver'.split(' '))
/** Bring letters to where they are addressed. The first one is of Postfix. */
const MAILERS = new Set('smtp exim exim4 sendmail sendmail-mta msmtp dma smtpd'.split(' '))
/** Ask the servers of names that lead to the name they were asked for. */
const RESOLVERS = new Set(
  'named unbound dnsmasq pdns_recursor kresd systemd-resolved dnscrypt-proxy'.split(' '),
)
const BECOMERS = new Set(
  (
    'sudo su doas pkexec newgrp passwd chsh chfn gpasswd mount umount fusermount fusermount3 ping ping6 crontab at ' +
    'ssh-keysign unix_chkpwd polkit-agent-helper-1 dbus-daemon-launch-helper ntfs-3g chage expiry sg ' +
    'newuidmap newgidmap Xorg.wrap exim4 sendmail postdrop postqueue dma traceroute6 bwrap sudoedit mtr-packet'
  ).split(' '),
)
const ACCOUNT_TOOLS = new Set(
  (
    'useradd adduser userdel deluser usermod groupadd addgroup groupmod gpasswd chpasswd newusers passwd vipw ' +
    'chage visudo'
  ).split(' '),
)
/** Change files as they are told, and keep no logs of their own. */
const FILE_TOOLS = new Set(
  'truncate shred dd cp mv rm unlink ln install sed tee ed ex vi vim vim.basic vim.tiny vim.nox nano cat sponge'.split(
    ' ',
  ),
)
/** Put a packed file beside another one, which they remove. */
const PACKERS = new Set('gzip pigz bzip2 pbzip2 lbzip2 xz zstd lz4 lzop'.split(' '))

const KINDS = {
  shell: SHELLS,
  interpreter: INTERPRETERS,
  relay: RELAYS,
  downloader: DOWNLOADERS,
  wrapper: WRAPPERS,
  login: LOGINS,
  switcher: SWITCHERS,
  init: INITS,
  scheduler: SCHEDULERS,
  server: SERVERS,
  proxy: PROXIES,
  mailer: MAILERS,
  resolver: RESOLVERS,
  becomer: BECOMERS,
  'account-tool': ACCOUNT_TOOLS,
  'file-tool': FILE_TOOLS,
  packer: PACKERS,
} as const

export type ProgramKind = keyof typeof KINDS
export const PROGRAM_KINDS = Object.keys(KINDS) as readonly ProgramKind[]

/** Where packages put programs; everybody else may write elsewhere, but not here. */
const SYSTEM_PROGRAM = /^\/(?:usr\/)?(?:local\/)?(?:s?bin|lib|lib64|libexec|games)\//
const MULTI_CALL = new Set(['busybox', 'toybox', 'coreutils'])

/** Whether the program of a process is of this kind, by its name without a version. */
export function isKind(process: NamedProcess, kind: ProgramKind): boolean {
  const name = programOf(process)
  const names = KINDS[kind]
  return names.has(name) || names.has(name.replace(/-?\d[\d.]*$/, ''))
}

/** Name of the program itself, not of the script it runs; of busybox and the like, that of the program within. */
export function programOf({ exe, script }: NamedProcess): string {
  const name = baseName(exe.replace(/ \(deleted\)$/, ''))
  if (!MULTI_CALL.has(name)) return name
  return script.startsWith('-m ') ? script.slice(3) : 'sh'
}

/** Whether a process is a program that was given its words, not a file, to run: `sh -c`, `python -c`, or at a prompt. */
export const hasNoScript = ({ exe, script }: NamedProcess): boolean =>
  script === '' || (MULTI_CALL.has(baseName(exe)) && script.startsWith('-m '))

/** Whether a program is where packages put them. */
export const isSystemProgram = (path: string): boolean => SYSTEM_PROGRAM.test(path)

const TEMPORARY =
  /^(?:\/tmp|\/var\/tmp|\/dev\/shm|\/run\/user\/[^/]+|\/run\/shm|\/run\/lock|\/var\/crash|\/var\/lib\/php\d*\/sessions)(?=\/)/

/** A place that anybody may write to, where programs do not live; undefined for all others. */
export function temporaryPlaceOf(path: string): string | undefined {
  return TEMPORARY.exec(path)?.[0]
}

/** The hidden directory, or hidden file, of a home that a path lies in; undefined for all others. */
export const hiddenPlaceOf = (path: string): string | undefined =>
  /^(?:\/home\/[^/]+|\/root|\/var\/(?:www|lib\/[^/]+))\/(?:[^/]+\/)*?\.[^/]+/.exec(path)?.[0]
