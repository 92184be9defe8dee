#!/bin/bash
# Installs what is missing of packaging/debian-packages.txt, and only that. Quick and silent when nothing is missing.
# usage: packaging/setup.sh [--print] GROUP…    groups are the [headings] of the list: build, run, test
set -u
export LC_ALL=C.UTF-8
list=$(cd "$(dirname "$0")" && pwd)/debian-packages.txt

stop() {
    echo "set-up: $*" >&2
    exit 1
}

# A new enough node with its own npm serves as well as Debian's, and the two cannot be installed beside each other.
has_own_node() {
    local version
    command -v npm >/dev/null && version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    [ "${version%%.*}" -ge 18 ] 2>/dev/null
}

wanted() { # GROUP…
    awk -v groups=" $* " '
        /^# \[.*\]$/ { here = index(groups, " " substr($2, 2, length($2) - 2) " ") }
        here && !/^#/ && NF { print $1 }' "$list"
}

missing() { # GROUP…
    local there p
    there=" $(wanted "$@" | xargs -r dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null |
        awk '$2 == "installed" { printf "%s ", $1 }')"
    for p in $(wanted "$@"); do
        [[ $there == *" $p "* ]] && continue
        case $p in nodejs | npm) has_own_node && continue ;; esac
        echo "$p"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

apt() { as_root apt-get -q -y -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" </dev/null; }

install() { # PACKAGE…
    local log
    log=$(mktemp) || exit 1
    echo "set-up: installing with apt-get: $*"
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt update >"$log" 2>&1 ||
        { tail -5 "$log" >&2; echo "set-up: apt-get update failed, going on with what is known" >&2; }
    # Lists that are too old name files that are gone: once more with new ones.
    if ! apt install --no-install-recommends "$@" >"$log" 2>&1; then
        apt update >>"$log" 2>&1
        apt install --no-install-recommends "$@" >"$log" 2>&1 || {
            tail -30 "$log" >&2
            rm -f "$log"
            stop "apt-get install failed"
        }
    fi
    rm -f "$log"
}

only_print=
[ "${1:-}" = --print ] && only_print=1 && shift
for group; do
    grep -qx "# \[$group\]" "$list" || stop "there is no group '$group' in $list"
done
command -v apt-get >/dev/null || stop "apt-get is not there: this needs Debian 12 or a system like it"
names=$(missing "$@")
if [ -n "$only_print" ]; then
    [ -z "$names" ] || echo "$names"
    exit 0
fi
[ -n "$names" ] || exit 0
export DEBIAN_FRONTEND=noninteractive
[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    stop "these packages are missing and only root may install them: apt-get install" $names
install $names
names=$(missing "$@")
[ -z "$names" ] || stop "still missing:" $names
