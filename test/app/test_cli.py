#!/usr/bin/env python3
"""The command line against a real controller: every verb's own example, the printing, and what it says of mistakes."""
import json
import os
import signal
import shlex
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from region import Region, SOURCE, done, is_, ok  # noqa: E402

SUAN = os.path.abspath(sys.argv[1])


def offline():
    run = lambda *w: subprocess.run([SUAN, *w], capture_output=True, text=True, cwd=SOURCE)  # noqa: E731
    ok("suan ON VERB" in run().stdout, "without a word it shows help")
    ok("retries_max" in run("help", "job").stdout, "help of a noun shows its fields")
    ok("example: suan job submit" in run("help", "job", "submit").stdout, "help of a verb shows its example")
    r = run("help", "jbo")
    ok(r.returncode == 1 and "did you mean 'job'" in r.stderr, "help of a mistyped noun", r.stderr)
    r = run("--stat", "x")
    ok(r.returncode == 1 and "did you mean '--state'" in r.stderr, "a mistyped option", r.stderr)
    man = run("man").stdout
    lint = subprocess.run(["man", "--warnings", "-l", "-"], input=man, capture_output=True, text=True,
                          env={**os.environ, "MANROFFSEQ": "", "MANPAGER": "cat", "LC_ALL": "C.UTF-8"})
    ok(lint.returncode == 0 and not lint.stderr.strip() and "suan job submit" in lint.stdout, "the manual page formats without a warning",
       lint.stderr)
    ref = run("reference").stdout
    ok("## node: " in ref and "stateDiagram" in ref, "the reference has nouns and state machines")
    bash = run("completion").stdout + "\nCOMP_WORDS=(suan job su); COMP_CWORD=2; _suan; echo ${COMPREPLY[@]}\n"
    r = subprocess.run(["bash", "-c", bash], capture_output=True, text=True)
    is_(r.stdout.strip(), "submit", "completion completes a verb")
    r = run("goals", "--json")
    ok(r.returncode == 0 and any(g["goal"] == "job-start" for g in json.loads(r.stdout)), "goals lists a capability's goals", r.stderr)
    r = subprocess.run([SUAN, "--url", "http://127.0.0.1:1", "--token-file", "/dev/null", "rack", "list"], capture_output=True, text=True)
    ok(r.returncode == 1 and "no controller answers" in r.stderr and "hint:" in r.stderr, "nobody there: says so, with a hint", r.stderr)


def examples(region, want):
    rows = region.get("schema")["verbs"]
    rows.sort(key=lambda v: v["name"] in ("cancel", "delete", "revoke", "rollback"))  # what ends things comes last
    for row in rows:
        line = row["example"]
        if not line:
            ok(False, f"{row['on']} {row['name']} has an example")
            continue
        if not want(row):
            continue
        words = shlex.split(line) + (["--yes"] if "dangerous" in row["flags"] else [])
        code, out, err = region.cli(*words)
        ok(code == 0, f"example: suan {line}", err or out)


def printing(region):
    code, out, _ = region.cli("rack", "list", "limit=2")
    lines = out.splitlines()
    ok(code == 0 and lines[0].startswith("name") and len(lines) == 4 and "after=" in lines[3], "a list is a table with its next page", out)
    code, out, _ = region.cli("rack", "list", "limit=2", "--json")
    is_(len(json.loads(out)["items"]), 2, "a list as JSON")
    code, out, _ = region.cli("node", "show", "zhangjiakou-a-r01-n01")
    ok("power_w" in out and " W" in out, "an object shows units", out)
    code, out, _ = region.cli("centre", "list")
    ok("zhongwei" in out, "all centres", out)


def mistakes(region):
    def wrong(words, *parts):
        code, out, err = region.cli(*words)
        ok(code == 1 and all(p in err for p in parts), f"mistake: suan {' '.join(words)}", err or out)
    wrong(["journl", "list"], "did you mean 'journal'")
    wrong(["job", "submitt", "x"], "did you mean 'job submit'")
    wrong(["job", "submit", "nosuch.yaml"], "cannot read nosuch.yaml", "No such file")
    wrong(["node", "show", "zhangjiakou-a-r01-n99"], "no node 'zhangjiakou-a-r01-n99'")
    wrong(["token", "create", "name=x", "role=viewr"], "did you mean 'viewer'")
    wrong(["tenant", "delete", "campus"], "add --yes")
    wrong(["rack", "set", "zhangjiakou-a-r01", "budget_w=40 kg"], "budget_w", "40 kg")
    wrong(["rack", "set", "zhangjiakou-a-r01", "budgt_w=4 kW"], "did you mean 'budget_w'")
    code, out, err = region.cli("job", "submit", "-", stdin="job: bad\ntasks:\n  - name: one\n    argv: [true]\n    corse: 2\n")
    ok(code == 1 and "-:" in err and ":5:" in err and "did you mean 'cores'" in err, "a job's mistake has file:line:column and a hint", err)
    before = region.get("tenant/campus")["title"]
    code, out, _ = region.cli("tenant", "set", "campus", "title=Other", "--dry-run")
    ok(code == 0 and "Other" in out and region.get("tenant/campus")["title"] == before, "a dry run says what would change and changes nothing", out)


