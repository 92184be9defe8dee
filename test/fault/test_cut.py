#!/usr/bin/env python3
"""An agent that falls silent for ten leases: the centre is told cut off, its work stops by itself and goes elsewhere,
and when it is back nothing runs twice. And ports that are taken: an error that says what to do."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from region import Region, done, is_, ok  # noqa: E402

SUAN = os.path.abspath(sys.argv[1])
LEASE_S = 2
JOB = """job: long
type: batch
tenant: t
policy: spread
tasks:
  - name: beat
    argv: [sh, -c, 'i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo beat $i; sleep 0.25; done; echo "result 60"']
"""


def agent_pid(region, name):
    with open(f"/proc/{region.process.pid}/task/{region.process.pid}/children") as f:
        for pid in f.read().split():
            with open(f"/proc/{pid}/cmdline") as c:
                words = c.read().split("\0")
            if "agentd" in words and name in words:
                return int(pid)
    return 0


def task_processes(agent):
    """Processes in this agent's cgroups that are not its runners: those wait in their slot and start the tasks."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cgroup") as f:
                if not re.search(f"/suan-{agent}-[0-9a-f]{{8}}/", f.read()):
                    continue
            with open(f"/proc/{pid}/cmdline") as f:
                words = f.read().split("\0")
            if "runner" not in words and words != [""]:
                found.append(int(pid))
        except OSError:
            pass
    return found


def cut(region):
    region.post("cap/config", {"cap": "placement", "lease_us": f"{LEASE_S}s", "lease_margin_us": "3s"})
    time.sleep(3)  # the next renewal carries the new length
    region.post("job/submit", {"job": JOB})
    region.wait(lambda: region.get("task/long-beat")["state"] == "running", 20, "the task runs")
    task = region.get("task/long-beat")
    agent, first = task["agent"], task["attempt"]
    ok(task_processes(agent), f"its processes are those of {agent}")
    pid = agent_pid(region, agent)
    os.kill(pid, signal.SIGSTOP)
    try:
        region.wait(lambda: region.get("agent/" + agent)["state"] == "lapsed", 60, "the agent's lease lapses")
        ok(not task_processes(agent), "when the controller lets go, the silent agent's task has stopped by itself",
           task_processes(agent))
        centre = region.get("centre/" + task["centre"])
        ok(centre["state"] == "cut-off" or centre["state"] == "cut_off", f"the centre is shown as cut off: {centre['state']}")
        ok(any(c["name"] == "cut-off" for c in centre.get("conditions", [])), "with a condition that says why", centre)
        region.wait(lambda: region.get("task/long-beat")["state"] == "running", 20, "the task runs again")
        again = region.get("task/long-beat")
        ok(again["attempt"] > first and again["agent"] != agent, f"elsewhere: {again['agent']}, attempt {again['attempt']}")
        time.sleep(LEASE_S * 3)
    finally:
        os.kill(pid, signal.SIGCONT)
    region.wait(lambda: region.get("agent/" + agent)["state"] == "connected", 30, "the agent is back")
    centre = region.get("centre/" + task["centre"])
    ok(not any(c["name"] == "cut-off" for c in centre.get("conditions", [])), "its condition is cleared", centre)
    job = region.job("long", 60)
    is_((job["state"], job["result"]), ("done", "60"), "the job ends well")
    is_(region.get("task/long-beat")["attempt"], again["attempt"], "by the attempt that went on")


def ports():
    with socket.socket() as s, tempfile.TemporaryDirectory() as state:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        for option in ("--port", "--link-port"):
            other = "--link-port" if option == "--port" else "--port"
            r = subprocess.run([SUAN, "daemon", "share/estates/rack.yaml", "--twin", "--state", state, option, str(port),
                                other, "0"], capture_output=True, text=True, timeout=30, cwd=os.path.join(
                                    os.path.dirname(os.path.abspath(__file__)), "../.."))
            ok(r.returncode == 1 and str(port) in r.stderr and "hint:" in r.stderr, f"{option} is taken: says which, with a hint", r.stderr)


def main():
    ports()
    with Region(SUAN, "test/fault/three.yaml") as region:
        cut(region)
    done()


main()
