#!/usr/bin/env python3
"""kill -9 of the controller or an agent at random points while jobs run: none is lost, none runs twice.

    test/fault/test_kill.py build/src/app/suan [POINTS] [SEED]

Each task appends one line to its output, so an attempt that ran twice in its folder shows two; and the attempt whose
output counts must be the one the controller recorded. Afterwards the journal's chain must verify, every placement must
stand in it, and no process, cgroup or mount may be left."""
import glob
import json
import os
import random
import re
import signal
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from region import Region, done, is_, ok  # noqa: E402

SUAN = os.path.abspath(sys.argv[1])
POINTS = int(sys.argv[2]) if len(sys.argv) > 2 else 100
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else int.from_bytes(os.urandom(4), "big")
JOB = """job: {name}
type: batch
tenant: t
policy: spread
retries_max: 20
tasks:
  - name: part-{{i}}
    for: {{i: [1, 2, 3]}}
    argv: [sh, -c, 'echo "$SUAN_TASK $SUAN_ATTEMPT" >> out/ran; sleep 0.{nap}; echo "result {{}}"']
    outputs: [ran]
  - name: all
    argv: [sh, -c, 'cat in/* > out/ran; echo "result $(wc -l < out/ran)"']
    inputs: ["part-*/ran"]
    outputs: [ran]
"""


def children(region):
    """pid -> role of the supervisor's children."""
    found = {}
    with open(f"/proc/{region.process.pid}/task/{region.process.pid}/children") as f:
        for pid in f.read().split():
            try:
                with open(f"/proc/{pid}/cmdline") as c:
                    words = c.read().split("\0")
                if len(words) > 1 and words[1] in ("daemon", "agentd"):
                    found[int(pid)] = words[1].rstrip("d") if words[1] == "agentd" else words[1]
            except OSError:
                pass
    return found


class Submitter(threading.Thread):
    """Submits all the time; keeps the names that were acknowledged."""

    def __init__(self, region, rng):
        super().__init__(daemon=True)
        self.region, self.rng, self.names, self.refused, self.stop = region, rng, [], 0, False

    def run(self):
        n = 0
        while not self.stop:
            n += 1
            text = JOB.format(name=f"k{n}", nap=self.rng.randint(0, 4))
            try:
                status, d = self.region.request("POST", "job/submit", {"job": text}, timeout=10)
                if status == 200:
                    self.names.append(d["name"])
                else:
                    self.refused += 1
            except (OSError, ValueError):
                self.refused += 1
            time.sleep(0.25)


def kill_loop(region, rng):
    killed = {"daemon": 0, "agent": 0}
    while sum(killed.values()) < POINTS:
        time.sleep(rng.uniform(0, 1.5))
        alive = children(region)
        daemons = [p for p, r in alive.items() if r == "daemon"]
        agents = [p for p, r in alive.items() if r == "agent"]
        pool = daemons if daemons and (rng.random() < 0.4 or not agents) else agents
        if not pool:
            continue
        victim = rng.choice(pool)
        os.kill(victim, signal.SIGKILL)
        killed[alive[victim]] += 1
    return killed


def blob(region, digest):
    for path in glob.glob(os.path.join(region.state, "agents/*/blobs/" + digest.split(":")[-1])):
        with open(path) as f:
            return f.read().split("\n")[:-1]
    return None


def check_jobs(region, names):
    lost, unfinished, twice, wrong = [], [], [], []
    for name in names:
        try:
            job = region.get("job/" + name)
        except ValueError:
            lost.append(name)
            continue
        if job["state"] != "done":
            unfinished.append(f"{name}: {job['state']} {job.get('reason', '')}")
            continue
        for i in (1, 2, 3):
            task = region.get(f"task/{name}-part-{i}")
            lines = blob(region, task["outputs"][0]["digest"])
            if lines is None or len(lines) != 1:
                twice.append(f"{task['name']}: {lines}")
            elif lines[0] != f"{task['name']} {task['attempt']}":
                wrong.append(f"{task['name']}: {lines[0]}, recorded attempt {task['attempt']}")
        if job["result"] != "3":
            wrong.append(f"{name}: result {job['result']}")
    ok(not lost, f"no acknowledged job of {len(names)} is lost", "\n".join(lost))
    ok(not unfinished, "every job is done", "\n".join(unfinished))
    ok(not twice, "every attempt ran once", "\n".join(twice))
    ok(not wrong, "what counted is the attempt on record", "\n".join(wrong))


def check_database(region):
    db = sqlite3.connect(f"file:{region.state}/state.db?mode=ro", uri=True)
    is_(db.execute("pragma integrity_check").fetchone()[0], "ok", "state.db is whole")
    tables = [r[0] for r in db.execute("select name from sqlite_master where type='table'")]
    rows = {r[0]: r[1] for r in db.execute("select sequence, object from journal")} if "journal" in tables else {}
    is_(sorted(rows), list(range(1, len(rows) + 1)), "the journal has no hole")
    missing, n = [], 0
    for name, text in db.execute("select name, json from object where kind = 'task'"):
        sequence = json.loads(text).get("decision", 0)
        n += 1
        if sequence and rows.get(sequence) != f"task/{name}":
            missing.append(f"{name}: row {sequence} is of {rows.get(sequence)}")
    ok(n and not missing, f"every placement of {n} tasks stands in the journal", "\n".join(missing))
    db.close()


def check_nothing_left(region):
    left = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                if region.state in f.read():
                    left.append(pid)
        except OSError:
            pass
    ok(not left, "no process is left", "\n".join(left))
    with open("/proc/self/mountinfo") as f:
        ok(region.state not in f.read(), "no mount is left")
    groups = [g for g in glob.glob("/sys/fs/cgroup/**/suan-*", recursive=True) if os.path.isdir(g)
              and re.fullmatch("suan-[abc]-agent-[0-9a-f]{8}", os.path.basename(g))]
    ok(not groups, "no cgroup is left", "\n".join(groups[:5]))


def main():
    rng = random.Random(SEED)
    print(f"# seed {SEED}; again: test/fault/test_kill.py {sys.argv[1]} {POINTS} {SEED}", flush=True)
    region = Region(SUAN, "test/fault/three.yaml")
    with region:
        region.post("cap/config", {"cap": "placement", "lease_us": "5s", "lease_margin_us": "3s"})
        s = Submitter(region, random.Random(SEED + 1))
        s.start()
        killed = kill_loop(region, rng)
        s.stop = True
        s.join(15)
        ok(killed["daemon"] and killed["agent"], f"killed the controller {killed['daemon']} times, agents {killed['agent']} times")
        open_jobs = lambda: [n for n in s.names if region.get("job/" + n)["state"] in ("queued", "running")]  # noqa: E731
        try:
            region.wait(lambda: region.is_ready() and not open_jobs(), 120, "jobs end")
        except RuntimeError as e:
            ok(False, "every job ends after the last kill", f"{e}\n{open_jobs()[:10]}")
        check_jobs(region, s.names)
        v = region.get("journal/verify")
        ok(v["ok"], f"the journal's chain of {v['rows']} rows verifies")
        region.stop()
        check_database(region)
        check_nothing_left(region)
    done()


main()
