#!/usr/bin/env bash
# install.sh PACKAGE...: Debian packages, without questions, waiting for whoever else installs.
# Exit code 3, and why, where that is not possible here.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 3; }
command -v apt-get >/dev/null || { echo "needs apt-get"; exit 3; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
quietly=(-q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold)
for attempt in 1 2 3; do
  # A source that does not answer need not be the one that has the packages.
  apt-get "${quietly[@]}" update >"$log" 2>&1 || true
  apt-get "${quietly[@]}" --no-install-recommends install "$@" >>"$log" 2>&1 && exit 0
  # The lists have a lock of their own, for which apt-get does not wait.
  sleep $((5 * attempt))
done
grep -E '^(E|W|dpkg):' "$log" | tail -n 3 || tail -n 3 "$log"
exit 3