def drafts(region):
    code, out, _ = region.cli("estate", "begin", "--json")
    draft = f"draft={json.loads(out)['draft']}"
    number, revision = draft[6:], region.get("estate/history")["revision"]
    region.cli("tenant", "create", "name=drafted", "title=One", "quota_cores=8", draft)
    region.cli("rack", "set", "zhangjiakou-a-r02", "budget_w=9 kW", draft)
    code, out, err = region.cli("rack", "set", "zhangjiakou-a-r02", "budgt_w=9 kW", draft)
    ok(code == 1 and "did you mean 'budget_w'" in err, "a mistaken step is refused at once", err)
    code, out, _ = region.cli("estate", "diff", number, "--json")
    is_([(d["op"], d["object"]) for d in json.loads(out)["changes"]],
        [("create", "tenant/drafted"), ("set", "rack/zhangjiakou-a-r02")], "a draft shows all that it would change")
    is_((region.get("estate/history")["revision"], region.request("GET", "tenant/drafted")[0]), (revision, 404), "and has changed nothing")
    region.cli("rack", "delete", "zhangjiakou-a-r02", "tree=true", "--yes")
    code, out, err = region.cli("estate", "check", number)
    ok(code == 1 and "step 2" in err and "zhangjiakou-a-r02" in err, "check names the step that no longer fits", err)
    code, out, err = region.cli("estate", "commit", number)
    ok(code == 1 and region.request("GET", "tenant/drafted")[0] == 404, "such a draft commits nothing at all", err)
    region.cli("estate", "rollback", str(revision), "--yes")
    code, out, err = region.cli("estate", "commit", number, "why=two in one", "--json")
    ok(code == 0 and json.loads(out)["revision"] == revision + 3, "once it fits again it is one revision", err or out)
    is_((region.get("rack/zhangjiakou-a-r02")["budget_w"], region.get("tenant/drafted")["quota_cores"]), (9000, 8), "with every step")
    is_(region.get("estate/history")["rows"][0]["why"], "two in one", "and its reason")
    region.cli("estate", "rollback", str(revision + 2), "--yes")
    ok(region.request("GET", "tenant/drafted")[0] == 404, "rolled back whole")
    token = region.post("token/create", {"name": "other", "role": "operator"})["token"]
    other = region.post("estate/begin")["draft"]
    is_(region.request("POST", "estate/abort", {"draft": other}, token=token)[0], 403, "a draft is its beginner's")
    is_((region.request("POST", "estate/abort", {"draft": other})[0], region.request("POST", "estate/commit", {"draft": other})[0]),
        (200, 404), "an aborted draft is gone")


def owners(region):
    token = region.post("token/create", {"name": "lab", "role": "owner", "tenant": "grid-lab"})["token"]
    job = "job: owned\ntype: function\nfunction: {argv: [wetbulb]}\n"
    submit = lambda text: region.request("POST", "job/submit", {"job": text}, token=token)  # noqa: E731
    is_(submit(job.replace("owned", "others") + "tenant: campus\n")[0], 403, "an owner submits nothing for another tenant")
    status, d = submit(job)
    ok(status == 200 and region.get("job/owned")["tenant"] == "grid-lab", "an owner submits for the own tenant", d)
    is_(region.request("POST", "job/wetbulb/cancel", {}, token=token)[0], 403, "and cancels no other's job")
    is_(region.request("POST", "job/owned/cancel", {}, token=token)[0], 200, "but the own")
    is_(region.request("POST", "node/zhangjiakou-a-r01-n01/drain", {}, token=token)[0], 403, "and drains no other's node")


def streams(region):
    """--follow prints a log while it grows and ends with its task; --watch prints again when something changed."""
    region.cli("job", "submit", "-", stdin="job: talk\ntasks:\n  - {name: one, argv: [sh, -c, echo first; sleep 2; echo last]}\n")
    region.wait(lambda: region.get("task/talk-one")["state"] == "running", 20, "the task runs")
    p = subprocess.Popen([SUAN, "--state", region.state, "task", "logs", "talk-one", "--follow"], stdout=subprocess.PIPE, text=True)
    first, state = p.stdout.readline(), region.get("task/talk-one")["state"]
    is_((first, state), ("first\n", "running"), "a log is followed while its task runs")
    is_((p.stdout.read(), p.wait(20)), ("last\n", 0), "to its end, and no longer")
    p = subprocess.Popen([SUAN, "--state", region.state, "tenant", "show", "campus", "--watch"], stdout=subprocess.PIPE, text=True)
    p.stdout.readline()
    region.cli("tenant", "set", "campus", "title=Watched")
    ok(any("Watched" in line for line in p.stdout), "a watch prints what has changed")
    p.kill()
    p.wait()


