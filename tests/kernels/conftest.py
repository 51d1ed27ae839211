"""Where the Triton loops run in these tests.

By default in Triton's interpreter, on the CPU. With TRITON_INTERPRET=0 and a GPU the same tests compile the
loops and run them there, bfloat16 included, which the interpreter computes wrongly (it works on the bits as
on integers). Not run on a GPU so far.
"""

import pytest
import torch
from triton import knobs

from symgru.testing import resident


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The CPU under the interpreter, else the GPU."""
    if knobs.runtime.interpret:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        pytest.skip("TRITON_INTERPRET=0 compiles for a GPU, and there is none")
    return torch.device("cuda")


@pytest.fixture(scope="module", autouse=True)
def nan_in_fresh_memory():
    with resident.nan_in_fresh_memory():
        yield
