#!/usr/bin/env python3
"""Runs the tests that meson knows of and counts what they say in TAP.

    test/run.py --build build [--build build-asan] [--without SUITE,…] [--fresh] [--list] [SUITE|SUITE/NAME]…

The first build runs everything; a further one (sanitizers) runs only the programs that were compiled in it. Each test
gets an empty folder as TMPDIR, no input and a time limit. A test that outlives its limit dies with its whole process
group; what a test leaves behind (processes, mounts) is cleaned up and counts as a failed check. The last line is
"N passed, N failed", with ", N skipped" where something is not on this machine."""
import argparse
import ctypes
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ORDER = ["unit", "conform", "scn", "sim", "fuzz", "fault", "web", "slow", "bench"]
POINT = re.compile(r"^(not )?ok\b\s*(\d*)\s*(?:- ?)?([^#]*)(?:#\s*(SKIP)\b(.*))?", re.I)
SCALE = float(os.environ.get("SUAN_TIMEOUT_SCALE", "4"))
MARK = "SUAN_TEST_MARK"
PR_SET_CHILD_SUBREAPER = 36
print_lock = threading.Lock()


class Test:
    def __init__(self, suite, name, command, limit_s, build="", parallel=True, env=None, workdir=None):
        self.suite, self.name, self.command, self.limit_s = suite, name, command, limit_s
        self.build, self.parallel, self.env, self.workdir = build, parallel, env or {}, workdir
        self.passed, self.skipped, self.failures, self.wall_s, self.output = 0, [], [], 0.0, ""

    def title(self):
        return f"{self.suite}/{self.name}" + (f" [{self.build}]" if self.build else "")

    def repro(self):
        words = [os.path.relpath(w, SOURCE) if w.startswith(SOURCE + "/") else w for w in self.command]
        if "/" not in words[0]:
            words[0] = "./" + words[0] if os.path.exists(os.path.join(SOURCE, words[0])) else words[0]
        env = [f"{k}={shlex.quote(v)}" for k, v in self.env.items()]
        return " ".join(env + [shlex.quote(w) for w in words])


def tests_of(build, first):
    text = subprocess.run(["meson", "introspect", "--tests", build], check=True, capture_output=True, text=True).stdout
    found = []
    for row in json.loads(text):
        # A program of the build that is an argument stands there relative to the build folder.
        there = [os.path.join(os.path.abspath(build), w) for w in row["cmd"]]
        row["cmd"] = [t if not w.startswith("/") and "/" in w and os.path.isfile(t) else w for w, t in zip(row["cmd"], there)]
        compiled_here = row["cmd"][0].startswith(os.path.abspath(build) + "/")
        if not first and not compiled_here:
            continue
        suite = (row["suite"] or ["unit"])[0].split(":")[-1]
        if not first and suite in ("bench", "slow"):
            continue
        slower = 1 if first else 3
        found.append(Test(suite, row["name"], row["cmd"], row["timeout"] * SCALE * slower, "" if first else build,
                          row["is_parallel"], row["env"], row["workdir"]))
    return found


def read_tap(test, text):
    """Fills the counts. A plan that is not kept is a failure of its own: a test that died half-way must not pass."""
    seen, plan = 0, None
    for line in text.splitlines():
        m = POINT.match(line)
        if m:
            seen += 1
            if m[4]:
                test.skipped.append((m[5] or m[3]).strip())
            elif m[1]:
                test.failures.append(m[3].strip() or f"check {m[2]}")
            else:
                test.passed += 1
        elif re.match(r"^1\.\.\d+", line):
            plan = int(line[3:].split()[0])
            if plan == 0 and "skip" in line.lower():
                test.skipped.append(line.split("#", 1)[-1].strip())
        elif line.startswith("Bail out!"):
            test.failures.append(line)
    if plan is None:
        test.failures.append(f"ended after {seen} checks without a plan line")
    elif plan != seen:
        test.failures.append(f"planned {plan} checks, made {seen}")


def processes():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        yield int(pid)


