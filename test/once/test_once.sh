#!/bin/bash
# `up --once`, whole: the three jobs are right, the table says so, nothing is left behind; a wrong result and an interruption
# are told by the exit status.    usage: test_once.sh SUAN ESTATE SHARE_FOLDER
set -u
suan=$1 estate=$2 share=$3
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
export TMPDIR=$box ONCE_MARK=$$-$RANDOM
count=0 failed=0
ok() { # STATUS NAME
    count=$((count + 1))
    if [ "$1" = 0 ]; then echo "ok $count - $2"; else
        failed=1
        echo "not ok $count - $2"
        tail -40 "$box/out" | sed 's/^/# /'
        left | sed 's/^/#   left: /'
    fi
}
left() { # what is still there of this run: processes (they carry our mark), groups, mounts, state
    grep -lsz "^ONCE_MARK=$ONCE_MARK$" /proc/[0-9]*/environ | grep -vE "/($$|self)/" | while read -r f; do
        tr '\0' ' ' <"${f%environ}cmdline"
    done | grep suan
    python3 - "$box" <<'END' # groups say whose folder they belong to: others on this machine have theirs
import glob, os, sys
for group in glob.glob("/sys/fs/cgroup/**/suan-*", recursive=True):
    try:
        if os.getxattr(group, "trusted.suan.folder").decode().startswith(sys.argv[1] + "/"):
            print(group, *os.listdir(group))
    except OSError:
        pass
END
    grep -F " $box/" /proc/self/mountinfo
    ls -d "$box"/suan-once-* 2>/dev/null
}
once() { "$suan" up "$estate" --once --port 0 --link-port 0 "$@" </dev/null >"$box/out" 2>&1; }

before=$(left)
once
ok $? "the three jobs run and their results are right"
[ "$(grep -cE '^(weather|wetbulb|forecast) .* right: ' "$box/out")" = 3 ]
ok $? "the table has a row for each, and says so"
grep -qE '^wetbulb .* 2000 of 2000 answers' "$box/out"
ok $? "all 2,000 calls were answered"
[ "$(left)" = "$before" ]
ok $? "no process, cgroup, mount or folder is left"
grep '^job ' -A3 "$box/out" | sed 's/^/#   /'

cp -r "$share" "$box/share"
sed -i '0,/"want": 25941/s//"want": 25940/' "$box/share/jobs/expected/weather.json"
once --share "$box/share"
[ $? = 1 ] && grep -qE '^weather .*(WRONG|FAILED)' "$box/out"
ok $? "an expected number that is one off makes the exit status 1, and the table says which job"

"$suan" up "$estate" --once --port 0 --link-port 0 </dev/null >"$box/out" 2>&1 &
up=$!
for _ in $(seq 100); do grep -q '^once: three jobs' "$box/out" && break || sleep 0.1; done
kill -INT $up
wait $up
[ $? != 0 ]
ok $? "interrupted half-way it does not end with 0"
[ "$(left)" = "$before" ]
ok $? "and leaves nothing either"
echo "1..$count"
exit $failed
