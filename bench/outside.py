"""Bench rows that are measured from outside a program. Each takes (build folder, quick, inner) and returns rows;
`inner()` runs the C program of the same name and returns its rows, where there is one."""
import os
import re
import shutil
import subprocess
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def row(goal, value, unit, target, good, peer=None, **more):
    return {"goal": goal, "value": value, "unit": unit, "target": target, "peer": peer, "ok": bool(good), **more}


def clean_build(build, quick, inner):
    """A clean build of everything meson builds, two jobs, no ccache. The value is CPU time over two cores, because wall
    time on a shared machine measures the neighbours; the wall time stands beside it."""
    folder = tempfile.mkdtemp(prefix="suan-bench-build-")
    env = {**os.environ, "CCACHE_DISABLE": "1"}
    try:
        subprocess.run(["meson", "setup", folder, "--buildtype=debugoptimized"], cwd=SOURCE, env=env, check=True,
                       stdout=subprocess.DEVNULL)
        before, begin = os.times(), time.monotonic()
        subprocess.run(["ninja", "-C", folder, "-j2"], env=env, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.monotonic() - begin, os.times()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cpu = (after.children_user - before.children_user + after.children_system - before.children_system) / 2
    return [row("clean-build", round(cpu, 1), "s", 90, cpu < 90, wall_s=round(wall, 1))]


def world_seeds(build, quick, inner):
    """The same state hash from gcc -O2 and clang -O1 with sanitizers, over a hundred seeds; quick runs shorter days."""
    folder = os.path.join(build, "test/world")
    os.makedirs(folder, exist_ok=True)
    words = [os.path.join(SOURCE, "test/world/compare_hashes.sh"), SOURCE, os.path.abspath(folder), "100", "6" if quick else "24"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)
    m = re.search(r"^ok 2 - (\d+) of (\d+) seeds", done.stdout, re.M)
    same = int(m[1]) if m else 0
    return [row("world-seeds", same, "seeds", 100, same == 100 and done.returncode == 0)]


SCRIPTED = {"clean-build": clean_build, "world-seeds": world_seeds}
