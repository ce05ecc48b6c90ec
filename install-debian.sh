#!/bin/sh
# Installs fullmon from this checkout on Debian 12 or 13, or removes it. A second run changes nothing.
set -eu
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive

from=$(dirname "$(readlink -f "$0")")
program=/opt/fullmon
command=/usr/local/bin/fullmon
rules=/etc/audit/rules.d/fullmon.rules
unit=/etc/systemd/system/fullmon.service
state=/var/lib/fullmon
log=/var/log/fullmon.log
manual=/usr/local/share/man/man8/fullmon.8
never_task='^[[:space:]]*-[aA][[:space:]]+(never,task|task,never)'

usage() {
  cat <<TEXT
Usage: install-debian.sh [--no-start]
       install-debian.sh --uninstall [--purge]

Installs auditd, the audit rules, the program ($program) and the service, and starts it.

  --no-start    install the service, but neither enable nor start it (to train first: fullmon train --help)
  --uninstall   remove all that but auditd; keep the baseline ($state) and the log ($log)
  --purge       with --uninstall: remove the baseline and the log too
  --help        this text
TEXT
}

stop() {
  printf 'install-debian.sh: %s\n' "$1" >&2
  exit 2
}

# One line for each step: did STEP WHAT, same STEP, note STEP WHY-NOT.
changes=0
did() {
  changes=$((changes + 1))
  printf '%s: %s\n' "$1" "$2"
}
same() { printf '%s: unchanged\n' "$1"; }
note() { printf '%s: %s\n' "$1" "$2"; }

has_systemd() { [ -d /run/systemd/system ]; }
is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed$'; }
is_file() { # PATH MODE OWNER:GROUP
  [ "$(stat -c '%a %U:%G' "$1" 2>/dev/null)" = "$2 $3" ]
}

check_system() {
  [ "$(id -u)" = 0 ] || stop 'it installs for the whole system: run it as root (sudo ./install-debian.sh).'
  system=''
  # shellcheck source=/dev/null
  if [ -r /etc/os-release ]; then system=$(. /etc/os-release && echo "${ID-} ${VERSION_ID-}"); fi
  case $system in
    'debian 12' | 'debian 13') ;;
    *) stop "it knows Debian 12 and 13 only, this is ${system:-another system}: start it with ./scripts/fullmon instead." ;;
  esac
}

