"""Interpreted kernels: programs that wait for each other, and numbers bit for bit as torch has them."""

import importlib.util
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from symgru.kernels.simulator import Livelock, NotResident, SimulatorError, interpreter
from symgru.kernels.simulator.interpreter_numerics import cut, narrow, split, widen
from triton.runtime import interpreter as triton_interpreter
from triton.runtime.errors import InterpreterError

SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40, -3e38, 3.3961e38, 1.00390625, 1.01171875]


def values(n=1000, dtype=np.float64):
    drawn = np.random.default_rng(0)
    scaled = drawn.standard_normal(n - len(SPECIAL)) * 2.0 ** drawn.integers(-130, 127, n - len(SPECIAL))
    return np.concatenate([np.array(SPECIAL), scaled]).astype(dtype)


def bits(tensor):
    """A bfloat16 tensor's bits, every NaN the same."""
    return torch.where(tensor.isnan(), 0x7FC0, tensor.view(torch.int16).to(torch.int32) & 0xFFFF)


# numbers


def test_narrow_rounds_as_torch_does():
    for_torch = torch.from_numpy(values(dtype=np.float32))
    assert torch.equal(
        torch.from_numpy(narrow(for_torch.numpy()).astype(np.int32)), bits(for_torch.to(torch.bfloat16))
    )


def test_narrow_rounds_a_double_once():
    just_above_a_tie = np.array([1 + 2.0**-8 + 2.0**-40, -(1 + 2.0**-8 + 2.0**-40), 1 + 2.0**-8])
    assert widen(narrow(just_above_a_tie)).tolist() == [1 + 2.0**-7, -(1 + 2.0**-7), 1.0]
    assert widen(narrow(np.array([1e300, -1e300, np.nan])))[:2].tolist() == [np.inf, -np.inf]


def test_tf32_keeps_ten_bits_and_its_parts_twenty():
    ordinary = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    large, small = split(ordinary)
    assert np.max(np.abs(cut(ordinary) / ordinary - 1)) < 2.0**-10
    assert np.max(np.abs(cut(ordinary) / ordinary - 1)) > 2.0**-11
    assert np.max(np.abs((large.astype(np.float64) + small) / ordinary - 1)) < 2.0**-21
    for part in (large, small, cut(ordinary)):
        assert not np.any(part.view(np.uint32) & 0x1FFF)


