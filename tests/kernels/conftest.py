"""Where the Triton loops run in these tests.

By default in Triton's interpreter, on the CPU. With TRITON_INTERPRET=0 and a GPU the same tests compile the
loops and run them there, bfloat16 included, which the interpreter computes wrongly (it works on the bits as
on integers). Not run on a GPU so far.
"""

import pytest
import torch
from torch.utils import deterministic
from triton import knobs


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
    """Memory that nobody wrote holds NaN, so what a kernel forgets to write is found."""
    before = torch.are_deterministic_algorithms_enabled(), deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(before[0])
    deterministic.fill_uninitialized_memory = before[1]
