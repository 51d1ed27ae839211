"""The driver with Triton's real JIT, compiler, cache and autotuner; a stand-in in place of the execution.

The stand-in keeps what it was called with. That results are right is for the tests of the whole.
"""

import sys
import threading
import types
from dataclasses import dataclass

import pytest
import torch
import triton
import triton.language as tl
from symgru.kernels import simulator
from symgru.kernels.simulator import binary, driver, runtime, sass
from triton.runtime import driver as drivers
from triton.runtime.errors import OutOfResources


@triton.jit
def add(x, y, out, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(out + i, tl.load(x + i, inside) + tl.load(y + i, inside), inside)


@triton.jit
def every_kind(pair, nothing, one, scale, flag, count, out):
    value = tl.load(pair[0]) * scale + one + count
    if nothing is None:
        value += flag
    tl.store(out + pair[1], value)


@triton.jit
def product(a, b, out, steps, SIZE: tl.constexpr):
    """A pipeline: each of its stages holds 16 KiB of half-precision tiles of 64 x 64 in shared memory."""
    i = tl.arange(0, SIZE)[:, None] * SIZE + tl.arange(0, SIZE)[None, :]
    total = tl.zeros((SIZE, SIZE), tl.float32)
    for k in range(steps):
        total = tl.dot(tl.load(a + k * SIZE * SIZE + i), tl.load(b + k * SIZE * SIZE + i), total)
    tl.store(out + i, total)


def launch_product(kernel, **options):
    a, out = torch.zeros(9, 64, 64, dtype=torch.float16), torch.zeros(64, 64)
    kernel[(1,)](a, a, out, 9, SIZE=64, **options)


@dataclass(frozen=True)
class Call:
    llir: str
    grid: tuple
    arguments: list
    buffers: list
    schedule: object
    checks: object
    resident: int | None


class StandIn:
    """In place of `Kernel`: notes its calls, fails if told to."""

    calls: list
    error: BaseException | None = None

    def __init__(self, binary):
        self.binary = binary

    def launch(self, grid, arguments, *, buffers, schedule, checks, resident, number):
        if StandIn.error is not None:
            raise StandIn.error
        llir = self.binary.asm["llir"]
        StandIn.calls.append(Call(llir, grid, arguments, buffers, schedule, checks, resident))
        return {"loads": 7}


@pytest.fixture(autouse=True)
def calls(monkeypatch, request):
    forget()
    if request.node.name.startswith("test_end_to_end"):
        yield None
        return
    module = types.ModuleType("kernel")
    module.Kernel = StandIn
    monkeypatch.setitem(sys.modules, "symgru.kernels.simulator.kernel", module)
    monkeypatch.setattr(simulator, "kernel", module, raising=False)
    monkeypatch.setattr(StandIn, "calls", [], raising=False)
    yield StandIn.calls
    forget()


def forget():
    """Binaries outlive a test; the stand-ins that they hold must not."""
    for known in list(binary._binaries.values()):
        known._kernels.clear()


def vectors(n=100):
    return torch.arange(n, dtype=torch.float32), torch.ones(n), torch.empty(n)


def run_add(n=100, block=128):
    x, y, out = vectors(n)
    add[(triton.cdiv(n, block),)](x, y, out, n, BLOCK=block)
    return x, y, out


@pytest.mark.parametrize(
    ("name", "vendor"),
    [("sm_80", "nvvm"), ("sm_120", "nvvm"), ("gfx942", "amdgcn"), ("gfx1201", "amdgcn")],
)
def test_a_launch_compiles_for_the_target_and_is_recorded(name, vendor, calls):
    with simulator.device(name) as device:
        run_add(300)
    (call,), (launch,) = calls, device.launches
    assert f"@llvm.{vendor}." in call.llir
    assert launch.binary.metadata.target == simulator.TARGETS[name].triton
    assert (launch.name, launch.grid, launch.target) == ("add", (3, 1, 1), name)
    assert (launch.counters, launch.schedule) == ({"loads": 7}, "simulator.fifo()")


def test_arguments_are_addresses_and_storages_are_buffers(calls):
    with simulator.device("sm_90"):
        x, y, out = run_add()
    arguments = {name: (type_, value) for name, type_, value in calls[0].arguments}
    assert arguments["x"] == ("*fp32", x.data_ptr())
    assert arguments["n"] == ("i32", 100)
    assert list(arguments)[4:] == ["global_scratch", "profile_scratch"]
    assert "BLOCK" not in arguments
    found = {b.name: (b.start, b.bytes, b.uninitialised) for b in calls[0].buffers}
    assert found == {n: (t.data_ptr(), 400, False) for n, t in (("x", x), ("y", y), ("out", out))}


def test_views_of_one_storage_are_one_buffer(calls):
    memory, out = torch.zeros(200), torch.zeros(100)
    with simulator.device("sm_90"):
        add[(1,)](memory[:100], memory[100:], out, 100, BLOCK=128)
    assert {b.name: b.bytes for b in calls[0].buffers} == {"x, y": 800, "out": 400}


def test_arguments_of_every_kind(calls):
    x, out = torch.zeros(1), torch.zeros(4)
    with simulator.device("sm_90"):
        every_kind[(1, 2, 3)]((x, 3), None, 1, 0.5, True, 5, out)
    values = {name: (type_, value) for name, type_, value in calls[0].arguments[:-2]}
    assert values["pair[0]"] == ("*fp32", x.data_ptr())
    assert values["pair[1]"] == ("i32", 3)
    assert values["scale"] == ("fp32", 0.5)
    assert values["flag"][1] == 1
    assert values["count"] == ("i32", 5)
    assert "one" not in values  # specialised
    assert "nothing" not in values
    assert calls[0].grid == (1, 2, 3)


def test_number_of_parameters_is_that_of_the_compiled_function(calls):
    x, out = torch.zeros(1), torch.zeros(4)
    with simulator.device("sm_90"):
        every_kind[(1,)]((x, 3), None, 1, 0.5, True, 5, out)
    header = next(line for line in calls[0].llir.splitlines() if line.startswith("define ptx_kernel"))
    assert header.count("%") == len(calls[0].arguments)


def test_an_empty_grid_runs_nothing(calls):
    with simulator.device("sm_90") as device:
        add[(0,)](*vectors(), 100, BLOCK=128)
    assert not calls
    assert not device.launches


def test_tensor_elsewhere_is_refused():
    with simulator.device("sm_90"), pytest.raises(simulator.SimulatorError, match=r"argument out.*meta"):
        add[(1,)](*vectors()[:2], torch.empty(100, device="meta"), 100, BLOCK=128)


def test_descriptor_is_refused():
    from triton.tools.tensor_descriptor import TensorDescriptor

    @triton.jit
    def copy(source, out):
        i = tl.arange(0, 16)[:, None] * 16 + tl.arange(0, 16)[None, :]
        tl.store(out + i, source.load([0, 0]))

    source = TensorDescriptor.from_tensor(torch.zeros(16, 16), [16, 16])
    with (
        simulator.device("sm_90"),
        pytest.raises(simulator.SimulatorError, match=r"kernel copy: for sm_90 .*descriptors"),
    ):
        copy[(1,)](source, torch.zeros(16, 16))


def test_clusters_are_refused():
    with simulator.device("sm_90"), pytest.raises(simulator.UnknownInstruction, match="num_ctas"):
        add[(1,)](*vectors(), 100, BLOCK=128, num_ctas=2)


def test_llvmlite_that_is_missing_is_named(monkeypatch):
    for module in ("kernel", "machine"):
        monkeypatch.delitem(sys.modules, f"symgru.kernels.simulator.{module}", raising=False)
    for module in [name for name in sys.modules if name.split(".")[0] == "llvmlite"] or ["llvmlite"]:
        monkeypatch.setitem(sys.modules, module, None)
    how = r'pip install "symgru\[simulator\]"'
    with simulator.device("sm_90"), pytest.raises(simulator.SimulatorError, match=how):
        run_add()


def test_options_reach_the_launch(calls):
    with simulator.device("sm_90", seed=3, races=False, coresident=2, uninitialised=("out",)) as device:
        run_add()
    assert calls[0].resident == 2
    assert runtime.Checks.RACES not in calls[0].checks
    assert [b.name for b in calls[0].buffers if b.uninitialised] == ["out"]
    assert calls[0].schedule == runtime.random(3)
    assert device.launches[0].schedule == "simulator.random(3)"


@pytest.mark.parametrize(
    ("options", "schedule"),
    [
        ({}, runtime.fifo()),
        ({"seed": 2}, runtime.random(2)),
        ({"seed": 2, "schedule": "pct"}, runtime.pct(2)),
        ({"schedule": "random"}, runtime.random(0)),
        ({"schedule": runtime.pct(1, depth=5)}, runtime.pct(1, depth=5)),
    ],
)
def test_schedules(options, schedule, calls):
    with simulator.device("sm_90", **options):
        run_add()
    assert calls[0].schedule == schedule


def test_storages_that_overlap_are_one_buffer(calls):
    shared = torch.zeros(100).numpy()
    with simulator.device("sm_90"):
        add[(1,)](torch.from_numpy(shared), torch.from_numpy(shared[50:]), torch.empty(100), 50, BLOCK=64)
    assert {b.name: b.bytes for b in calls[0].buffers} == {"x, y": 400, "out": 400}


def test_rewrite_sees_the_llir_and_what_it_returns_runs(calls):
    with simulator.device("sm_90", rewrite=lambda text: text + "; planted") as device:
        run_add()
    with simulator.device("sm_90"):
        run_add()
    assert [call.llir.endswith("; planted") for call in calls] == [True, False]
    assert not device.launches[0].binary.asm["llir"].endswith("; planted")


def test_registered_memory_is_a_buffer(calls):
    table = torch.zeros(10)
    with simulator.device("sm_90") as device:
        device.register("table", table)
        run_add()
    assert ("table", 40) in [(b.name, b.bytes) for b in calls[0].buffers]


def test_failing_launch_says_how_to_see_it_again(monkeypatch):
    monkeypatch.setattr(StandIn, "error", simulator.SimulatorError("found something"))
    with simulator.device("gfx942", seed=5) as device, pytest.raises(simulator.SimulatorError) as error:
        run_add()
    assert "found something" in str(error.value)
    assert "kernel add, grid (1, 1, 1)" in str(error.value)
    assert 'again with simulator.device("gfx942", schedule=simulator.random(5))' in str(error.value)
    assert device.launches[0].counters == {}


# the driver that was there before


def test_former_driver_is_back_after_an_error():
    before, run = drivers._active, triton.runtime.autotuner.Autotuner.run
    buffer_operations = triton.knobs.amd.use_buffer_ops
    with simulator.device("sm_80"):
        assert drivers.active is driver._DRIVER
        assert drivers.active.simulated is simulator.TARGETS["sm_80"]
        assert triton.knobs.amd.use_buffer_ops is False
    assert driver._DRIVER.simulated is None
    with pytest.raises(ZeroDivisionError), simulator.device("sm_80"):
        raise ZeroDivisionError
    assert drivers._active is before
    assert triton.runtime.autotuner.Autotuner.run is run
    assert triton.knobs.amd.use_buffer_ops == buffer_operations


def test_devices_nest(calls):
    with simulator.device("sm_80") as outer:
        run_add()
        with simulator.device("gfx1100") as inner:
            run_add()
        run_add()
    assert [launch.target for launch in outer.launches] == ["sm_80"] * 2
    assert [launch.target for launch in inner.launches] == ["gfx1100"]
    assert ["amdgcn" in call.llir for call in calls] == [False, True, False]


def test_threads_have_devices_of_their_own():
    ready, found = threading.Barrier(2), {}

    def work(name):
        with simulator.device(name) as device:
            ready.wait()
            run_add()
            ready.wait()
            found[name] = [launch.binary.metadata.target for launch in device.launches]

    threads = [threading.Thread(target=work, args=(name,)) for name in ("sm_80", "gfx942")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: [simulator.TARGETS[name].triton] for name in ("sm_80", "gfx942")}
    assert drivers._active is not driver._DRIVER


def test_thread_without_a_device_is_told():
    caught = []

    def work():
        with pytest.raises(simulator.SimulatorError, match="this thread has none") as error:
            run_add()
        caught.append(error)

    with simulator.device("sm_80"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert caught


def test_kernel_outlives_its_device(calls):
    with simulator.device("sm_80") as first:
        run_add()
    with simulator.device("sm_80", coresident=1) as second:
        run_add()
    assert [len(first.launches), len(second.launches)] == [1, 1]
    assert [call.resident for call in calls] == [108 * 16, 1]


# resources and the autotuner


def test_shared_memory_over_the_limit_is_tritons_error():
    with simulator.device("sm_86"), pytest.raises(OutOfResources, match="shared memory"):
        launch_product(product, num_stages=9)


def test_threads_over_the_limit_are_tritons_error():
    with simulator.device("gfx942"), pytest.raises(OutOfResources, match="threads"):
        add[(1,)](*vectors(), 100, BLOCK=128, num_warps=32)


def tuned():
    """A fresh autotuner: many stages need more shared memory than sm_86 has, not more than sm_90 has."""
    return triton.autotune([triton.Config({}, num_stages=stages) for stages in (9, 2)], key=[])(product)


def test_autotuner_runs_every_configuration_and_keeps_the_first():
    kernel = tuned()
    with simulator.device("sm_90") as device:
        launch_product(kernel)
        launch_product(kernel)
    assert [launch.binary.metadata.num_stages for launch in device.launches] == [9, 2, 9, 9]


def test_autotuner_passes_over_what_does_not_fit_on_each_target():
    kernel = tuned()
    for name, stages in (("sm_90", 9), ("sm_86", 2), ("sm_90", 9)):
        with simulator.device(name):
            launch_product(kernel)
        assert kernel.best_config.num_stages == stages


def test_autotuner_does_not_pass_over_an_error(monkeypatch):
    monkeypatch.setattr(StandIn, "error", simulator.SimulatorError("a race"))
    with simulator.device("sm_90"), pytest.raises(simulator.SimulatorError, match="a race"):
        launch_product(tuned())


# what is refused at once


def test_unknown_target_and_bad_count():
    with pytest.raises(ValueError, match="sm_70"), simulator.device("sm_70"):
        pass
    with pytest.raises(ValueError, match="schedule"), simulator.device("sm_80", schedule="lifo"):
        pass
    with pytest.raises(ValueError, match="seed"), simulator.device("sm_80", seed=1, schedule=runtime.fifo()):
        pass
    with pytest.raises(ValueError, match="coresident"), simulator.device("sm_80", coresident=0):
        pass


def test_time_is_not_measured():
    with simulator.device("sm_80"), pytest.raises(simulator.SimulatorError, match="no clock"):
        triton.testing.do_bench(lambda: None)


@pytest.mark.parametrize("name", ["sm_80", "sm_90", "gfx942", "gfx1100"])
def test_end_to_end(name):
    """Without the stand-in: what was compiled for the GPU adds the vectors."""
    with simulator.device(name, seed=1) as device:
        x, y, out = run_add(300)
        run_add(300)
    first, second = device.launches
    assert torch.equal(out, x + y)
    assert first.counters == second.counters
    assert first.binary is second.binary  # translated once


def test_end_to_end_error():
    """An access outside is found, and the message has what it takes to see it again."""
    x, y, out = vectors()
    with simulator.device("sm_90", seed=2), pytest.raises(simulator.OutOfBounds) as first:
        add[(1,)](x, y, out, 101, BLOCK=128)
    assert "byte 400 of buffer x (400 bytes)" in str(first.value)
    again = (
        'in kernel add, grid (1, 1, 1); again with simulator.device("sm_90", schedule=simulator.random(2))'
    )
    assert again in str(first.value)
    with (
        simulator.device("sm_90", schedule=runtime.random(2)),
        pytest.raises(simulator.OutOfBounds) as second,
    ):
        add[(1,)](x, y, out, 101, BLOCK=128)
    assert str(first.value) == str(second.value)


def test_memory_is_uninitialised_in_its_first_launch_only(calls):
    x, y, out = vectors()
    with simulator.device("sm_90", uninitialised=("y", "out")):
        add[(1,)](x, y[:0], out, 0, BLOCK=128)
        add[(1,)](x, out, torch.empty(100), 100, BLOCK=128)  # the former `out` is `y` now
        add[(1,)](x, y, out, 100, BLOCK=128)
    unwritten = [[b.start for b in call.buffers if b.uninitialised] for call in calls]
    assert set(unwritten[0]) == {y.data_ptr(), out.data_ptr()}
    assert len(unwritten[1]) == 1
    assert out.data_ptr() not in unwritten[1]
    assert not unwritten[2]


def test_memory_is_uninitialised_for_every_device(calls):
    x, y, out = vectors()
    for _ in range(2):
        with simulator.device("sm_90", uninitialised=("out",)):
            add[(1,)](x, y, out, 100, BLOCK=128)
    assert [[b.name for b in call.buffers if b.uninitialised] for call in calls] == [["out"]] * 2


def test_as_many_programs_are_resident_as_the_target_holds(calls):
    """A multiprocessor of an H100 has room for 64 warps and 228 KiB of shared memory."""
    for warps, programs in ((4, 16), (8, 8), (32, 2)):
        with simulator.device("sm_90"):
            add[(1,)](*vectors(), 100, BLOCK=128, num_warps=warps)
        assert calls[-1].resident == 132 * programs
    with simulator.device("sm_90") as device:
        launch_product(product, num_stages=9)
    shared = device.launches[0].binary.metadata.shared
    assert calls[-1].resident == 132 * (228 * 1024 // (shared + 1024)) < 132 * 16


def test_registers_over_the_limit_are_refused(monkeypatch):
    """A multiprocessor has 65,536 registers; no compiler of Triton's lets 1024 threads take 128 each."""
    monkeypatch.setattr(driver, "_usage", lambda backend, code: sass.Usage(128, 0))
    message = "no program of 1024 threads with 128 registers each and .* fits on sm_90"
    with simulator.device("sm_90"), pytest.raises(simulator.ResourceError, match=message):
        add[(1,)](*vectors(), 100, BLOCK=128, num_warps=32)
    with simulator.device("sm_90"):
        add[(1,)](*vectors(), 100, BLOCK=128, num_warps=16)


def test_misspelt_name_is_told():
    message = r"uninitialised=\['ou'\]: expected names of pointer arguments.*has out, x, y"
    with (
        pytest.raises(simulator.SimulatorError, match=message),
        simulator.device("sm_90", uninitialised=("ou", "x")),
    ):
        run_add()
    with simulator.device("sm_90", uninitialised=("table", "out")) as device:
        device.register("table", torch.zeros(10))
        run_add()


def test_memory_that_is_declared_by_one_of_two_names_is_told():
    memory, out = torch.zeros(200), torch.zeros(100)
    message = r"arguments x, y share their memory: expected all or none.*got \['x'\]"
    for names in (("x",), ("x", "y")):
        with simulator.device("sm_90", uninitialised=names):
            if len(names) == 2:
                add[(1,)](memory[:100], memory[100:], out, 100, BLOCK=128)
                continue
            with pytest.raises(simulator.SimulatorError, match=message):
                add[(1,)](memory[:100], memory[100:], out, 100, BLOCK=128)


@pytest.mark.parametrize("value", [1e39, -1e39])
def test_end_to_end_number_that_is_too_large(value):
    x, out = torch.zeros(1), torch.zeros(4)
    message = "argument scale: expected a number that float holds, or an infinity, got"
    with simulator.device("sm_90"), pytest.raises(simulator.SimulatorError, match=message):
        every_kind[(1,)]((x, 3), None, 1, value, True, 5, out)
    with simulator.device("sm_90"):
        every_kind[(1,)]((x, 3), None, 1, float("inf"), True, 5, out)


def test_end_to_end_uninitialised():
    x, y, out = vectors()
    with (
        simulator.device("sm_90", uninitialised=("x",)),
        pytest.raises(simulator.Uninitialised, match="buffer x"),
    ):
        add[(1,)](x, y, out, 100, BLOCK=128)
