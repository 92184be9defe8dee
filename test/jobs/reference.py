#!/usr/bin/env python3
"""The sample jobs' results, computed by another program: Python's standard library only, other methods where there are any.

  reference.py weather     expected/weather.json    wet bulb by bisection with Goff-Gratch pressures
  reference.py wetbulb     expected/wetbulb.jsonl   200 calls and answers
  reference.py naive       the seasonal-naive errors of the forecast's test part
  reference.py train K=V…  the whole training, with its own network, optimiser and random numbers: test MAE and naive errors

Data come from the folder in $SUAN_SHARE. Shared with the C programs are only the published formulas and file formats."""
import json
import math
import os
import subprocess
import sys

SHARE = os.environ.get("SUAN_SHARE") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../share")
CITIES = {"beijing": 35.0, "guangzhou": 15.0, "shanghai": 4.0}


def rows(name):
    out = subprocess.run(["zstd", "-dcq", f"{SHARE}/data/{name}"], stdout=subprocess.PIPE, check=True).stdout.decode()
    return [line.split(",") for line in out.splitlines()[1:]]


# -- wet bulb: Goff-Gratch (1946, as in the Smithsonian tables) for the pressures, bisection for the root --

def saturation_pa(t_c, over_water=False):
    t = t_c + 273.15
    if t_c >= 0 or over_water:
        r = 373.16 / t
        exponent = (-7.90298 * (r - 1) + 5.02808 * math.log10(r) - 1.3816e-7 * (10 ** (11.344 * (1 - 1 / r)) - 1)
                    + 8.1328e-3 * (10 ** (-3.49149 * (r - 1)) - 1) + math.log10(1013.246))
    else:
        r = 273.16 / t
        exponent = -9.09718 * (r - 1) - 3.56654 * math.log10(r) + 0.876793 * (1 - 1 / r) + math.log10(6.1071)
    return 100 * 10 ** exponent


def balance(t, w, e, p, ice):
    """Heat and moisture balance of the bulb: positive when w is too warm."""
    if ice:
        es, heat, vapour, cold = saturation_pa(w) if w < 0 else 610.9, 2830 - 0.24 * w, 1.86 * t - 2.1 * w, 2830
    else:
        es, heat, vapour, cold = saturation_pa(w), 2501 - 2.326 * w, 1.86 * t - 4.186 * w, 2501
    ws, want = 0.621945 * es / (p - es), 0.621945 * e / (p - e)
    return heat * ws - 1.006 * (t - w) - want * (cold + vapour)


def wet_bulb_c(t, e, p):
    if e >= saturation_pa(t):
        return t
    ice = t < 0 or balance(t, 0.0, e, p, False) > 0
    lo, hi = (t - 60, min(t, 0.0)) if ice else (0.0, t)
    for _ in range(40):
        mid = (lo + hi) / 2
        if balance(t, mid, e, p, ice) > 0:
            hi = mid
        else:
            lo = mid
    return (lo + hi) / 2


def weather():
    checks = []
    for city, height in CITIES.items():
        values, missing = [], 0
        for _, t, dew, _, p in rows(f"weather/{city}.csv.zst"):
            if not (t and dew and p):
                missing += 1
                continue
            station = float(p) * 100 * (1 - 2.25577e-5 * height) ** 5.2559
            values.append(wet_bulb_c(float(t), saturation_pa(float(dew), over_water=True), station))
        values.sort()

        def check(name, want, within):
            checks.append({"at": f"{city}.{name}", "want": want, "within": within})
        check("hours", len(values), 0)
        check("missing", missing, 0)
        check("mean_c", round(sum(values) / len(values), 3), 0.02)
        for name, q in (("p01_c", 0.01), ("p50_c", 0.5), ("p99_c", 0.99)):
            check(name, round(values[math.ceil(q * len(values)) - 1], 2), 0.05)
        full = sum(v <= 12 for v in values)
        check("full_hours", full, 30)
        check("partial_hours", sum(v <= 18 for v in values) - full, 40)
    return {"source": "test/jobs/reference.py weather: Goff-Gratch pressures, bisection; tolerances cover the difference "
                      "of the two saturation formulas", "checks": checks}


