#!/usr/bin/env python3
"""The sample jobs' programs, run as an agent runs them: $SUAN_SHARE, in/, out/, ckpt/.  test_jobs.py BIN SOURCE"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

BIN, SOURCE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
os.environ["SUAN_SHARE"] = os.path.join(SOURCE, "share")
sys.path.insert(0, os.path.join(SOURCE, "test/jobs"))
sys.dont_write_bytecode = True
import reference  # noqa: E402

count = failed = 0
TOP = tempfile.mkdtemp(prefix="suan-jobs-")
MONTHS = [f"{y}-{m:02}" for y in (2013, 2014, 2015) for m in range(1, 13)]


def ok(good, name, got=None):
    global count, failed
    count += 1
    print(f"{'ok' if good else 'not ok'} {count} - {name}", flush=True)
    if not good:
        failed += 1
        print(f"#   got {str(got)[:600]}\n#   again: python3 test/jobs/test_jobs.py {BIN} {SOURCE}", flush=True)


def folder(name, files=()):
    path = os.path.join(TOP, name)
    os.makedirs(os.path.join(path, "in"), exist_ok=True)
    for f, text in files:
        with open(os.path.join(path, "in", f), "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
    return path


def run(where, program, *args, stdin=None, env=None):
    p = subprocess.run([os.path.join(BIN, program), *args], cwd=where, input=stdin, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, timeout=120)
    lines = p.stdout.decode(errors="replace").splitlines()
    p.result = json.loads(lines[-1][7:]) if lines and lines[-1].startswith("result {") else None
    p.lines, p.errors = lines, p.stderr.decode(errors="replace")
    return p


def read(where, name):
    with open(os.path.join(where, name), "rb") as f:
        return f.read()


def refused(p, *words):
    return p.returncode == 1 and all(w in p.errors for w in words)


def ask(*lines):
    data = b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines)
    p = run(TOP, "wetbulb", stdin=data)
    return p.returncode, [json.loads(x) for x in p.lines]


def wetbulb():
    # Dry bulb, humidity, pressure, wet bulb: PsychroLib's published test (ASHRAE methods), sea-level chart points.
    known = [(7, 0.61, 100000, 3.92667, 0.005), (30, 0.5, 101325, 22.0, 0.05), (20, 0.5, 101325, 13.8, 0.05),
             (25, 1.0, 101325, 25.0, 1e-6), (40, 0.2, 101325, 22.1, 0.1)]
    rc, got = ask(*({"t_c": t, "rh_ratio": rh, "pressure_pa": p} for t, rh, p, _, _ in known))
    for (t, rh, p, want, tol), g in zip(known, got):
        ok(abs(g["wet_bulb_c"] - want) <= tol, f"wet bulb of {t} degC, {rh:.0%}, {p} Pa is {want}", g)
    # Humidity ratios of given wet bulbs from the same published tests, at 95,461 Pa; saturation from ASHRAE's table 3.
    for t, w, table_pa, want in ((30, 0.0192281274241096, 4246.0, 25), (-1, 0.00120399819933844, 562.7, -5)):
        rh = w * 95461 / (0.621945 + w) / table_pa
        _, got = ask({"t_c": t, "rh_ratio": rh, "pressure_pa": 95461})
        ok(abs(got[0]["wet_bulb_c"] - want) < 0.02, f"humidity ratio {w:.6f} at {t} degC is a wet bulb of {want}", got)
    with open(os.path.join(SOURCE, "share/jobs/expected/wetbulb.jsonl")) as f:
        calls = [json.loads(x) for x in f]
    _, got = ask(*(c["in"] for c in calls))
    worst = max(abs(g["wet_bulb_c"] - c["wet_bulb_c"]) - c["within"] for g, c in zip(got, calls))
    ok(len(got) == len(calls) > 150 and worst <= 0, "every expected call is answered as the other program does", worst)
    _, got = ask({"t_c": 30, "rh_ratio": 0.5}, {"t_c": "303.15 K", "rh_ratio": "50 %", "pressure_pa": "1013.25 hPa"})
    ok(got[0] == got[1], "units are understood, the pressure has a default", got)


def hostile_calls():
    bad = [b"", b"x", b"[]", b"{}", b'{"t_c":1}', b'{"t_c":1,"rh_ratio":0.5,"dew_point_c":0}', b'{"t_c":1e999,"rh_ratio":1}',
           b'{"t_c":200,"rh_ratio":1}', b'{"t_c":1,"rh_ratio":1.5}', b'{"t_c":1,"dew_point_c":2}', b"\xff\xfe", b"[" * 5000,
           b'{"t_c":"x","rh_ratio":1}', b'{"t_c":1,"t_c":1,"rh_ratio":1}', b'{"t_c":1,"rh_ratio":0.5,"pressure_pa":0}',
           b'{"t_c":"' + b"a" * 100000 + b'"}', b'{"t_c":1,"rh_ratio":0.5}\x00']
    rc, got = ask(*bad, {"t_c": 30, "rh_ratio": 0.5})
    ok(rc == 0 and len(got) == len(bad) + 1, "a bad line is answered, and the instance lives on", len(got))
    ok(all(set(g) <= {"error", "hint"} and g["error"] for g in got[:-1]), "each bad line gets its error", got)
    ok("wet_bulb_c" in got[-1], "and the next good one its answer", got[-1])
    _, got = ask({"t_c": 30, "rh_ratios": 0.5})
    ok("rh_ratio" in got[0].get("hint", ""), "a wrong name gets a hint", got)
    ok(ask(b'{"t_c":30,"rh_ratio":0.5}')[1] and run(TOP, "wetbulb", stdin=b'{"t_c":30,"rh_ratio":0.5}').lines,
       "a last line without its end is answered too")


def weather():
    cities = ("beijing", "shanghai", "guangzhou")
    for city in cities:
        single = folder(f"single-{city}")
        run(single, "weather-map", city, *MONTHS)
        parts = []
        for m in MONTHS if city == "beijing" else ():
            where = folder("map")
            parts.append((f"map-{city}-{m}.part", run(where, "weather-map", city, m).returncode == 0 and read(where, "out/part")))
        if parts:
            flat, left, right = folder("flat", parts), folder("left", parts[:7]), folder("right", parts[7:])
            p = run(flat, "weather-reduce")
            ok(p.result["parts"] == 36, "a reduce reads its 36 parts", p.errors)
            ok(read(flat, "out/part") == read(single, "out/part"), "reduce of 36 maps = one pass, byte for byte")
            run(left, "weather-reduce"), run(right, "weather-reduce")
            tree = folder("tree", [("z", read(left, "out/part")), ("a", read(right, "out/part"))])
            run(tree, "weather-reduce")
            ok(read(tree, "out/part") == read(single, "out/part"), "and so is a tree of reduces, in another order")
    report = folder("report", [(f"reduce-{c}.part", read(os.path.join(TOP, f"single-{c}"), "out/part")) for c in cities])
    p = run(report, "weather-report")
    ok(set(p.result) == set(cities), "the report knows the three cities", p.errors)
    ok(len(p.lines[-1]) < 512, "its result fits the line that a job keeps", len(p.lines[-1]))
    rows = [r.split(",") for r in read(report, "out/distribution.csv").decode().splitlines()[1:]]
    ok(all(sum(int(r[3]) for r in rows if r[0] == c) == p.result[c]["hours"] for c in cities),
       "the histogram holds every hour once")
    with open(os.path.join(SOURCE, "share/jobs/expected/weather.json")) as f:
        shipped = json.load(f)
    ok(shipped == reference.weather(), "the shipped expectation is what the other program computes")
    good = folder("verify", [("r", read(report, "out/report.json"))])
    p = run(good, "job-verify", "weather", "in/r")
    ok(p.returncode == 0 and p.result, "the report is as expected", p.lines)
    text = json.loads(read(report, "out/report.json"))
    text["beijing"]["full_hours"] += 100
    p = run(folder("verify", [("r", json.dumps(text))]), "job-verify", "weather", "in/r")
    ok(refused(p, "1 of the checks") and any("wrong beijing.full_hours" in x for x in p.lines), "a wrong number fails", p.lines)
    p = run(folder("verify", [("r", "{}")]), "job-verify", "weather", "in/r")
    ok(refused(p, "24 of the checks"), "an empty result fails every check", p.errors)
    ok(refused(run(good, "job-verify", "../weather", "in/r"), "no name"), "an expectation is named, not a path")


def hostile_parts():
    part = read(os.path.join(TOP, "single-beijing"), "out/part")
    other = read(os.path.join(TOP, "single-shanghai"), "out/part")
    lines = part.split(b"\n")
    swapped = b"\n".join(lines[:5] + [lines[6], lines[5]] + lines[7:])
    cases = {"nothing": b"", "text": b"hello\n", "cut off": part[:-20], "one digit changed": part.replace(b" 1\n", b" 2\n", 1),
             "lines swapped": swapped, "a NUL inside": part.replace(b"city", b"ci\0y"), "noise": os.urandom(4000)}
    for name, data in cases.items():
        p = run(folder("bad", [("p", data)]), "weather-reduce")
        ok(refused(p, "in/p") and not os.path.exists(os.path.join(TOP, "bad/out/part")), f"a part with {name} is refused", p.errors)
    p = run(folder("two", [("a", part), ("b", other)]), "weather-reduce")
    ok(refused(p, "two cities"), "parts of two cities are not merged", p.errors)
    empty = folder("empty")
    ok(refused(run(empty, "weather-reduce"), "no file"), "a reduce without input says so")
    for args, word in (((), "usage"), (("bejing", "2014-01"), "did you mean 'beijing'"), (("beijing", "2014-1"), "2014-07"),
                       (("beijing", "2019-01"), "no month"), (("beijing", "2014-01", "2014-01"), "twice"),
                       (("../beijing", "2014-01"), "no weather")):
        p = run(empty, "weather-map", *args)
        ok(refused(p, word), f"weather-map {' '.join(args)}: {word}", p.errors)
    p = run(empty, "weather-map", "beijing", "2014-01", env={"SUAN_SHARE": TOP})
    ok(refused(p, "beijing.csv.zst"), "missing data are named", p.errors)
    os.makedirs(os.path.join(TOP, "data/weather"), exist_ok=True)
    packed = read(os.path.join(SOURCE, "share/data/weather"), "beijing.csv.zst")
    for name, data, word in (("cut off", packed[:5000], "ends too early"), ("no zstd", b"x" * 100, "not a zstd file")):
        with open(os.path.join(TOP, "data/weather/beijing.csv.zst"), "wb") as f:
            f.write(data)
        p = run(empty, "weather-map", "beijing", "2014-01", env={"SUAN_SHARE": TOP})
        ok(refused(p, word), f"data that are {name} are refused", p.errors)


SMALL = ["hidden=8", "stride_h=24", "epochs=6", "every_epochs=2"]


def forecast():
    want = reference.train(epochs=3, hidden=4, stride_h=48)
    p = run(folder("tiny"), "forecast-train", "epochs=3", "hidden=4", "stride_h=48")
    for k in ("mae", "rmse", "naive_day_mae", "naive_day_rmse", "naive_week_mae", "naive_week_rmse", "best_epoch"):
        ok(p.result and abs(p.result[k] - want[k]) < 1e-3, f"training agrees with the other program in {k}", (p.result, want[k]))
    naive = reference.naive()
    with open(os.path.join(SOURCE, "share/jobs/expected/forecast.json")) as f:
        shipped = {c["at"]: c["want"] for c in json.load(f)["checks"] if "want" in c}
    ok(all(abs(shipped[k] - v) < 1e-4 for k, v in naive.items()), "the shipped expectation holds the naive errors", shipped)
    good = run(folder("good"), "forecast-train", "hidden=32", "stride_h=4", "epochs=12", "rate_ratio=0.001")
    ok(good.result["mae"] < good.result["naive_day_mae"] and good.result["mae"] < good.result["naive_week_mae"],
       "a short training beats both naive forecasts", good.result)
    p = run(folder("v", [("m", read(os.path.join(TOP, "good"), "out/metrics.json"))]), "job-verify", "forecast", "in/m")
    ok(p.returncode == 0, "and passes the job's own check", p.lines)
    bad = dict(good.result, mae=good.result["naive_day_mae"] + 1)
    p = run(folder("v", [("m", json.dumps(bad))]), "job-verify", "forecast", "in/m")
    ok(refused(p, "checks"), "a forecast worse than naive does not", p.lines)
    rows = read(os.path.join(TOP, "good"), "out/forecast.csv").decode().splitlines()[1:]
    errors = [abs(float(r.split(",")[1]) - float(r.split(",")[2])) for r in rows]
    ok(len(errors) == 2208 and abs(sum(errors) / 2208 - good.result["mae"]) < 0.01, "the rows of the test part give that error")


def resume():
    whole = folder("whole")
    a = run(whole, "forecast-train", *SMALL)
    again = run(folder("again"), "forecast-train", *SMALL)
    ok(a.result["weights"] == again.result["weights"], "the same seed gives the same bits")
    other = run(folder("seed"), "forecast-train", *SMALL, "seed=2")
    ok(a.result["weights"] != other.result["weights"], "another seed gives others")
    part = folder("part")
    run(part, "forecast-train", *SMALL[:2], "epochs=3", "every_epochs=1")
    p = run(part, "forecast-train", *SMALL)
    ok(p.result["resumed_epoch"] == 3, "a second run goes on after epoch 3", p.result)
    ok(read(part, "out/model") == read(whole, "out/model"), "and ends with the same bits as the uninterrupted one")
    killed = folder("killed")
    args = [os.path.join(BIN, "forecast-train"), "hidden=32", "stride_h=4", "epochs=8", "every_epochs=1"]
    with subprocess.Popen(args, cwd=killed, stdout=subprocess.PIPE) as q:
        for line in q.stdout:
            if line.startswith(b"epoch 4/"):
                q.send_signal(signal.SIGKILL)
                break
    p = run(killed, "forecast-train", *args[1:])
    whole2 = run(folder("whole2"), "forecast-train", *args[1:])
    ok(3 <= p.result["resumed_epoch"] < 8, "one killed at epoch 4 goes on from its last checkpoint", p.result)
    ok(read(killed, "out/model") == read(os.path.join(TOP, "whole2"), "out/model"), "to the same last bit", whole2.errors)
    done = run(whole, "forecast-train", *SMALL)
    ok(done.result["resumed_epoch"] == 6 and done.result["weights"] == a.result["weights"], "a finished run only reports again")


def hostile_checkpoints():
    latest = read(os.path.join(TOP, "part"), "ckpt/latest")
    flipped = bytearray(latest)
    flipped[len(latest) // 2] ^= 1
    cases = {"empty": b"", "noise": os.urandom(5000), "cut off": latest[:-100], "one bit flipped": bytes(flipped),
             "only a head": latest[:64], "longer": latest + b"x"}
    for name, data in cases.items():
        where = folder("ckpt-bad")
        os.makedirs(os.path.join(where, "ckpt"), exist_ok=True)
        with open(os.path.join(where, "ckpt/latest"), "wb") as f:
            f.write(data)
        p = run(where, "forecast-train", *SMALL)
        ok(refused(p, "ckpt/latest is refused", "hint: remove it"), f"a checkpoint that is {name} is refused", p.errors)
    with open(os.path.join(where, "ckpt/latest"), "wb") as f:
        f.write(latest)
    p = run(where, "forecast-train", "hidden=9", *SMALL[1:])
    ok(refused(p, "other settings"), "one of another run too", p.errors)
    for arg, word in (("hiden=3", "did you mean 'hidden='"), ("epochs=0", "epochs"), ("epochs=x", "epochs"), ("x", "setting=value"),
                      ("hidden=100000", "hidden"), ("series=../x", "no name"), ("series=nowhere", "nowhere")):
        p = run(TOP, "forecast-train", arg)
        ok(refused(p, word), f"forecast-train {arg}: {word}", p.errors)


try:
    wetbulb()
    hostile_calls()
    weather()
    hostile_parts()
    forecast()
    resume()
    hostile_checkpoints()
finally:
    shutil.rmtree(TOP)
print(f"1..{count}")
sys.exit(1 if failed else 0)
