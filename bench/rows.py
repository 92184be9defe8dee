"""Runs bench rows and prints one JSON object a line. Called by bench/run; bench/README.md is the page for people.

A row is a program `bench_<name>` of bench/meson.build that prints its own JSON, or a function of SCRIPTED below, for
what is measured from outside: the build itself, a daemon, a foreign peer."""
import argparse
import datetime
import json
import os
import subprocess
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(SOURCE, "bench"))
import outside  # noqa: E402  (the folder is known only now)

KEYS = ("goal", "value", "unit", "target", "peer", "ok")


def programs(build):
    text = subprocess.run(["meson", "introspect", "--targets", build], check=True, capture_output=True, text=True).stdout
    rows = [t for t in json.loads(text) if t["type"] == "executable" and t["name"].startswith("bench_")]
    return {t["name"][len("bench_"):].replace("_", "-"): t for t in rows}


def run_program(build, target, quick):
    path = os.path.relpath(target["filename"][0], os.path.abspath(build))
    subprocess.run(["ninja", "-C", build, path], check=True, stdout=subprocess.DEVNULL)
    words = [os.path.join(build, path)] + (["--quick"] if quick else [])
    done = subprocess.run(words, cwd=SOURCE, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not rows or (done.returncode and all(r.get("ok") for r in rows)):
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {(done.stderr or done.stdout)[-400:].strip()}")
    return rows


def measure(name, a, known):
    inner = (lambda: run_program(a.build, known[name], a.quick)) if name in known else None
    scripted = outside.SCRIPTED.get(name) or outside.WITH_PEER.get(name)
    return scripted(a.build, a.quick, inner) if scripted else inner()


def machine():
    cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), os.uname().machine)
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{len(os.sched_getaffinity(0))} x {cpu}, {gib:.0f} GiB"


def commit():
    done = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=SOURCE, capture_output=True, text=True)
    dirty = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=SOURCE, capture_output=True, text=True)
    return (done.stdout.strip() or "unknown") + ("+" if dirty.stdout.strip() else "")


def record(rows, quick):
    stamp = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "commit": commit(),
             "machine": machine(), "quick": quick}
    with open(os.path.join(SOURCE, "bench/results.jsonl"), "a") as f:
        for row in rows:
            f.write(json.dumps({**row, **stamp}) + "\n")


def tap_line(number, row):
    """For ./check, which runs beside others: a target missed by less than a factor of two is told and counted as skipped;
    beyond that something broke. `bench/run` itself fails on every missed target."""
    line = f"- {row['goal']}: {row['value']} {row['unit']}, target {row['target']}"
    if row.get("skipped"):
        return f"ok {number} {line} # SKIP {row['skipped']}"
    value, target = row.get("value"), row.get("target")
    if not row["ok"] and not row.get("error") and value and target and 0.5 < value / target < 2:
        return f"ok {number} {line} # SKIP target missed in this run: {row['goal']} {value} {row['unit']}, target {target}"
    return f"{'ok' if row['ok'] else 'not ok'} {number} {line}"


def main():
    p = argparse.ArgumentParser(prog="bench/run")
    p.add_argument("--build", required=True, help=argparse.SUPPRESS)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--record", action="store_true")
    p.add_argument("--tap", action="store_true")
    p.add_argument("--list", action="store_true")
    p.add_argument("names", nargs="*")
    a = p.parse_args()
    known = programs(a.build)
    names = sorted(set(known) | set(outside.SCRIPTED))
    if a.list:
        print("\n".join(names))
        return 0
    wrong = [n for n in a.names if n != "all" and n not in names]
    if wrong or not a.names:
        sys.exit((f"bench: there is no row '{wrong[0]}'" if wrong else "bench: name a row, or all") + "; there are: " + " ".join(names))
    all_rows = []
    for name in names if "all" in a.names else a.names:
        begin = time.monotonic()
        try:
            rows = measure(name, a, known)
        except (RuntimeError, OSError, subprocess.SubprocessError, ValueError, KeyError, AttributeError) as x:
            rows = [{"goal": name, "value": None, "unit": "", "target": None, "peer": None, "ok": False, "error": str(x)}]
        for row in rows:
            missing = [k for k in KEYS if k not in row]
            if missing:
                row.update({k: None for k in missing}, ok=False, error="the row lacks " + ", ".join(missing))
            all_rows.append(row)
            print(tap_line(len(all_rows), row) + f"\n# {json.dumps(row)}" if a.tap else json.dumps(row), flush=True)
        print(f"# {name} took {time.monotonic() - begin:.1f} s", file=sys.stdout if a.tap else sys.stderr, flush=True)
    if a.tap:
        print(f"1..{len(all_rows)}")
        return 1 if any(tap_line(0, r).startswith("not") for r in all_rows) else 0
    if a.record:
        record([r for r in all_rows if r["value"] is not None], a.quick)
    return 0 if all(r["ok"] for r in all_rows) else 1


if __name__ == "__main__":
    sys.exit(main())
