#!/bin/bash
# HACKING.md, "add a capability in 30 minutes", followed to the letter in a copy of the tree: copy the example, rename, two
# lines, build; the binary must know it, and its scenario must pass.    usage: test_hacking.sh SOURCE_FOLDER
set -u
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
count=0 failed=0
ok() { # STATUS NAME
    count=$((count + 1))
    if [ "$1" = 0 ]; then echo "ok $count - $2"; else
        failed=1
        echo "not ok $count - $2"
        tail -30 "$box/log" | sed 's/^/# /'
    fi
}
cd "$1" || exit 1
{ git ls-files -co --exclude-standard 2>/dev/null || find . -path './build*' -prune -o -path ./web/node_modules -prune -o -type f -print; } |
    grep -v '^test/fuzz/corpus' | while read -r f; do [ ! -e "$f" ] || echo "$f"; done | tar -cf - -T - | tar -xf - -C "$box"
[ ! -d web/dist ] || cp -r web/dist "$box/web/"
cd "$box" || exit 1
cp -r src/cap/example src/cap/second
for f in src/cap/second/example.*; do mv "$f" "src/cap/second/second.${f##*.}"; done
sed -i 's/\.example = /.@ = /; s/example/second/g; s/EXAMPLE/SECOND/g; s/\.@ = /.example = /; s/hot-inlet/warm-rack/g' src/cap/second/*
grep -q "'example/example.c'" src/cap/meson.build
ok $? "the example stands in src/cap/meson.build"
sed -i "s|'example/example.c',|'example/example.c', 'second/second.c',|" src/cap/meson.build
sed -i 's|&cap_example,|\&cap_example, \&cap_second,|; s|#include "cap/example/example.h"|&\n#include "cap/second/second.h"|' src/app/list.c
# The copy's objects are the tree's: let the compiler cache see that.
export CCACHE_BASEDIR=$box CCACHE_NOHASHDIR=1
{ meson setup build && ninja -C build -j2 src/app/suan; } >log 2>&1
ok $? "with a copy of it and two lines the tree builds"
build/src/app/suan help second >log 2>&1 && grep -q hottest log
ok $? "the binary knows the new capability and its verb"
build/src/app/suan scenario src/cap/second/second.scn >log 2>&1
ok $? "its scenario passes"
python3 test/tidy/test_rules.py "$box" >log 2>&1
ok $? "and the house's rules hold"
echo "1..$count"
exit $failed
