#!/bin/sh
# Installs fullmon's Debian package, or removes it: the package that lies beside this script, else one built from this
# checkout. What has to be done on the host is done by the package itself. A second run changes nothing.
set -eu
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive

script=$(readlink -f "$0")
from=$(dirname "$script")
trained=/etc/fullmon/baseline.db
baseline=/var/lib/fullmon/baseline.db

usage() {
  cat <<TEXT
Usage: install-debian.sh [--no-start] [--baseline-from FILE]
       install-debian.sh --uninstall [--purge]

Installs fullmon_VERSION_ARCH.deb from the folder of this script, the newest when there are several, and auditd with it.
Without one it is built from this checkout first.

  --no-start            install the service, but neither enable nor start it
  --baseline-from FILE  begin with this baseline of another host instead of training (kept as $trained)
  --uninstall           remove it (apt-get remove): configuration, baseline and logs stay, and so does auditd
  --purge               with --uninstall: remove these too (apt-get purge)
  --help                this text

Exit codes: 0 done, 1 apt failed, 2 a wrong word, or it does not fit this system.
TEXT
}

stop() {
  printf 'install-debian.sh: %s\n' "$1" >&2
  exit "${2:-2}"
}

# One line for each step.
say() { printf '%s: %s\n' "$1" "$2"; }

has_systemd() { [ -d /run/systemd/system ]; }
status_of() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true; }
is_installed() { [ "$(status_of "$1")" = installed ]; }

check_system() {
  system=''
  # shellcheck source=/dev/null
  if [ -r /etc/os-release ]; then system=$(. /etc/os-release && echo "${ID-} ${VERSION_ID-}"); fi
  case $system in
    'debian 12' | 'debian 13') ;;
    'ubuntu 22.04' | 'ubuntu 24.04') say system "$system: expected to work, but tested on Debian 12 and 13 only" ;;
    *) stop "it knows Debian 12 and 13 and Ubuntu 22.04 and 24.04, this is ${system:-another system}: start it with ./scripts/fullmon instead." ;;
  esac
}

work='' policy=''
allow_starts() {
  [ -z "$policy" ] || rm -f "$policy"
  policy=''
}
clean() {
  allow_starts
  [ -z "$work" ] || rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What apt must not start: everything, where no systemd would look after it; else fullmon, with --no-start.
forbid_starts() {
  denied='fullmon*'
  if ! has_systemd; then denied='*'; elif [ "$start" = yes ]; then return 0; fi
  [ ! -e /usr/sbin/policy-rc.d ] || return 0
  policy=/usr/sbin/policy-rc.d
  printf '#!/bin/sh\ncase $1 in %s) exit 101 ;; esac\n' "$denied" >"$policy"
  chmod 755 "$policy"
}

apt() { # WORD...: of apt-get; what it says goes to $work/said
  forbid_starts
  apt-get -q -y -o Dpkg::Use-Pty=0 "$@" </dev/null >"$work/said" 2>&1 || {
    tail -n 20 "$work/said" >&2
    stop "apt-get $1 failed, for the reason above." 1
  }
  allow_starts
}

# Without a network what is here already may do: then it is the installation that says what is missing.
update_lists() { apt-get -q update >"$work/said" 2>&1 || say apt 'the lists of packages could not be updated, trying without'; }

# What this script prints of a package is what its own scripts have said.
told_by_package() { sed -n '/^\(Setting up\|Removing\|Purging configuration files for\) fullmon /,/^\(Processing\|Setting up [^f]\|Removing [^f]\)/ { /^\(Setting up\|Processing\|Removing\|Purging\) /!p }' "$work/said"; }

# The newest package for this machine beside this script; nothing when there is none.
find_package() {
  architecture=$(dpkg --print-architecture)
  found='' newest='' others=0
  for file in "$from"/fullmon_*_"$architecture".deb; do
    [ -f "$file" ] || continue
    version=$(dpkg-deb -f "$file" Version 2>/dev/null) || stop "$file is no package."
    [ -z "$found" ] || others=$((others + 1))
    if [ -z "$found" ] || dpkg --compare-versions "$version" gt "$newest"; then found=$file newest=$version; fi
  done
}

# Whoever may write into this folder, or has left a package in it, must be root or the owner of this script.
check_owner() { # FILE
  [ ! -L "$1" ] || stop "$1 is a link: put the package itself there."
  case $(stat -c %u "$1") in
    0 | "$(stat -c %u "$script")") ;;
    *) stop "$1 belongs to $(stat -c %U "$1"), and not to root or to the owner of this script: it is not installed." ;;
  esac
  [ -z "$(find "$1" -perm /022)" ] || stop "$1 may be written by others: chmod go-w it, when you know that it is the right one."
}

check_sum() { # COPY NAME
  [ -r "$from/SHA256SUMS" ] || return 0
  sum=$(sha256sum <"$1")
  grep -qxF "${sum%% *}  $2" "$from/SHA256SUMS" || stop "$2 is not what SHA256SUMS beside it says."
}

