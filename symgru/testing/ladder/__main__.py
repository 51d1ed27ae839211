"""One rung in this process; its outcome as JSON in a file. `running.py` starts it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from symgru.testing.ladder.outcome import RUNGS, Request


def main(arguments: list[str] | None = None) -> int:
    """Run the rung; 1 if it failed."""
    parser = argparse.ArgumentParser(prog="python -m symgru.testing.ladder", description=__doc__)
    parser.add_argument("rung", choices=RUNGS)
    parser.add_argument("--targets", nargs="*", default=())
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--accept")
    parser.add_argument("--json", type=Path, help="write the outcome to a file")
    chosen = parser.parse_args(arguments)
    from symgru.testing.ladder.rungs import RUNNERS

    outcome = RUNNERS[chosen.rung](Request(tuple(chosen.targets), chosen.thorough, chosen.accept))
    print(outcome.text)
    if chosen.json:
        chosen.json.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    return int(outcome.verdict == "failed")


if __name__ == "__main__":
    sys.exit(main())
