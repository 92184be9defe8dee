#!/usr/bin/env python3
"""The tidy test: every rule fires on its bad sample, and the tree keeps it.   usage: test_rules.py [SOURCE_FOLDER]"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    tree = rules.Tree.of(root)
    count = failed = 0

    def ok(good, name, notes=()):
        nonlocal count, failed
        count += 1
        failed += not good
        print(("ok" if good else "not ok"), count, "-", name)
        for note in list(notes)[:20] if not good else []:
            print("#  ", note)

    for title, rule, sample, wanted in rules.RULES:
        fired = list(rule(rules.Tree(sample)))
        ok(len(fired) == wanted, f"'{title}' fires {wanted} times on its bad sample", [f"fired {len(fired)} times"] + fired)
    for title, rule, _, _ in rules.RULES:
        broken = list(rule(tree))
        ok(not broken, title, broken)
    ok(len(tree.files) > 100, f"{len(tree.files)} files were read")
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