@triton.jit
def pointwise(x, y, sums, products, quotients, larger, fused, selected, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    inside = i < n
    a, b = tl.load(x + i, inside), tl.load(y + i, inside)
    tl.store(sums + i, a + b, inside)
    tl.store(products + i, a * b, inside)
    tl.store(quotients + i, a.to(tl.float32) / b.to(tl.float32), inside)
    tl.store(larger + i, tl.maximum(a, b), inside)
    tl.store(fused + i, tl.fma(a, b, a), inside)
    tl.store(selected + i, tl.where(a < b, -a, tl.abs(b)), inside)


def pairs():
    first = torch.from_numpy(values()).to(torch.bfloat16)
    first[-1 - SPECIAL.index(np.nan)] = torch.nan  # Triton 3.7: the maximum of NaN and a number is NaN
    return first, first.flip(0).contiguous()


def run_pointwise():
    x, y = pairs()
    results = [torch.zeros_like(x) for _ in range(6)]
    pointwise[(1,)](x, y, *results, len(x), BLOCK=1024)
    return results


def expected_pointwise():
    x, y = pairs()
    wide = x.double() * y.double() + x.double()
    return [
        x + y,
        x * y,
        (x.float() / y.float()).to(torch.bfloat16),
        torch.fmax(x, y),
        torch.from_numpy(narrow(wide.numpy()).view(np.int16)).view(torch.bfloat16),
        torch.where(x < y, -x, y.abs()),
    ]


def test_bfloat_is_bit_equal_to_torch():
    with interpreter.repaired(), np.errstate(all="ignore"):
        results = run_pointwise()
    for result, expected in zip(results, expected_pointwise(), strict=True):
        assert torch.equal(bits(result), bits(expected))


def test_triton_alone_is_wrong():
    with np.errstate(all="ignore"):
        results = run_pointwise()
    right = [torch.equal(bits(r), bits(e)) for r, e in zip(results, expected_pointwise(), strict=True)]
    assert not any(right[:2])


@triton.jit
def product(a, b, out, SIZE: tl.constexpr, PRECISION: tl.constexpr):
    i = tl.arange(0, SIZE)[:, None] * SIZE + tl.arange(0, SIZE)[None, :]
    tl.store(out + i, tl.dot(tl.load(a + i), tl.load(b + i), input_precision=PRECISION))


@pytest.mark.parametrize(
    ("dtype", "precision", "least", "most"),
    [
        (torch.float32, "ieee", 0, 1e-6),
        (torch.float32, "tf32", 1e-4, 3e-3),
        (torch.float32, "tf32x3", 0, 3e-6),
        (torch.bfloat16, "ieee", 0, 1e-6),
        (torch.float16, "ieee", 0, 1e-6),
    ],
)
def test_products_have_the_error_of_their_precision(dtype, precision, least, most):
    drawn = torch.Generator().manual_seed(0)
    a, b = (torch.randn(64, 64, generator=drawn).to(dtype) for _ in range(2))
    out = torch.zeros(64, 64)
    with interpreter.repaired():
        product[(1,)](a, b, out, SIZE=64, PRECISION=precision)
    exact = a.double() @ b.double()
    error = ((out - exact).abs().max() / exact.abs().max()).item()
    assert least <= error <= most


@triton.jit
def scatter(out, x, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.atomic_add(out + i % 2, tl.load(x + i), mask=i < 12)


def test_atomic_sums_of_bfloat():
    x, out = torch.arange(16, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16)
    with interpreter.repaired():
        scatter[(1,)](out, x, BLOCK=16)
    assert out.tolist() == [30.0, 36.0]


# programs


@triton.jit
def through_a_barrier(x, out, counter, programs, SIZE: tl.constexpr):
    """Each program writes, all meet, each reads what its right neighbour wrote."""
    me, i = tl.program_id(0), tl.arange(0, SIZE)
    tl.store(x + me * SIZE + i, me * SIZE + i)
    tl.atomic_add(counter, 1)
    while tl.atomic_add(counter, 0) < programs:
        pass
    right = (me + 1) % programs
    tl.store(out + me * SIZE + i, tl.load(x + right * SIZE + i))


@triton.jit
def volatile(x, out, flag):
    """The first program waits for the last."""
    if tl.program_id(0) == 0:
        while tl.load(flag, volatile=True) == 0:
            pass
        tl.store(out, tl.load(x))
    elif tl.program_id(0) == tl.num_programs(0) - 1:
        tl.store(x, 7)
        tl.atomic_xchg(flag, 1)


def meet(programs=5, size=4, expected=None):
    x, out = torch.full((programs, size), -1), torch.full((programs, size), -1)
    through_a_barrier[(programs,)](x, out, torch.zeros(1, dtype=torch.int32), expected or programs, SIZE=size)
    return out, torch.arange(programs * size).view(programs, size).roll(-1, 0)


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_programs_meet(seed):
    with interpreter.repaired(seed=seed):
        out, expected = meet()
    assert torch.equal(out, expected)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_volatile_loads_hand_over(seed):
    x, out, flag = (torch.zeros(1, dtype=torch.int32) for _ in range(3))
    with interpreter.repaired(seed=seed):
        volatile[(3,)](x, out, flag)
    assert out.item() == 7


def test_grid_that_is_not_resident_is_found(monkeypatch):
    monkeypatch.setattr(interpreter, "PATIENCE", 50)
    with interpreter.repaired(coresident=3), pytest.raises(NotResident, match="2 have not started"):
        meet()


def test_barrier_that_waits_for_too_many_is_found(monkeypatch):
    monkeypatch.setattr(interpreter, "PATIENCE", 50)
    with interpreter.repaired(), pytest.raises(Livelock, match="5 programs only poll"):
        meet(expected=6)


@triton.jit
def fails(flag):
    if tl.program_id(0) == 1:
        tl.static_assert(False, "planted")
    else:
        while tl.atomic_add(flag, 0) == 0:
            pass


def test_error_of_a_program_ends_the_launch():
    flag = torch.zeros(1, dtype=torch.int32)
    with interpreter.repaired(), pytest.raises(InterpreterError, match="planted"):
        fails[(2,)](flag)
    with interpreter.repaired():
        out, expected = meet()
    assert torch.equal(out, expected)


@triton.jit
def stops(flag, stop: tl.constexpr):
    if tl.program_id(0) == 1:
        stop()
    while tl.atomic_add(flag, 0) == 0:
        pass


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_program_that_is_interrupted_hangs_nobody(error):
    def stop():
        raise error("planted")

    before = threading.active_count()
    flag = torch.zeros(1, dtype=torch.int32)
    with interpreter.repaired(), pytest.raises(error, match="planted"):
        stops[(3,)](flag, stop)
    assert threading.active_count() == before


def test_programs_end_with_the_launch_that_is_interrupted(monkeypatch):
    def interrupted(waiting, resident):
        raise KeyboardInterrupt

    monkeypatch.setattr(interpreter, "PATIENCE", 10)
    monkeypatch.setattr(interpreter, "_stuck", interrupted)
    before = threading.active_count()
    with interpreter.repaired(), pytest.raises(KeyboardInterrupt):
        meet(expected=6)
    assert threading.active_count() == before


def test_example_of_the_documentation(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import .*?repaired.*?)```", text, re.DOTALL)
    file = tmp_path / "example.py"
    file.write_text(example, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("example", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.out.tolist() == [12, 12, 12, 12]


def test_the_interpreter_is_as_before():
    builder, executor = triton_interpreter.interpreter_builder, triton_interpreter.GridExecutor
    with pytest.raises(ZeroDivisionError), interpreter.repaired():
        raise ZeroDivisionError
    assert type(builder) is triton_interpreter.InterpreterBuilder
    assert triton_interpreter.GridExecutor is executor


def test_what_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="coresident"), interpreter.repaired(coresident=0):
        pass
    with interpreter.repaired(), pytest.raises(SimulatorError, match="already"), interpreter.repaired():
        pass
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(SimulatorError, match="TRITON_INTERPRET=1"), interpreter.repaired():
        pass
