#!/usr/bin/env python3
"""test/run.py counts every check of ./check, so its own failures are tried here: a bad check, a broken plan, a death, a hang,
a process left behind. Each must be counted; none may hide."""
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import run  # noqa: E402

CASES = [
    # name, shell text, limit in s, passed, failed, skipped, a word of the failure
    ("two good checks", "echo ok 1 - a; echo ok 2 - b; echo 1..2", 9, 2, 0, 0, ""),
    ("a bad check", "echo ok 1 - a; echo not ok 2 - b; echo 1..2; exit 1", 9, 1, 1, 0, "b"),
    ("a skipped check", "echo 'ok 1 - a # SKIP not here'; echo 1..1", 9, 0, 0, 1, ""),
    ("a file of no checks", "echo '1..0 # SKIP not root'", 9, 0, 0, 1, ""),
    ("a plan that is not kept", "echo ok 1 - a; echo 1..2", 9, 1, 1, 0, "planned 2"),
    ("no plan", "echo ok 1 - a", 9, 1, 1, 0, "without a plan"),
    ("silence", "true", 9, 0, 1, 0, "without a plan"),
    ("a death after good checks", "echo ok 1 - a; echo 1..1; kill -SEGV $$", 9, 1, 1, 0, "signal 11"),
    ("a bad status after good checks", "echo ok 1 - a; echo 1..1; exit 3", 9, 1, 1, 0, "status 3"),
    ("a hang", "echo ok 1 - a; echo 1..1; sleep 60", 0.5, 1, 1, 0, "did not end"),
    ("a hang of a child", "echo ok 1 - a; echo 1..1; sleep 60 & wait", 0.5, 1, 1, 0, "did not end"),
    ("a process left behind", "echo ok 1 - a; echo 1..1; setsid sleep 60 </dev/null >/dev/null 2>&1 & sleep 0.5", 9, 1, 1, 0, "left a process"),
]


def main():
    count = failed = 0

    def ok(good, name, note=""):
        nonlocal count, failed
        count += 1
        failed += not good
        print(("ok" if good else "not ok"), count, "-", name)
        if not good:
            print("#  ", note)

    for name, text, limit, passed, bad, skipped, word in CASES:
        t = run.Test("unit", name, ["sh", "-c", text], limit)
        begin = time.monotonic()
        run.run_one(t)
        good = (t.passed, len(t.failures), len(t.skipped)) == (passed, bad, skipped) and word in " ".join(t.failures)
        ok(good and time.monotonic() - begin < 20, f"{name} is counted", f"{t.passed} passed, {t.failures}, {t.skipped}")
    folder = run.Test("unit", "folder", ["sh", "-c", 'echo "$TMPDIR" && echo ok 1 - a && echo 1..1'], 9)
    run.run_one(folder)
    ok(not os.path.exists(folder.output.splitlines()[0]), "the test's folder is gone afterwards")
    t = run.Test("unit", "x", [os.path.join(run.SOURCE, "test/run.py"), "a b"], 9)
    ok(t.repro() == "test/run.py 'a b'", "the command that runs a test again is short and quoted", t.repro())
    words = [sys.executable, os.path.join(run.SOURCE, "test/run.py"), "--build", "/nowhere"]
    ok(subprocess.run(words, capture_output=True).returncode != 0, "no build, no success")
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
