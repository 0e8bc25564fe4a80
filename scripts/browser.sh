#!/usr/bin/env bash
# Makes a Chromium be there, in which the tests open reports (tests/report/browser).
#   scripts/browser.sh
# CHROMIUM names one; else chromium, chromium-browser or google-chrome is taken. Where there is none, root gets Debian's.
# Exit status 3, with the reason, where it cannot be had: the tests of pages in a browser are skipped then.
set -euo pipefail
there() { # the first that can be started
  local name
  for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null && "$name" --version 2>/dev/null; then return 0; fi
  done
  return 1
}
if version=$(there); then
  echo "browser: $version"
  exit 0
fi
lacks() {
  echo "browser: NO CHROMIUM HERE ($1): tests/report/browser is skipped. Install chromium, or name one by CHROMIUM"
  exit 3
}
[[ $(id -u) == 0 ]] || lacks "and this user may not install one"
command -v apt-get >/dev/null || lacks "and no apt-get to install one"
echo "browser: installing Debian's Chromium"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium fonts-liberation; } >"$log" 2>&1 ||
  { tail -5 "$log"; lacks "apt-get could not install it"; }
version=$(there) || lacks "what apt-get installed does not start"
echo "browser: $version"
