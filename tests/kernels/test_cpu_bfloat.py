"""The forward plans in bfloat16: against the oracle, beside the torch backend, on every instruction set."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from symgru.kernels.cpu import toolchain
from symgru.kernels.cpu.build import ROOT
from symgru.kernels.cpu.passes import plans
from torch.nn.utils.rnn import PackedSequence

from symgru.testing.cpu_libraries import ALWAYS_A_TEAM, NAN_IN_SCRATCH, SMALL_TILES, Edit, compiled, variant
from symgru.testing.cpu_passes import (
    Oracle,
    Plans,
    Problem,
    Tensors,
    assert_agrees,
    huge_numbers_in_fresh_memory,
    run,
)
from symgru.testing.cpu_strategies import problems, unwanted
from symgru.testing.tolerances import assert_close
from symgru.torch_api import GRU

pytestmark = pytest.mark.skipif(toolchain.compiler_command() is None, reason="no C++ compiler")

FORWARD = ("forward", "forward_saving")
CELLS = ("gru_keep_after", "gru_keep_before")  # one stage inside, and two
#: A pair of terms crosses neither a block of summands nor the end of a row; teams that share rows, and units.
LARGE = (
    Problem("keep", "after", (20,) * 3, 515, 257, dtype=torch.bfloat16),
    Problem("keep", "before", (40, 33, 33, 20), 101, 203, reverse=True, dtype=torch.bfloat16),
    Problem("update", "whole", (3, 3, 1), 64, 300, dtype=torch.bfloat16),
    Problem("update", "after", (260, 257), 7, 9, dtype=torch.bfloat16),
)
drawn = problems(dtypes=(torch.bfloat16,))
two_cells = problems(polarities=("keep",), resets=("after", "before"), dtypes=(torch.bfloat16,))


def sources(root: Path, edits: Iterable[Edit], cells: Sequence[str] = CELLS) -> Path:
    """A variant whose library has float and bfloat16, as that of the package has, without double."""
    variant(root, cells, edits)
    text = (ROOT / "cpu" / "library.cpp").read_text(encoding="utf-8")
    (root / "cpu" / "library.cpp").write_text(text.replace("double", "float"), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def by_sets(tmp_path_factory) -> dict[str, Plans]:
    """With dot products of pairs and without: teams however small the call, NaN in scratch."""
    root = sources(tmp_path_factory.mktemp("by_sets"), (ALWAYS_A_TEAM, NAN_IN_SCRATCH, SMALL_TILES))
    sets = [name for name in toolchain.supported_here() if name != "avx512"]  # no other source than for avx2
    return {name: compiled(root, name) for name in sets}


@pytest.fixture(autouse=True)
def nothing_in_fresh_memory_is_zero():
    with huge_numbers_in_fresh_memory():
        yield


def forward(
    library: Plans, problem: Problem, threads: int = 1, packed: bool = False, inputs: Tensors | None = None
) -> Tensors:
    return run(library, problem, threads, packed_before=packed, inputs=inputs, passes=FORWARD)


def bits(results: Tensors) -> Tensors:
    return {name: value.view(torch.int16) for name, value in results.items()}


def assert_same_bits(first: Tensors, second: Tensors) -> None:
    for name, value in bits(first).items():
        assert torch.equal(value, bits(second)[name]), name


@given(problem=drawn, nowhere=unwanted(), threads=st.integers(1, 4), packed=st.booleans())
def test_agrees_with_the_oracle(problem, nowhere, threads, packed):
    assert_agrees(problem, run(plans(), problem, threads, nowhere, packed, passes=FORWARD))


@pytest.mark.parametrize("problem", LARGE, ids=str)
def test_large_sizes(problem):
    results = forward(plans(), problem, threads=3)
    assert_agrees(problem, results)
    assert_same_bits(results, forward(plans(), problem, threads=1, packed=True))


@given(problem=drawn)
def test_no_worse_than_twice_the_error_of_the_torch_backend(problem):
    assume(not problem.reverse and not problem.absent)
    found, expected, peer = forward(plans(), problem), Oracle(problem).results(), _torch_backend(problem)
    for name in ("h_new", "h_new_last"):
        assert_close(f"{name} of {problem}", found[f"forward {name}"], expected[name], peer[name])


def _torch_backend(problem: Problem) -> Tensors:
    values = problem.inputs()
    convention = {"polarity": problem.polarity, "reset": problem.reset}
    module = GRU(problem.input_size, problem.hidden_size, backend="torch", dtype=problem.dtype, **convention)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(module, f"{name}_l0").copy_(values[name])
        sequence = PackedSequence(values["x"], torch.tensor(problem.batch_sizes))
        resets = sequence._replace(data=values["resets"]) if problem.resets else None
        output, last = module(sequence, values["h_prev"][None], resets)
    return {"h_new": output.data, "h_new_last": last[0]}


@given(problem=two_cells, threads=st.integers(1, 4))
def test_all_instruction_sets_agree_with_the_oracle(by_sets, problem, threads):
    """Those with a fused multiply-add give the same bits, whether they have dot products of pairs or not."""
    results = {name: forward(library, problem, threads) for name, library in by_sets.items()}
    for found in results.values():
        assert_agrees(problem, found)
    fused = [found for name, found in results.items() if name != "portable"]
    for found in fused[1:]:
        assert_same_bits(fused[0], found)


@given(problem=two_cells, threads=st.integers(2, 4))
def test_same_bits_for_every_team_and_every_part_of_the_batch(by_sets, problem, threads):
    best, kept = by_sets[toolchain.supported_here()[0]], problem.batch_sizes[-1]
    whole = forward(best, problem)
    assert_same_bits(whole, forward(best, problem, threads))
    assume(problem.even and kept > 1)
    half = dataclasses.replace(problem, batch_sizes=(kept // 2,) * len(problem.batch_sizes))
    inputs = problem.inputs()
    rows = torch.arange(sum(problem.batch_sizes)) % kept < kept // 2
    inputs |= {name: inputs[name][rows] for name in ("x", "resets") if name in inputs}
    if "h_prev" in inputs:
        inputs["h_prev"] = inputs["h_prev"][: kept // 2]
    part = forward(best, half, inputs=inputs)
    assert torch.equal(part["forward h_new"], whole["forward h_new"][rows])


def test_a_state_is_carried_in_float32_and_rounded_once(by_sets):
    """Without matrices, bfloat16 gives what float32 gives, rounded: ties, subnormals, infinities, NaN."""
    H = 37
    problem = Problem("keep", "after", (9,) * 5, 3, H, dtype=torch.bfloat16)
    inputs = problem.inputs()
    inputs |= {name: torch.zeros_like(inputs[name]) for name in ("weight_ih", "weight_hh")}
    inputs["bias_ih"][2 * H :] = 0  # the candidate is 0
    inputs["bias_hh"][2 * H :] = 0
    inputs["h_prev"][1] *= 2.0**-130
    inputs["h_prev"][2] *= 2.0**127
    wide = {name: value.float() for name, value in inputs.items()}
    for library in by_sets.values():
        found = forward(library, problem, inputs=inputs)
        expected = forward(library, dataclasses.replace(problem, dtype=torch.float32), inputs=wide)
        for name, value in found.items():
            assert torch.equal(value, expected[name].bfloat16()), name


def test_rows_do_not_mix(by_sets):
    """What is NaN in one example stays there, though a pair of terms could reach into the next row."""
    problem = Problem("keep", "before", (7,) * 4, 3, 5, dtype=torch.bfloat16)
    for library in by_sets.values():
        assert not _leaks(library, problem)


def _leaks(library: Plans, problem: Problem) -> bool:
    found = []
    for example in range(problem.batch_sizes[0]):
        inputs = problem.inputs()
        inputs["x"][example :: problem.batch_sizes[0]] = float("nan")
        nan = forward(library, problem, inputs=inputs)["forward h_new"].isnan()
        expected = torch.zeros_like(nan)
        expected[example :: problem.batch_sizes[0]] = True
        found.append(torch.equal(nan, expected))
    return not all(found)


@pytest.mark.parametrize("passes", [("forward", "backward"), ("forward_saving", "backward_saved")])
@pytest.mark.parametrize("packed", [False, True])
def test_backward_plans_refuse(passes, packed):
    problem = Problem("keep", "after", (2, 2), 3, 4, dtype=torch.bfloat16)
    with pytest.raises(
        TypeError, match=rf"gru_keep_after_{passes[1]} takes float32 or float64, not bfloat16"
    ):
        run(plans(), problem, packed_before=packed, passes=passes)


PLANTED = {
    "an odd term is lost": Edit(
        "cpu/bfloat.h", "if (k < terms) add_pair<false>", "if (k < 0) add_pair<false>"
    ),
    "the numbers of a pair change places": Edit("cpu/bfloat.h", "k, panel + ldp)", "k, panel)"),
    "the second block of summands is not there": Edit("cpu/bfloat.h", "a.p += terms,", "a.p += 0,"),
    "results are not stored": Edit(
        "cpu/stage.h", "{ convert(p, value, columns); }", "{ convert(p, value, 1); }"
    ),
    "a sequence lies elsewhere": Edit("cpu/stage.h", "(first_row + row) * n : nullptr", "row * n : nullptr"),
}


def planted(folder: Path, edit: Edit) -> Plans:
    root = sources(folder, (NAN_IN_SCRATCH, SMALL_TILES, edit), CELLS[:1])
    return compiled(root, "portable", ("-O0",))


@pytest.mark.thorough
@pytest.mark.parametrize("what", PLANTED)
def test_planted_errors_are_caught(tmp_path, what):
    library = planted(tmp_path, PLANTED[what])
    problem = Problem("keep", "after", (50,) * 4, 301, 19, dtype=torch.bfloat16)
    with pytest.raises(AssertionError, match="forward h_new"):
        assert_agrees(problem, forward(library, problem))


def test_a_planted_leak_is_caught(tmp_path):
    """An odd term that comes with its neighbour in the next row."""
    edit = Edit("cpu/bfloat.h", "add_pair<false>(sum", "add_pair<true>(sum")
    assert _leaks(planted(tmp_path, edit), Problem("keep", "after", (7,) * 4, 3, 5, dtype=torch.bfloat16))


def test_a_planted_rounding_is_caught(tmp_path):
    """Of a bit, which the tolerance does not see."""
    edit = Edit("cpu/bfloat.h", "bits + 0x7fff + ((bits >> 16) & 1)", "bits")
    library = planted(tmp_path, edit)
    with pytest.raises(AssertionError):
        test_a_state_is_carried_in_float32_and_rounded_once({"portable": library})