def idle(region):
    region.cli("job", "submit", "-", stdin="job: brief\ntype: function\nfunction: {argv: [wetbulb], idle_us: 300ms}\n")
    now = lambda: [region.get("function/brief")[k] for k in ("state", "instances")]  # noqa: E731
    is_(now(), ["idle", 0], "a function that nobody called has no instance")
    status, d = region.request("POST", "function/brief/invoke", {"input": {"t_c": 30, "rh_ratio": 0.5}})
    ok(status == 200 and d["cold"] and abs(d["output"]["wet_bulb_c"] - 22) < 0.1, "a call starts one", d)
    is_(now(), ["warm", 1], "which stays warm")
    ok(region.wait(lambda: now() == ["idle", 0], 10, "idle"), "it is stopped when idle")
    status, d = region.request("POST", "function/brief/invoke", {"input": {"t_c": 30, "rh_ratio": 0.5}})
    ok(status == 200 and d["cold"], "the next call starts one again", d)


def explains(region):
    code, out, _ = region.cli("explain", "job/hello", "--json")
    chain = json.loads(out)["chain"]
    ok(any(r["object"] == "task/hello-greet" and r["reasons"]["candidates"] for r in chain), "explain of a job tells why each task is where it is", out)
    code, out, _ = region.cli("explain", "node/zhangjiakou-a-r01-n02", "--json")
    is_([c for c in json.loads(out)["claims"] if c["object"] != "node/zhangjiakou-a-r01-n02"], [], "and shows the object's own claims only")


def late_devices(region):
    rack = region.get("rack")["items"][0]["name"]
    region.cli("pdu", "create", "name=late", f"parent=rack/{rack}")
    said = lambda: [c for c in region.get("condition/list")["items"] if c["object"] == "pdu/late"]  # noqa: E731
    ok(region.wait(said, 20, "polled"), "a device made at run time is polled")
    ok("made after the twin" in said()[0]["text"], "and says what it lacks", said())


def certificates(region):
    path = os.path.join(region.state, "pki", "agent-" + region.get("agent")["items"][0]["name"] + ".crt")
    with open(path) as f:
        before = f.read()
    os.unlink(path)
    os.kill(region.controller()["pid"], signal.SIGHUP)
    ok(region.wait(lambda: os.path.exists(path) and open(path).read() not in ("", before), 10, "issued"),
       "SIGHUP, and every day, certificates near their end are issued again")
    agent = region.get("agent")["items"][0]
    if region.agents:
        os.kill(agent["pid"], signal.SIGKILL)
        now = lambda: region.get("agent/" + agent["name"])  # noqa: E731
        ok(region.wait(lambda: now()["epoch"] > agent["epoch"] and now()["state"] == "connected", 20, "back"),
           "and an agent that comes with the new one is let in")


def main():
    offline()
    with Region(SUAN, "share/estates/national-hubs.yaml", agents="--agents" in sys.argv) as region:
        region.cli("job", "submit", "share/jobs/hello.yaml")
        if region.agents:
            region.job("hello")
            region.cli("job", "submit", "share/jobs/wetbulb.yaml")
            explains(region)
            owners(region)
            idle(region)
            streams(region)
        for _ in range(2):
            region.cli("estate", "begin")  # drafts 1 and 2 of the examples
        examples(region, lambda v: v["on"] != "time" and (region.agents or v["on"] not in ("task", "function", "job")))
        drafts(region)
        certificates(region)
        printing(region)
        mistakes(region)
        status = open(f"/proc/{region.controller()['pid']}/status").read()
        ok("CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status, "the controller has given up its capabilities", status)
        region.cli("agent", "create", "name=late", "parent=centre/shaoguan")
        os.kill(region.controller()["pid"], signal.SIGHUP)
        region.wait(lambda: os.path.exists(os.path.join(region.state, "pki/agent-late.crt")), 10, "identities are issued again")
        ok(region.get("agent/late")["fingerprint"], "an agent that came later gets its identity, from a confined controller")
        code, _, err = region.cli("time", "stop")
        ok(code == 1 and "twin run only" in err, "time is not controlled while a live agent is attached", err)
    with Region(SUAN, "share/estates/rack.yaml", agents=False, options=["--twin"]) as region:
        examples(region, lambda v: v["on"] == "time")
        late_devices(region)
        is_(region.stop(), 0, "the controller stops cleanly")
    done()


main()
