#!/usr/bin/env python3
"""README promises only what this runs: every ```sh block against a real region, and every link to a file."""
import os
import re
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from region import Region, SOURCE, done, ok  # noqa: E402

SUAN = os.path.abspath(sys.argv[1])


def text_of(name):
    with open(os.path.join(SOURCE, name)) as f:
        return f.read()


def links():
    for page in ("README.md", "ARCHITECTURE.md", "HACKING.md", "doc/tour.md"):
        if not os.path.exists(os.path.join(SOURCE, page)):
            ok(False, f"{page} is there")
            continue
        text, missing = text_of(page), []
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            if not os.path.exists(os.path.join(SOURCE, os.path.dirname(page), target)):
                missing.append(target)
        for target in re.findall(r"`((?:src|test|share|doc|bench|web)/[A-Za-z0-9_./-]+)`", text):
            path = os.path.join(SOURCE, target.rstrip("/"))
            if not any(os.path.exists(path + end) for end in ("", ".py", ".c", ".sh", ".h")):
                missing.append(target)
        ok(not missing, f"every file that {page} names is there", "\n".join(missing))


def scripts():
    for name in ("run", "check", "bench/run"):
        path = os.path.join(SOURCE, name)
        ok(os.path.exists(path) and os.stat(path).st_mode & stat.S_IXUSR, f"./{name} is there and can be started")


def blocks(region):
    for block in re.findall(r"```sh\n(.*?)```", text_of("README.md"), re.S):
        name = block.strip().splitlines()[0]
        script = f'set -e\nsuan() {{ "{SUAN}" --state "{region.state}" "$@"; }}\n{block}'
        r = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=SOURCE, timeout=120)
        ok(r.returncode == 0 and r.stdout.strip(), f"README: {name} …", r.stderr or r.stdout)


def main():
    links()
    scripts()
    with Region(SUAN, "share/estates/national-hubs.yaml") as region:
        blocks(region)
    done()


main()