apt_install() { # STEP PACKAGE...
  step=$1
  shift
  # Without systemd there is nothing that would look after a daemon: do not let apt start one.
  policy=''
  if ! has_systemd && [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  if said=$({ apt-get -q update && apt-get -q -y install --no-install-recommends "$@"; } 2>&1); then
    [ -z "$policy" ] || rm -f "$policy"
  else
    [ -z "$policy" ] || rm -f "$policy"
    printf '%s\n' "$said" | tail -n 5 >&2
    stop "apt could not install $*, for the reason above."
  fi
  did "$step" "installed with apt: $*"
}

install_auditd() {
  if is_installed auditd; then same auditd; else apt_install auditd auditd; fi
}

install_state() {
  if is_file "$state" 700 root:root; then
    same state
  else
    install -d -m 700 "$state"
    did state "$state"
  fi
  if is_file "$log" 640 root:root; then
    same log
  else
    [ -e "$log" ] || : >"$log"
    chown root:root "$log"
    chmod 640 "$log"
    did log "$log"
  fi
}

# The packages that are needed at run time, of those that package-lock.json lists and this machine has.
list_packages() {
  "$from/node_modules/.bin/node" -e '
    const { packages } = JSON.parse(require("fs").readFileSync("package-lock.json"))
    for (const [path, { dev }] of Object.entries(packages))
      if (/^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && !dev && require("fs").existsSync(path)) console.log(path)'
}

install_packages() {
  stamp=node_modules/.fullmon-ready
  if [ -r "$program/$stamp" ] && cmp -s "$from/package-lock.json" "$program/package-lock.json"; then
    same packages
    return
  fi
  stage=$program.new
  trap 'rm -rf "$stage"' EXIT
  rm -rf "$stage"
  mkdir -p "$stage/scripts" "$program"
  cp "$from/package.json" "$from/package-lock.json" "$stage"
  cp "$from/scripts/packages" "$stage/scripts"

  lock=$(sha256sum <"$from/package-lock.json")
  stamped=''
  [ ! -r "$from/$stamp" ] || read -r stamped _ <"$from/$stamp"
  if [ "$stamped" = "${lock%% *}" ]; then
    mkdir -p "$stage/node_modules/.bin"
    (cd "$from" && list_packages) | while read -r path; do
      mkdir -p "$stage/$(dirname "$path")"
      cp -R "$from/$path" "$stage/$path"
    done
    cp -P "$from/node_modules/.bin/node" "$stage/node_modules/.bin/node"
    echo "$stamped runtime" >"$stage/$stamp"
    how='copied from this checkout'
  else
    command -v npm >/dev/null || apt_install npm npm ca-certificates
    "$stage/scripts/packages" runtime
    how='installed with npm (no longer needed; to remove it: apt-get purge --autoremove npm)'
  fi
  (cd "$stage/node_modules" && rm -rf node-linux-*/include better-sqlite3/deps better-sqlite3/src)
  chmod -R u=rwX,go=rX "$stage"
  rm -rf "$program/node_modules"
  mv "$stage/node_modules" "$stage/package.json" "$stage/package-lock.json" "$program"
  rm -rf "$stage"
  did packages "$how"
}

# put SOURCE TARGET: into the program, unless it is there already
put() {
  if diff -rq "$1" "$program/$2" >/dev/null 2>&1; then return; fi
  rm -rf "${program:?}/$2"
  mkdir -p "$(dirname "$program/$2")"
  cp -R "$1" "$program/$2"
  chmod -R u=rwX,go=rX "$program/$2"
  did program "$program/$2"
}

install_program() {
  before=$changes
  stage=$(mktemp -d)
  trap 'rm -rf "$stage"' EXIT
  "$program/node_modules/.bin/node" --disable-warning=ExperimentalWarning "$from/scripts/build.ts" "$stage/dist"
  put "$stage/dist" dist
  for path in audit.rules scripts/fullmon scripts/launch scripts/packages LICENSE rules profiles; do
    if [ -e "$from/$path" ]; then put "$from/$path" "$path"; fi
  done
  if [ "$(readlink "$command")" != "$program/scripts/fullmon" ]; then
    ln -sfn "$program/scripts/fullmon" "$command"
    did program "$command"
  fi
  if ! is_file "$manual" 644 root:root || ! cmp -s "$from/docs/fullmon.8" "$manual"; then
    mkdir -p "$(dirname "$manual")"
    install -m 644 "$from/docs/fullmon.8" "$manual"
    did program "$manual"
  fi
  [ "$changes" != "$before" ] || same program
  version=$("$command" --version) || stop "$command does not start, for the reason above."
  version=${version#fullmon }
  version=${version%% *}
}

# Why the kernel's rules cannot be changed from here; nothing when they can.
audit_obstacle() {
  if ischroot -t; then
    echo 'this is a chroot'
  elif ! status=$(auditctl -s 2>/dev/null); then
    echo 'the kernel does not let this container control its audit'
  else
    case $status in *'enabled 2'*) echo 'the rules are locked until the next boot (enabled 2)' ;; esac
  fi
}

load_rules() { # WHAT-WAS-DONE
  if said=$(augenrules --load 2>&1); then
    did rules "$1"
  else
    printf '%s\n' "$said" | grep -i error | head -n 5 >&2
    note rules "$1, but the kernel refused those named above (see: fullmon doctor)"
  fi
}

install_rules() {
  before=$changes
  if is_file "$rules" 640 root:root && cmp -s "$from/audit.rules" "$rules"; then
    same rules
  else
    install -m 640 "$from/audit.rules" "$rules"
    did rules "$rules"
  fi
  warn_never_task
  obstacle=$(audit_obstacle)
  key=$(sed -nE '/^-a/ s/.*(-k +|key=)([^ ]+).*/\2/p' "$rules" | head -n 1)
  if [ -n "$obstacle" ]; then
    note rules "not loaded now, $obstacle"
  elif [ "$changes" != "$before" ] || ! auditctl -l | grep -qF "key=$key"; then
    load_rules 'loaded into the kernel'
  fi
}

# A distribution's or an admin's `-a never,task` makes the kernel skip every process: nothing would be seen.
warn_never_task() {
  files=$(grep -lE "$never_task" /etc/audit/rules.d/*.rules /etc/audit/audit.rules 2>/dev/null | tr '\n' ' ') || true
  if [ -n "$files" ]; then
    echo "warning: \`-a never,task\` in ${files% } hides every process from audit. Remove it, then restart the host:" >&2
    echo "  sed -i -E '/$never_task/d' ${files% } && augenrules --load" >&2
  fi
}

install_service() {
  before=$changes
  if is_file "$unit" 644 root:root && cmp -s "$from/scripts/fullmon.service" "$unit"; then
    same service
  else
    mkdir -p "$(dirname "$unit")"
    install -m 644 "$from/scripts/fullmon.service" "$unit"
    did service "$unit"
  fi
  if ! has_systemd; then
    note service 'not started, systemd does not run here'
    return
  fi
  [ "$changes" = "$before" ] || systemctl daemon-reload
  if [ "$start" = no ]; then
    note service 'not started (--no-start); later: systemctl enable --now fullmon'
  elif [ "$changes" != 0 ] || ! systemctl -q is-active fullmon || ! systemctl -q is-enabled fullmon; then
    systemctl -q enable fullmon
    systemctl restart fullmon
    did service 'enabled and started'
  fi
}

remove() { # STEP PATH...
  step=$1
  shift
  for path in "$@"; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    rm -rf "$path"
    did "$step" "removed $path"
  done
}

uninstall() {
  if [ -e "$unit" ] && has_systemd; then systemctl -q disable --now fullmon; fi
  remove service "$unit"
  if has_systemd; then systemctl daemon-reload; fi
  if [ "$(readlink "$command")" = "$program/scripts/fullmon" ]; then remove program "$command"; fi
  remove program "$program" "$manual"
  before=$changes
  remove rules "$rules"
  if [ "$changes" != "$before" ]; then
    obstacle=$(audit_obstacle)
    if [ -n "$obstacle" ]; then note rules "not unloaded now, $obstacle"; else load_rules 'unloaded from the kernel'; fi
  fi
  if [ "$purge" = yes ]; then
    remove state "$state"
    remove log "$log" "$log".[0-9]*
  elif [ -e "$state" ]; then
    note state "kept in $state and $log; --uninstall --purge removes them"
  fi
  if [ "$changes" = 0 ]; then echo 'fullmon: nothing to remove'; else echo 'fullmon: removed; auditd stays'; fi
}

action=install start=yes purge=no
for word in "$@"; do
  case $word in
    -h | --help) usage && exit 0 ;;
    --no-start) start=no ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    *) stop "it knows no $word; see --help." ;;
  esac
done
[ "$purge" = no ] || [ "$action" = uninstall ] || stop '--purge goes with --uninstall only.'

if [ "$action" = uninstall ]; then
  [ "$(id -u)" = 0 ] || stop 'it removes from the whole system: run it as root.'
  uninstall
  exit 0
fi
check_system
install_auditd
install_state
install_packages
install_program
install_rules
install_service
if [ "$changes" = 0 ]; then echo "fullmon $version: unchanged"; else echo "fullmon $version: installed"; fi
