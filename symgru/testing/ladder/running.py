"""Each rung in a process of its own: Triton's interpreter and its compiler exclude each other in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from symgru.testing.ladder.outcome import RUNGS, Outcome, Request

#: Lines of a crash that are told.
TAIL = 12


def environment(interpreted: bool | None) -> dict[str, str]:
    """This process's, with the interpreter on or off; fusion as the releases before 3.10 have it."""
    chosen = {"TRITON_INTERPRET": "1" if interpreted else "0", "TRITON_DEFAULT_FP_FUSION": "1"}
    return {**os.environ, "OMP_NUM_THREADS": "1"} | chosen


def run(rung: str, request: Request) -> Outcome:
    """Run a rung; one that crashes has failed, with the end of what it said."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "outcome.json")
        options = ["--targets", *request.targets, "--json", str(file)]
        options += ["--thorough"] if request.thorough else []
        options += ["--accept", request.accept] if request.accept is not None else []
        done = subprocess.run(
            [sys.executable, "-m", "symgru.testing.ladder", rung, *options],
            env=environment(RUNGS[rung][1]),
            capture_output=True,
            text=True,
        )
        if not file.exists():
            said = "\n".join((done.stdout + done.stderr).splitlines()[-TAIL:])
            return Outcome(rung, "failed", 0, [f"exit status {done.returncode}\n{said}"])
        return Outcome(**json.loads(file.read_text(encoding="utf-8")))