take_package() {
  check_owner "$found"
  name=$(basename "$found")
  cp "$found" "$work/$name"
  check_sum "$work/$name" "$name"
  package=$work/$name origin=$found
  if [ $others = 0 ]; then say package "$name"; else say package "$name, the newest of $((others + 1)) beside this script"; fi
}

build_package() {
  [ -x "$from/scripts/package" ] || stop "there is no fullmon_*_$architecture.deb beside it, and no checkout to build one from."
  missing=''
  command -v dh >/dev/null || missing=' debhelper'
  [ -x "$from/node_modules/.bin/node" ] || command -v npm >/dev/null || missing="$missing npm ca-certificates"
  if [ -n "$missing" ]; then
    update_lists
    # shellcheck disable=SC2086
    apt install --no-install-recommends $missing
    say build "installed with apt to build the package:$missing (to remove it again: apt-get purge --autoremove$missing)"
  fi
  mkdir "$work/built"
  "$from/scripts/package" --fast --output "$work/built" >"$work/said" 2>&1 || {
    tail -n 20 "$work/said" >&2
    stop 'the package could not be built, for the reason above.' 1
  }
  package=$(echo "$work"/built/fullmon_*_"$architecture".deb)
  origin="./fullmon_….deb, built with scripts/package"
  say package "$(basename "$package"), built from $from"
}

# Two builds of a changed checkout have one version, but not the same files.
is_same() {
  is_installed fullmon && [ "$(dpkg-query -W -f '${Version}' fullmon)" = "$version" ] &&
    dpkg-deb --ctrl-tarfile "$package" | tar -xO ./md5sums | cmp -s - /var/lib/dpkg/info/fullmon.md5sums
}

check_baseline() {
  [ -n "$baseline_from" ] && ! cmp -s "$baseline_from" "$trained" || return 0
  [ ! -e "$baseline" ] || stop "this host has a baseline of its own already ($baseline), so $baseline_from would not be used."
  [ ! -s "$baseline_from-wal" ] || stop "$baseline_from is in use: take a copy that \`fullmon baseline export\` makes."
}

put_baseline() {
  [ -n "$baseline_from" ] || return 0
  if cmp -s "$baseline_from" "$trained"; then
    say baseline unchanged
  else
    mkdir -p "$(dirname "$trained")"
    install -m 600 "$baseline_from" "$trained"
    say baseline "$trained, from $baseline_from"
  fi
}

install_package() {
  version=$(dpkg-deb -f "$package" Version)
  if is_same; then
    say "fullmon $version" unchanged
    return 0
  fi
  installed=$(dpkg-query -W -f '${Version}' fullmon 2>/dev/null || true)
  again=''
  if is_installed fullmon; then
    ! dpkg --compare-versions "$installed" gt "$version" ||
      stop "fullmon $installed is installed, which is newer than $version. To go back: apt-get install --allow-downgrades $origin"
    [ "$installed" != "$version" ] || again=--reinstall
  fi
  is_installed auditd || update_lists
  # The administrator's version of a configuration file stays, without a question.
  # shellcheck disable=SC2086
  apt install --no-install-recommends $again -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$package"
  told_by_package
  if [ "$start" = no ] && has_systemd; then
    systemctl -q disable fullmon
    say service 'not started (--no-start); later: systemctl enable --now fullmon'
  fi
  say "fullmon $version" installed
}

uninstall() { # remove|purge
  case $1,$(status_of fullmon) in
    *, | *,not-installed | remove,config-files)
      echo 'fullmon: nothing to remove'
      return 0
      ;;
  esac
  apt "$1" fullmon
  told_by_package
  if [ "$1" = purge ]; then
    say fullmon 'removed, with configuration, baseline and logs; auditd stays'
  else
    say fullmon "removed; auditd stays, and so do /etc/fullmon, /var/lib/fullmon and /var/log/fullmon until --uninstall --purge"
  fi
}

action=install start=yes purge=no baseline_from=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --no-start) start=no ;;
    --baseline-from)
      [ $# -gt 1 ] || stop '--baseline-from needs a file.'
      baseline_from=$2
      shift
      ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    *) stop "it knows no $1; see --help." ;;
  esac
  shift
done
[ "$purge" = no ] || [ "$action" = uninstall ] || stop '--purge goes with --uninstall only.'
[ -z "$baseline_from" ] || [ "$action" = install ] || stop '--baseline-from does not go with --uninstall.'
[ -z "$baseline_from" ] || [ -f "$baseline_from" ] || stop "there is no file $baseline_from."
[ "$(id -u)" = 0 ] || stop 'it works on the whole system: run it as root (sudo ./install-debian.sh).'

work=$(mktemp -d)
# apt reads the package as a user of its own.
chmod 755 "$work"
if [ "$action" = uninstall ]; then
  if [ "$purge" = yes ]; then uninstall purge; else uninstall remove; fi
  exit 0
fi
check_system
check_baseline
find_package
if [ -n "$found" ]; then take_package; else build_package; fi
put_baseline
install_package