def wetbulb():
    for i in range(200):
        t, rh, p = -20 + (i * 37 % 200) * 0.325, 0.05 + (i * 53 % 191) * 0.005, 75000 + (i * 71 % 53) * 500
        # Where a wet and an iced bulb both balance, a hair decides which: no call is made of those.
        if t > 0 and abs(wet_bulb_c(t, rh * saturation_pa(t), p)) < 0.6:
            continue
        ask = {"t_c": round(t, 3), "rh_ratio": round(rh, 3), "pressure_pa": p}
        answer = wet_bulb_c(ask["t_c"], ask["rh_ratio"] * saturation_pa(ask["t_c"]), p)
        print(json.dumps({"in": ask, "wet_bulb_c": round(answer, 3), "within": 0.02}))


# -- the forecast --

def series(name="de-lu"):
    data = rows(f"grid/{name}.csv.zst")
    return [float(r[1]) for r in data], [float(r[2]) for r in data]


QUARTER, H = 92 * 24, 24


def naive():
    ci, _ = series()
    start = len(ci) - QUARTER
    hours = range(start, len(ci))
    return {f"naive_{n}_{k}": v for n, lag in (("day", 24), ("week", 168)) for k, v in (
        ("mae", sum(abs(ci[i] - ci[i - lag]) for i in hours) / QUARTER),
        ("rmse", math.sqrt(sum((ci[i] - ci[i - lag]) ** 2 for i in hours) / QUARTER)))}


M64 = (1 << 64) - 1


def mix(a, b):
    p = a * b
    return (p & M64) ^ (p >> 64)


K0, K1 = 0xA0761D6478BD642F, 0xE7037ED1A0B428DB


def hash_once(b, seed):
    state, n = mix(seed ^ K0, K1), len(b)
    while len(b) >= 8:
        state = (mix(state ^ int.from_bytes(b[:8], "little"), K0) + K1) & M64
        b = b[8:]
    state = (mix(state ^ int.from_bytes(b, "little") ^ (n << 56 & M64), K1) + K0) & M64
    return mix(state ^ n, K1 ^ K0)


class Rng:
    """xoshiro256**, seeded by SplitMix64, forked by name."""

    def __init__(self, seed):
        self.seed, self.s = seed, []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & M64
            z = seed
            z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
            z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
            self.s.append(z ^ z >> 31)

    def fork(self, name):
        return Rng(hash_once(name.encode(), self.seed))

    def u64(self):
        s = self.s
        x = s[1] * 5 & M64
        result = ((x << 7 | x >> 57) & M64) * 9 & M64
        t = s[1] << 17 & M64
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = (s[3] << 45 | s[3] >> 19) & M64
        return result

    def below(self, n):
        m = self.u64() * n
        if m & M64 < n:
            while m & M64 < (-n & M64) % n:
                m = self.u64() * n
        return m >> 64

    def unit(self):
        return (self.u64() >> 11) * 2.0 ** -53


