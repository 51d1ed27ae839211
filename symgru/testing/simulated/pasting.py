"""What a failing launch prints, pasted into a file and run from there."""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

SOURCE = """import symgru.testing.simulated.planted
from symgru.kernels import simulator

rewrite = {rewrite}


def again():
    return {text}
"""


def pasted(message: str, folder: Path) -> AbstractContextManager[Any]:
    """The device that the message says, from a file with the text as it was printed."""
    text, _, rewrite = message.rpartition("again with ")[2].partition(", where rewrite = ")
    file = folder / "pasted.py"
    file.write_text(SOURCE.format(text=text, rewrite=rewrite or None), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("pasted", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: AbstractContextManager[Any] = module.again()
    return made
