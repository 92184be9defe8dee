#!/bin/bash
# Builds the console and everything else into a build folder; says nothing when nothing is to be done.
# usage: packaging/build.sh [FOLDER [MESON OPTION…]]    CC as usual
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build}
shift || true
[ ! -x web/build ] || web/build
log=$(mktemp)
trap 'rm -f "$log"' EXIT
build() {
    [ -f "$folder/build.ninja" ] || { echo "build: setting up $folder" && meson setup "$folder" "$@"; } || return 1
    ninja -C "$folder"
}
# The whole log only when something is wrong: a person wants to see what runs, not how it was made.
[ -f "$folder/build.ninja" ] || echo "build: making $folder, which takes a minute or two the first time"
build "$@" >"$log" 2>&1 || {
    tail -60 "$log" >&2
    echo "build: failed" >&2
    exit 1
}
