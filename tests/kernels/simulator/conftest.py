"""All but `test_interpreter.py` need Triton's compiler; `tests/conftest.py` chooses the interpreter.

The two exclude each other in a process: `tests/kernels/test_simulator.py` runs each file of this folder in
one of its own. By hand: `TRITON_INTERPRET=0 pytest tests/kernels/simulator`.
"""

import os
from pathlib import Path

if os.environ["TRITON_INTERPRET"] != "1":  # else collected beside tests that choose for themselves
    # Unset, Triton 3.9 warns that the default will change.
    os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
    # Pointers in place of buffer descriptors on AMD, as `simulator.device` has it.
    os.environ.setdefault("AMDGCN_USE_BUFFER_OPS", "0")

INTERPRETED = {"test_interpreter.py"}
_FILES = {file.name for file in Path(__file__).parent.glob("test_*.py")}

collect_ignore = sorted(_FILES - INTERPRETED if os.environ["TRITON_INTERPRET"] == "1" else INTERPRETED)
