#!/usr/bin/env bash
# install-servers.sh: installs the servers and clients that the tests start, and the model checker, from the system's packages,
# where they are missing. The system's own services are neither needed nor started. Again: does nothing.
set -euo pipefail

wanted=()
have() { command -v "$1" >/dev/null 2>&1; }
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || have postgres || wanted+=(postgresql)
have psql || wanted+=(postgresql-client)
[ -x /usr/sbin/mariadbd ] || have mariadbd || wanted+=(mariadb-server)
compgen -G '/usr/lib/galera*/libgalera_smm.so' >/dev/null || wanted+=(galera-4)
have rsync || wanted+=(rsync)
have mariadb || wanted+=(mariadb-client)
have sqlite3 || wanted+=(sqlite3)
have spin || wanted+=(spin)
have gcc || wanted+=(gcc libc6-dev)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || wanted+=(libfaketime)
[ ${#wanted[@]} -eq 0 ] && exit 0

echo "installing ${wanted[*]}"
if ! have apt-get; then
  echo "no apt-get here: install ${wanted[*]} (PostgreSQL 12+, MariaDB 10.6+, SQLite 3) in this system's way" >&2
  exit 1
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
  have sudo || { echo "run as root: apt-get install ${wanted[*]}" >&2; exit 1; }
  root=(sudo)
fi

# No package may start its service meanwhile: the tests start servers of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
  trap '"${root[@]}" rm -f "$policy"' EXIT
fi
"${root[@]}" apt-get -qq update
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${wanted[@]}"
