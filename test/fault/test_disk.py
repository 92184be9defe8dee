#!/usr/bin/env python3
"""A full disk: changes are refused with the reason, reading goes on, nothing acknowledged is lost, and it mends itself."""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from region import Region, done, is_, ok  # noqa: E402

SUAN = os.path.abspath(sys.argv[1])


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"\0" * 4096)
        except OSError:
            pass


def create(region, name):
    begun = time.monotonic()
    try:
        status, d = region.request("POST", "tenant", {"name": name, "title": "x" * 60}, timeout=20)
    except OSError as e:
        return 0, {"message": f"no answer: {e}"}, time.monotonic() - begun
    return status, d, time.monotonic() - begun


def run(region, state):
    acknowledged = []
    for i in range(20):
        status, d, _ = create(region, f"before-{i}")
        if status == 200:
            acknowledged.append(f"before-{i}")
    is_(len(acknowledged), 20, "twenty changes before")
    fill(os.path.join(state, "filler"))
    refused, slow = None, 0
    for i in range(400):
        status, d, took = create(region, f"full-{i}")
        if status == 200:
            acknowledged.append(f"full-{i}")
            continue
        refused, slow = d, took
        break
    ok(refused and refused.get("code") in ("limit", "unavail", "unavailable", "io") and "message" in refused and slow < 15,
       f"a change is refused with the reason, in time: {refused and refused.get('message')}", f"{refused} after {slow:.1f} s")
    status, d = region.request("GET", "system/status")
    ok(status == 200 and d["store_ok"] is False and d.get("store_error"), f"status says so: {d.get('store_error')}", d)
    ok(region.get("tenant/before-3")["title"].startswith("x"), "reading goes on")
    cpu = region.get("system/status")["cpu_s"]
    time.sleep(2)
    spent = region.get("system/status")["cpu_s"] - cpu
    ok(spent < 0.1, f"it does not spin meanwhile: {spent * 1000:.0f} ms of CPU in 2 s")
    os.unlink(os.path.join(state, "filler"))
    region.wait(lambda: region.get("system/status")["store_ok"], 10, "the store recovers")
    ok(True, "with room again it recovers by itself")
    status, d, _ = create(region, "after")
    is_(status, 200, "changes are taken again")
    acknowledged.append("after")
    ok(region.get("journal/verify")["ok"], "the journal's chain holds")
    return acknowledged


def main():
    state = tempfile.mkdtemp(prefix="disk-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "suan-test", state], capture_output=True).returncode:
        print("ok 1 # SKIP no file system can be mounted here\n1..1")
        os.rmdir(state)
        return
    try:
        with Region(SUAN, "share/estates/rack.yaml", agents=False, options=["--twin"], state=state) as region:
            acknowledged = run(region, state)
        with Region(SUAN, None, agents=False, options=["--twin"], state=state) as region:
            lost = [n for n in acknowledged if region.request("GET", "tenant/" + n)[0] != 200]
            ok(not lost, f"all {len(acknowledged)} acknowledged changes are there after a restart", lost)
    finally:
        subprocess.run(["umount", state])
        os.rmdir(state)
    done()


main()
