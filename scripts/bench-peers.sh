#!/usr/bin/env bash
# bench-peers.sh: installs the tools that make bench runs beside Whimbrel, from the system's packages, where the package manager
# has them. Their services are neither needed nor started. One that is not to be had is said so, and is a line "not installed" in
# the benchmark's table. Again: does nothing.
set -uo pipefail
cd "$(dirname "$0")/.."

scripts/install-servers.sh || exit 1
if ! command -v apt-get >/dev/null; then
  echo "no apt-get here: install pgcopydb, pgloader, mydumper, mysql_fdw, sysbench, percona-toolkit, slony, bucardo and londiste in this system's way" >&2
  exit 1
fi
version=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
packages=(
  gcc libc6-dev                                                        # the yardstick's driver of SQLite is in C
  pgcopydb pgloader mydumper "postgresql-$version-mysql-fdw"           # loads
  sysbench                                                             # a writer; PostgreSQL's, pgbench, comes with the server
  percona-toolkit libdbd-mysql-perl                                    # verification
  slony1-2-bin "postgresql-$version-slony1-2"                          # capture and replay
  bucardo libdbd-pg-perl "postgresql-plperl-$version"
  pgqd "postgresql-$version-pgq3" "postgresql-$version-pgq-node" "postgresql-$version-londiste-sql" python3-londiste
)
root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "run as root: apt-get install ${packages[*]}" >&2; exit 1; }
  root=(sudo)
fi

# No package may start its service meanwhile.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
  trap '"${root[@]}" rm -f "$policy"' EXIT
fi
wanted=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || wanted+=("$p")
done
[ ${#wanted[@]} -eq 0 ] && exit 0
"${root[@]}" apt-get -qq update
not=()
for p in "${wanted[@]}"; do # one by one, so that one that is not to be had leaves the others
  echo "installing $p"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$p" >/dev/null || not+=("$p")
done
if [ ${#not[@]} -gt 0 ]; then
  echo "not to be had here: ${not[*]}"
fi
