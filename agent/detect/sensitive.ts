/** A place that attackers want, and the word for it in reports. */
interface Place {
  readonly word: string
  readonly paths: RegExp
}

/**
 * What whoever writes there gains: rights, a way back in, or the eyes of the host. Temporary names beside a file count as
 * the file: `/etc/passwd.1234`, `/etc/.sudoers.swp`. Capitals count as small letters, as they do on some file systems.
 * Sources: MITRE ATT&CK, tactics TA0003 to TA0006, and hier(7).
 */
const PLACES: readonly Place[] = [
  {
    word: 'accounts and passwords',
    paths:
      /^\/etc\/(?:\.pwd\.lock$|\.?(?:passwd|n?shadow|group|gshadow|nsswitch|subuid|subgid|login\.defs)(?![a-z])|security\/)/i,
  },
  { word: 'rights of sudo', paths: /^\/etc\/(?:\.?sudo(?:ers|\.conf)|doas\.conf|polkit-1\/)/i },
  { word: 'authentication (PAM)', paths: /^\/etc\/pam(?:\.d\/|\.conf)|\/security\/pam_[^/]*$/i },
  { word: 'access by ssh', paths: /\/\.ssh(?:\/|$)|^\/etc\/ssh\//i },
  {
    word: 'keys and credentials',
    paths:
      /^\/etc\/(?:ssl\/private|krb5\.keytab|pki\/tls\/private|ipsec\.|wireguard\/)|\/\.(?:aws|azure|kube|gnupg|docker|config\/gcloud)\/|\/\.(?:netrc|pgpass|my\.cnf|git-credentials|npmrc|pypirc|vault-token)$|\/id_(?:rsa|dsa|ecdsa|ed25519)[^/]*$/i,
  },
  {
    word: 'scheduled work (cron, at)',
    paths: /^\/etc\/(?:ana)?cron|^\/etc\/at\.|^\/var\/spool\/(?:cron|at|anacron)(?:\/|$)/i,
  },
  {
    word: 'services (systemd, init)',
    paths:
      /^\/(?:etc|lib|usr\/lib|usr\/local\/lib|usr\/share)\/systemd\/|^\/run\/systemd\/(?:system|user)\/|\/\.config\/systemd\/|^\/etc\/(?:init\.d|init|inittab|rc[^/]*|rc\d?\.d|xinetd\.d|inetd\.conf)(?:\/|$)/i,
  },
  { word: 'what every program loads (ld.so)', paths: /^\/etc\/\.?ld\.so\./i },
  {
    word: 'what a login runs',
    paths:
      /^\/etc\/(?:\.?profile|\.?bash|\.?zsh|\.?csh|\.?environment|skel\/|update-motd\.d\/|X11\/Xsession|xdg\/autostart\/)|\/\.(?:bash|zsh|z)(?:rc|env|profile|_profile|login|_login|logout|_logout)[^/]*$|\/\.(?:profile|kshrc|mkshrc|cshrc|tcshrc|login|logout|inputrc|pam_environment|xprofile|xsession|xinitrc|config\/fish\/.*|config\/autostart\/.*)$/i,
  },
  {
    word: 'kernel and its modules',
    paths:
      /^(?:\/usr)?\/lib\/modules\/|^\/etc\/(?:modules|modprobe|depmod|sysctl)|\.ko(?:\.[gx]z|\.zst)?$|^\/proc\/(?:sys\/(?:kernel|fs|vm)\/|sysrq-trigger$|kcore$)|^\/sys\/kernel\/(?:uevent_helper|security|debug)/i,
  },
  {
    word: 'boot',
    paths: /^\/(?:boot|efi)\/|^\/etc\/(?:default\/grub|grub|kernel\/|initramfs-tools\/|dracut)/i,
  },
  { word: 'memory of a process', paths: /^\/proc\/[^/]+\/(?:task\/[^/]+\/)?mem$/i },
  {
    word: 'disk or memory itself',
    paths: /^\/dev\/(?:k?mem|port|[shv]d[a-z]|xvd|nvme|mmcblk|dm-|md\d|mapper\/|disk\/|loop\d)/i,
  },
  {
    word: 'programs of the system',
    paths: /^(?:\/usr(?:\/local)?)?\/(?:s?bin|lib(?:exec|32|64|x32)?)\//i,
  },
  {
    word: 'what events start',
    paths:
      /^\/etc\/(?:udev\/|dbus-1\/|logrotate|NetworkManager\/dispatcher|network\/if-|networkd-dispatcher\/|dhcp\/|ppp\/ip-|apt\/|dpkg\/|yum|dnf\/|acpi\/|binfmt\.d\/|apparmor|selinux\/)|^\/proc\/sys\/fs\/binfmt_misc\/|\/hooks\/(?:pre|post|update|commit|prepare|applypatch|push|reference)[a-z-]*$/i,
  },
  { word: 'auditing', paths: /^\/etc\/(?:audit|audisp|r?syslog|systemd\/journald)|^\/var\/log\/audit\//i },
  {
    word: 'pages that run on the web server',
    paths:
      /\.(?:php\d?|phtml|phar|phps|jspx?|jspf|aspx?|ashx|asmx|cfm|cgi|fcgi|pl|war)$|\/\.(?:htaccess|htpasswd|user\.ini)$/i,
  },
]

/** What whoever changes this file gains, as words for a report; undefined for a file like any other. */
export const sensitivityOf = (path: string): string | undefined =>
  PLACES.find(({ paths }) => paths.test(path))?.word

const ANY = new RegExp(PLACES.map(({ paths }) => `(?:${paths.source})`).join('|'), 'i')

/** The same, when only that is asked. */
export const isSensitive = (path: string): boolean => ANY.test(path)
