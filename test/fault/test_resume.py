#!/usr/bin/env python3
"""Training that is killed with its centre goes on in another from the copy of its last checkpoint, to the same last bit."""
import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from region import Region, done, is_, ok  # noqa: E402

SUAN = os.path.abspath(sys.argv[1])
EPOCHS = 24
JOB = f"""job: {{name}}
type: train
tenant: t
policy: spread
tasks:
  - name: train
    argv: [forecast-train, epochs={EPOCHS}, every_epochs=2]
    outputs: [metrics.json]
    checkpoints: true
    memory_bytes: 128 MiB
    time_limit_us: 30m
"""


def child(region, name):
    with open(f"/proc/{region.process.pid}/task/{region.process.pid}/children") as f:
        for pid in f.read().split():
            with open(f"/proc/{pid}/cmdline") as c:
                if name in c.read().split("\0"):
                    return int(pid)
    return 0


def kill_centre(region, agent):
    """The agent is stopped, as if its machine hung, and everything it ran is killed."""
    pid = child(region, agent)
    os.kill(pid, signal.SIGSTOP)
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{other}/cgroup") as f:
                if re.search(f"/suan-{agent}-[0-9a-f]{{8}}/", f.read()):
                    os.kill(int(other), signal.SIGKILL)
        except OSError:
            pass
    return pid


def result(region, name):
    job = region.job(name, 300)
    ok(job["state"] == "done", f"{name} is done", job.get("reason", ""))
    return json.loads(job["result"])


def main():
    with Region(SUAN, "test/fault/three.yaml") as region:
        region.post("cap/config", {"cap": "placement", "lease_us": "3s", "lease_margin_us": "3s"})
        time.sleep(3)  # until the renewals carry it
        region.post("job/submit", {"job": JOB.format(name="whole")})
        whole = result(region, "whole")
        region.post("job/submit", {"job": JOB.format(name="broken")})
        copied = lambda t: t["checkpoint"] and t["checkpoint_centre"] not in ("", t["centre"])  # noqa: E731
        region.wait(lambda: copied(region.get("task/broken-train")), 120, "a copy of a checkpoint lies in another centre")
        before = region.get("task/broken-train")
        pid = kill_centre(region, before["agent"])
        try:
            broken = result(region, "broken")
        finally:
            os.kill(pid, signal.SIGCONT)
        after = region.get("task/broken-train")
        ok(after["agent"] != before["agent"], f"it went on in {after['centre']}, not {before['centre']}")
        ok(0 < broken["resumed_epoch"] < EPOCHS, f"from epoch {broken['resumed_epoch']} of {EPOCHS}", broken)
        is_(whole["resumed_epoch"], 0, "the other one ran through")
        is_(broken["weights"], whole["weights"], "the same weights, to the last bit")
        is_(broken["mae"], whole["mae"], "the same error")
        ok(all(k in whole for k in ("mae", "naive_week_mae")), f"reported beside the seasonal-naive error: {whole}")
    done()


main()