def read_file(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def parent_of(pid):
    stat = read_file(f"/proc/{pid}/stat")
    return int(stat.rpartition(b")")[2].split()[1]) if stat else 0


def marked(mark):
    want = f"{MARK}={mark}".encode()
    return [p for p in processes() if p != os.getpid() and want in read_file(f"/proc/{p}/environ").split(b"\0")]


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def left_processes(mark):
    """What the test started and did not end. A moment of grace: a parent's children may be on their way out."""
    for _ in range(20):
        left = marked(mark)
        if not left:
            return []
        time.sleep(0.1)
    names = [read_file(f"/proc/{p}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip() for p in left]
    kill_all(left)
    return [n for n in names if n]


def left_mounts(folder):
    """A mount below the test's folder must go before the folder does: removing through it would delete its source."""
    left = [line.split()[4] for line in read_file("/proc/self/mountinfo").decode().splitlines()
            if line.split()[4].startswith(folder + "/")]
    for point in reversed(left):
        subprocess.run(["umount", "-l", point], check=False)
    return left


def run_one(test):
    folder = tempfile.mkdtemp(prefix="suan-check-")
    os.chmod(folder, 0o1777)  # like /tmp: a test may drop its privileges
    mark = os.path.basename(folder)
    env = {**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": folder, MARK: mark, **test.env}
    if test.build:
        env.setdefault("ASAN_OPTIONS", "abort_on_error=1:detect_leaks=1")
        env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    begin = time.monotonic()
    with open(os.path.join(folder, ".output"), "w+b") as out:
        child = subprocess.Popen(test.command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env,
                                 cwd=test.workdir or SOURCE, start_new_session=True)
        hung = False
        try:
            child.wait(test.limit_s)
        except subprocess.TimeoutExpired:
            hung = True
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except OSError:
            pass
        child.wait()
        out.seek(0)
        test.output = out.read(8 << 20).decode(errors="replace")
    test.wall_s = time.monotonic() - begin
    read_tap(test, test.output)
    if hung:
        test.failures.append(f"did not end within {test.limit_s:.0f} s")
    elif child.returncode and not test.failures:
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"status {child.returncode}"
        test.failures.append(f"ended with {how} although no check failed")
    test.failures += [f"left a process behind: {name[:120]}" for name in left_processes(mark)]
    mounts = left_mounts(folder)
    test.failures += [f"left a mount behind: {m}" for m in mounts]
    shutil.rmtree(folder, ignore_errors=True)


def report(test):
    state = "FAIL" if test.failures else "ok  " if test.passed else "skip"
    counts = f"{test.passed} passed" + (f", {len(test.failures)} failed" if test.failures else "")
    if test.skipped:
        counts += f", {len(test.skipped)} skipped"
    with print_lock:
        print(f"{state} {test.title():44} {counts}, {test.wall_s:.1f} s", flush=True)
        for why in test.skipped:
            print(f"     skipped: {why}")
        if test.failures:
            lines = [l for l in test.output.splitlines() if not l.startswith("ok ")][-40:]
            print("".join(f"     | {l[:300]}\n" for l in lines), end="")
            for why in test.failures:
                print(f"     failed: {why}")
            print(f"     again:  {test.repro()}", flush=True)


def run_all(tests, width):
    """Those that may run beside others first, `width` at once; then the rest one by one, on a quiet machine."""
    queue = [t for t in tests if t.parallel]
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not queue:
                    return
                test = queue.pop(0)
            run_one(test)
            report(test)

    workers = [threading.Thread(target=work) for _ in range(width)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for test in [t for t in tests if not t.parallel]:
        run_one(test)
        report(test)


def orphans():
    """Descendants that lost their parent come to us (sub-reaper); at the end there may be none."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                break
        except ChildProcessError:
            break
    return [p for p in processes() if parent_of(p) == os.getpid()]


def selected(tests, words):
    if not words:
        return tests
    full = {t.suite for t in tests} | set(ORDER)
    unknown = [w for w in words if w not in full and not any(matches(t, w) for t in tests)]
    if unknown:
        sys.exit(f"check: there is no suite or test '{unknown[0]}'; ./check --list shows them")
    return [t for t in tests if any(matches(t, w) for w in words)]


def matches(test, word):
    return word in (test.suite, test.name, f"{test.suite}/{test.name}") or test.name.startswith(word + "/")


def gather(a):
    tests = []
    for i, build in enumerate(a.build):
        tests += tests_of(build, i == 0)
    # The benches are judged by CPU time and same-run ratios, but still want the machine for themselves.
    tests.append(Test("bench", "quick", [os.path.join(SOURCE, "bench/run"), "all", "--quick", "--tap"], 1200, parallel=False))
    without = set(filter(None, a.without.split(",")))
    tests = [t for t in tests if t.suite not in without]
    alone = ("fault", "web", "slow", "bench")
    for t in tests:
        t.parallel = t.parallel and t.suite not in alone
    tests.sort(key=lambda t: ORDER.index(t.suite) if t.suite in ORDER else len(ORDER))
    if a.fresh:
        tests.append(Test("fresh", "root", [os.path.join(SOURCE, "test/fresh/fresh_root.sh")], 3000, parallel=False))
    return selected(tests, a.words)


def main():
    p = argparse.ArgumentParser(add_help=False)
    p.add_argument("--build", action="append", required=True)
    p.add_argument("--without", default="")
    p.add_argument("--fresh", action="store_true")
    p.add_argument("--list", action="store_true")
    p.add_argument("words", nargs="*")
    a = p.parse_args()
    tests = gather(a)
    if a.list:
        print("\n".join(f"{t.title():44} {t.repro()}" for t in tests))
        return 0
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    run_all(tests, max(1, min(4, len(os.sched_getaffinity(0)))))
    left = orphans()
    names = [read_file(f"/proc/{x}/cmdline").replace(b"\0", b" ").decode(errors="replace") for x in left]
    kill_all(left)
    failed = [t for t in tests if t.failures]
    if failed:
        print("\nfailing tests, and the command that runs each again:")
        for t in failed:
            print(f"  {t.title()}\n    {t.repro()}")
    for name in names:
        print(f"left behind by some test: {name}")
    bad = sum(len(t.failures) for t in tests) + len(left)
    skipped = sum(len(t.skipped) for t in tests)
    print(f"{sum(t.passed for t in tests)} passed, {bad} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if bad or not any(t.passed for t in tests) else 0


if __name__ == "__main__":
    sys.exit(main())