def train(epochs=1, hidden=4, seed=1, batch=32, stride_h=24, rate_ratio=0.0002, decay_ratio=1.0):
    ci, ren = series()
    test, valid = len(ci) - QUARTER, len(ci) - 2 * QUARTER
    start_h = 455832  # 2022-01-01T00:00Z

    def moments(x):
        mean = sum(x) / len(x)
        return mean, math.sqrt(sum((v - mean) ** 2 for v in x) / len(x))
    (mean, dev), (rmean, rdev) = moments(ci[:valid]), moments(ren[:valid])
    z = [(v - mean) / dev for v in ci]
    rz = [(v - rmean) / rdev for v in ren]

    def features(i):
        hour = start_h + i
        day, year = 2 * math.pi * (hour % 24) / 24, 2 * math.pi * (hour % 8766) / 8766
        return (z[i - 48:i] + z[i - 168:i - 144] + rz[i - 24:i]
                + [math.sin(day), math.cos(day), math.sin(year), math.cos(year)]
                + [1.0 if (hour // 24 + 3) % 7 == d else 0.0 for d in range(7)])
    nf = 48 + 24 + 24 + 11
    root = Rng(seed)
    r = root.fork("weights")
    a1, a2 = math.sqrt(6 / nf), 0.1 * math.sqrt(6 / hidden)
    w1 = [[a1 * (2 * r.unit() - 1) for _ in range(hidden)] for _ in range(nf)]
    w2 = [[a2 * (2 * r.unit() - 1) for _ in range(H)] for _ in range(hidden)]
    layers = w1 + [[0.0] * hidden] + w2 + [[0.0] * H]  # rows; one list of rows is all there is to optimise
    moment1 = [[0.0] * len(row) for row in layers]
    moment2 = [[0.0] * len(row) for row in layers]

    def run(x):
        unit = [max(0.0, layers[nf][j] + sum(x[i] * layers[i][j] for i in range(nf))) for j in range(hidden)]
        out = [layers[-1][o] + sum(unit[j] * layers[nf + 1 + j][o] for j in range(hidden)) for o in range(H)]
        return unit, out

    def mae(first, last, step):
        errors = []
        for i in range(first, last - H + 1, step):
            _, out = run(features(i))
            errors += [abs(max(0.0, ci[i + h - H] + out[h] * dev) - ci[i + h]) for h in range(H)]
        return sum(errors) / len(errors), math.sqrt(sum(e * e for e in errors) / len(errors))
    steps, best = 0, (math.inf, None, 0)
    for epoch in range(epochs):
        issues = list(range(168, valid - H + 1, stride_h))
        r = root.fork(f"epoch/{epoch}")
        for i in range(len(issues) - 1, 0, -1):
            k = r.below(i + 1)
            issues[i], issues[k] = issues[k], issues[i]
        for at in range(0, len(issues), batch):
            part = issues[at:at + batch]
            grad = [[0.0] * len(row) for row in layers]
            for i in part:
                x = features(i)
                unit, out = run(x)
                slope = [2 * (out[h] - (z[i + h] - z[i + h - H])) / H for h in range(H)]
                for o in range(H):
                    grad[-1][o] += slope[o]
                for j in range(hidden):
                    if unit[j] <= 0:
                        continue
                    back = 0.0
                    for o in range(H):
                        grad[nf + 1 + j][o] += unit[j] * slope[o]
                        back += layers[nf + 1 + j][o] * slope[o]
                    grad[nf][j] += back
                    for f in range(nf):
                        grad[f][j] += x[f] * back
            steps += 1
            c1, c2 = 1 - 0.9 ** steps, 1 - 0.999 ** steps
            for row, g, m, v in zip(layers, grad, moment1, moment2):
                for k in range(len(row)):
                    gk = g[k] / len(part)
                    m[k] = 0.9 * m[k] + 0.1 * gk
                    v[k] = 0.999 * v[k] + 0.001 * gk * gk
                    row[k] -= rate_ratio * (m[k] / c1 / (math.sqrt(v[k] / c2) + 1e-8) + decay_ratio * row[k])
        error, _ = mae(valid, test, 6)
        if error < best[0]:
            best = (error, [list(row) for row in layers], epoch + 1)
    layers[:] = best[1]
    error, rmse = mae(test, len(ci), H)
    return {"mae": error, "rmse": rmse, "best_epoch": best[2], **naive()}


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "weather":
        print(json.dumps(weather(), indent=1))
    elif what == "wetbulb":
        wetbulb()
    elif what == "naive":
        print(json.dumps(naive()))
    elif what == "train":
        given = dict(a.split("=") for a in sys.argv[2:])
        print(json.dumps(train(**{k: float(v) if "ratio" in k else int(v) for k, v in given.items()})))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
