# Where the previous program is kept, and the new one when it did not come up. Stands in the postinst and the prerm.
keep=/usr/lib/fullmon.previous
failed=/usr/lib/fullmon.failed

# Of the program there may have been no room for a copy.
is_as_put_back() { # PATH
  diff -rq "/$1" "$keep/$1" >/dev/null 2>&1 ||
    { [ "$1" = usr/lib/fullmon ] && [ ! -e "$keep/$1" ]; }
}

# Back again, for the next attempt; what has been edited since stays as it is.
put_new() {
  [ -d "$failed" ] || return 0
  for path in usr/lib/fullmon usr/lib/systemd/system/fullmon.service etc/fullmon/config.yaml etc/fullmon/rules \
    etc/audit/rules.d/fullmon.rules; do
    if [ -e "$failed/$path" ] && is_as_put_back "$path"; then
      rm -rf "${keep:?}/$path"
      mv "/$path" "$keep/$path"
      mv "$failed/$path" "/$path"
    fi
  done
  rm -rf "$failed"
}
