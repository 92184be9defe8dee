#!/bin/bash
# The claim "git, a shell and one command": makes a bare Debian 12 with this machine's own apt set-up, clones the committed
# tree into it and runs both scripts there, so that a missing package cannot hide. Speaks TAP. Root only; minutes; nothing
# stays behind: everything lives in a mount and a process namespace of its own and in one temporary folder.
# usage: test/fresh/fresh_root.sh [CHECK ARGUMENT…]    (default: the arguments below)
set -u
repo=$(cd "$(dirname "$0")/../.." && pwd)
# One build and the quick suites: they need the packages that all of them need.
[ $# -gt 0 ] || set -- --fast

skip_all() {
    echo "1..0 # SKIP $*"
    exit 0
}
[ "$(id -u)" = 0 ] || skip_all "only root can make a bare Debian"
command -v debootstrap >/dev/null || skip_all "debootstrap is not installed"
if [ "${FRESH_INSIDE:-}" != yes ]; then
    unshare --mount true 2>/dev/null || skip_all "no mount namespaces here"
    FRESH_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/suan-fresh-XXXXXX") || exit 1
    export FRESH_ROOT
    # The namespaces end with their first process, and every mount and process in them too. Then the folder is plain files.
    FRESH_INSIDE=yes unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
    rc=$?
    grep -q " $FRESH_ROOT/" /proc/self/mountinfo && { echo "# mounts are left below $FRESH_ROOT" && exit 1; }
    rm -rf --one-file-system "$FRESH_ROOT"
    exit $rc
fi

count=0 failed=0
root=$FRESH_ROOT/root log=$FRESH_ROOT/log
began=$(date +%s)
report() { # STATUS NAME
    count=$((count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $count - $2"
    else
        failed=1
        echo "not ok $count - $2"
        tail -60 "$log" | sed 's/^/# /'
    fi
    echo "#   after $(($(date +%s) - began)) s"
}
finish() {
    echo "1..$count"
    exit $failed
}

# Debian's own sources of this machine, one a line, whatever form they are written in.
sources() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | grep -E '^deb .* bookworm' | sed 's/\[[^]]*\] *//'
    for f in /etc/apt/sources.list.d/*.sources; do
        cat "$f" && echo
    done 2>/dev/null | awk '
        function flush(  i, n, list) {
            n = types ~ /deb( |$)/ ? split(suites, list, " ") : 0
            for (i = 1; i <= n; i++)
                if (list[i] ~ /^bookworm/) print "deb", uri, list[i], components
            types = uri = suites = components = ""
        }
        /^$/ { flush() }
        /^URIs:/ { uri = $2 }
        /^Types:/ { types = $0 }
        /^Suites:/ { sub(/^[^:]*: */, ""); suites = $0 }
        /^Components:/ { sub(/^[^:]*: */, ""); components = $0 }'
}

make_root() {
    local lines mirror
    lines=$(sources)
    mirror=$(echo "$lines" | awk '$3 == "bookworm" { print $2; exit }')
    [ -n "$mirror" ] || { echo "no source of bookworm in /etc/apt" && return 1; }
    debootstrap --variant=minbase --include=git,ca-certificates --cache-dir=/var/cache/apt/archives bookworm "$root" "$mirror" || return 1
    echo "$lines" >"$root/etc/apt/sources.list"
    # Proxies and the like, but no rules about cleaning the cache, which is shared below.
    grep -lE 'Acquire|Proxy' /etc/apt/apt.conf.d/* /etc/apt/apt.conf 2>/dev/null | grep -v /docker- | xargs -r cp -t "$root/etc/apt/apt.conf.d"
    echo 'APT::Keep-Downloaded-Packages "true"; Dpkg::Use-Pty "0";' >"$root/etc/apt/apt.conf.d/00fresh"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    [ ! -f /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/host.crt"
    # What Debian starts at installation (munge, slurmd) would be a daemon of this machine.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod +x "$root/usr/sbin/policy-rc.d"
    mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" &&
        mount --bind /var/cache/apt/archives "$root/var/cache/apt/archives" || return 1
    git clone -q "file://$repo" "$root/srv/suan"
}

inside() { # COMMAND… in the fresh root, with a bare environment
    local env=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 CI=true TERM=dumb)
    local registry v
    registry=$(npm config get registry 2>/dev/null) && [ -n "$registry" ] && env+=("npm_config_registry=$registry")
    [ ! -f "$root/etc/ssl/host.crt" ] || env+=(npm_config_cafile=/etc/ssl/host.crt)
    for v in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY SUAN_TIMEOUT_SCALE; do
        [ -z "${!v:-}" ] || env+=("$v=${!v}")
    done
    # Not chroot: whoever is in one may make no user namespaces, which a bare machine allows.
    env -i "${env[@]}" unshare --mount bash -c 'cd "$1" && shift && mkdir -p .old && pivot_root . .old && umount -l /.old &&
        cd /srv/suan && exec "$@"' - "$root" "$@" </dev/null >"$log" 2>&1
}

groups_of_suan() { find /sys/fs/cgroup -maxdepth 4 -type d -name '*suan*' 2>/dev/null | sort; }

# A mount of its own, as the root of a machine is: agents give their slots another root (pivot_root), which wants one.
mkdir -p "$root" && mount --bind "$root" "$root"
before=$(groups_of_suan)
make_root >"$log" 2>&1
report $? "a bare Debian is made, with git and a shell"
[ $failed = 0 ] || finish
inside ./run --once
report $? "./run --once installs, builds, runs the three jobs and finds their results right"
sed -n '/^job  /,$s/^/#   /p' "$log"
inside ./check "$@"
report $? "./check $*: $(tail -1 "$log")"
inside ./check --list
! grep -q '^set-up: installing' "$log"
report $? "a second ./check installs nothing"
# New ones: an agent also removes what others have left behind.
[ -z "$(comm -13 <(echo "$before") <(groups_of_suan))" ]
report $? "no cgroup is left behind"
finish
