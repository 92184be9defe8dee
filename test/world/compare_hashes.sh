#!/bin/sh
# The same universe from two compilers: gcc -O2 and clang -O1 with address and undefined-behaviour sanitizers.
# It compiles only base, estate and world, so it is also the proof that these three stand alone.
# usage: compare_hashes.sh SOURCE_FOLDER BUILD_FOLDER [SEEDS HOURS]
set -u
src=$1 out=$2/compare_hashes seeds=${3:-100} hours=${4:-24}
mkdir -p "$out"
flags="-std=gnu17 -D_GNU_SOURCE -ffp-contract=off -fno-strict-aliasing -I$src/src -I$src/test"
say() { echo "$1 $2 - $3"; }
# One object a file, only when it is older than its source or any header: a second run costs seconds.
make_one() { # name compiler options
    dir=$out/$1 cc=$2 opt=$3 list=
    mkdir -p "$dir"
    for f in "$src"/src/base/*.c "$src"/src/estate/*.c "$src"/src/world/*.c "$src"/test/world/world_hashes.c; do
        o=$dir/$(echo "${f#"$src"/}" | tr / _).o
        if [ ! -e "$o" ] || [ -n "$(find "$f" "$src"/src/base "$src"/src/estate "$src"/src/world -name '*.[h]' -newer "$o" -print -quit)" ] ||
            [ "$f" -nt "$o" ]; then
            $cc $flags $opt -c "$f" -o "$o" || return 1
        fi
        list="$list $o"
    done
    $cc $opt $list -lyaml -lm -o "$dir/world_hashes"
}
status=0
if make_one gcc "${GCC:-gcc}" "-O2" 2>"$out/gcc.log" &&
    make_one clang "${CLANG:-clang}" "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined" 2>"$out/clang.log"; then
    say ok 1 "base, estate and world build alone, with both compilers"
else
    say "not ok" 1 "base, estate and world build alone, with both compilers"
    sed 's/^/# /' "$out/gcc.log" "$out/clang.log" | head -20
    echo 1..1
    exit 1
fi
"$out/gcc/world_hashes" "$seeds" "$hours" >"$out/gcc.txt" && "$out/clang/world_hashes" "$seeds" "$hours" >"$out/clang.txt" || status=1
if [ $status = 0 ] && cmp -s "$out/gcc.txt" "$out/clang.txt" && [ "$(wc -l <"$out/gcc.txt")" = "$seeds" ]; then
    say ok 2 "$seeds of $seeds seeds reach the same state hash after $hours h"
else
    say "not ok" 2 "$seeds seeds reach the same state hash after $hours h"
    diff "$out/gcc.txt" "$out/clang.txt" | head -5 | sed 's/^/# /'
    status=1
fi
if [ "$(cut -d' ' -f2 "$out/gcc.txt" | sort -u | wc -l)" = "$seeds" ]; then
    say ok 3 "and every seed is a universe of its own"
else
    say "not ok" 3 "and every seed is a universe of its own"
    status=1
fi
echo 1..3
exit $status
