#!/bin/bash
# packaging/setup.sh in a world of its own: false dpkg-query, apt-get, node and npm in front of the PATH say what is there and
# write down what is asked of them. Nothing is installed.
set -u
setup=$(cd "$(dirname "$0")/../.." && pwd)/packaging/setup.sh
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
count=0 failed=0
ok() { # STATUS NAME
    count=$((count + 1))
    if [ "$1" = 0 ]; then echo "ok $count - $2"; else
        failed=1
        echo "not ok $count - $2"
        sed 's/^/# /' "$box/out" "$box/asked" 2>/dev/null
    fi
}
mkdir "$box/bin"
cat >"$box/bin/dpkg-query" <<'X'
#!/bin/bash
for name in "${@:4}"; do grep -qx "$name" "$BOX/there" && echo "$name installed"; done
true
X
cat >"$box/bin/apt-get" <<'X'
#!/bin/bash
echo "$*" >>"$BOX/asked"
[[ " $* " == *" install "* ]] || exit 0
[ -e "$BOX/broken" ] && rm "$BOX/broken" && exit 100
while [ "$1" != install ]; do shift; done
printf '%s\n' "${@:2}" >>"$BOX/there"
X
printf '#!/bin/sh\necho "$NODE_VERSION"\n' >"$box/bin/node"
printf '#!/bin/sh\n' >"$box/bin/npm"
printf '#!/bin/sh\necho "${FAKE_UID:-0}"\n' >"$box/bin/id"
chmod +x "$box"/bin/*
all=$(awk '/^# \[/ { go = 1 } go && !/^#/ && NF { print $1 }' "$(dirname "$setup")/debian-packages.txt")
try() { # GROUP… with $node as node's version
    : >"$box/asked"
    BOX=$box NODE_VERSION=${node:-v20.1.0} PATH=$box/bin:$PATH "$setup" "$@" >"$box/out" 2>&1
}

echo "$all" >"$box/there"
try build run test && [ ! -s "$box/out" ] && [ ! -s "$box/asked" ]
ok $? "all there: nothing is said, nothing is asked of apt-get"
echo "$all" | grep -vx -e nodejs -e npm >"$box/there"
try build run test && [ ! -s "$box/asked" ]
ok $? "a node of its own with npm, 18 or newer, is good enough"
node=v16.3.0 try run && grep -q 'nodejs npm' "$box/asked"
ok $? "an older one is not"
echo "$all" | grep -vx -e meson -e chromium >"$box/there"
try build && grep -q ' meson$' "$box/asked" && ! grep -q chromium "$box/asked" && grep -q 'installing with apt-get: meson' "$box/out"
ok $? "only what is missing, only of the groups asked for, and it says so"
echo "$all" | grep -vx meson >"$box/there" && touch "$box/broken"
try build && [ "$(grep -c install "$box/asked")" = 2 ] && grep -q update "$box/asked"
ok $? "when installing fails the lists are renewed and it is tried again"
try nonsense
[ $? = 1 ] && grep -q "no group 'nonsense'" "$box/out"
ok $? "an unknown group is refused"
echo "$all" | grep -vx meson >"$box/there"
rm -f "$box/bin/sudo" && mkdir "$box/few" && for t in bash env awk sed grep xargs dirname cat mktemp tail rm cut; do ln -s "$(command -v $t)" "$box/few/"; done
BOX=$box FAKE_UID=1000 NODE_VERSION=v20.0.0 PATH=$box/bin:$box/few "$setup" build >"$box/out" 2>&1
[ $? = 1 ] && grep -q 'only root may install them: apt-get install meson' "$box/out"
ok $? "neither root nor sudo: it names the command for somebody who is"
echo "1..$count"
exit $failed
