"""`symgru.GRU` on a simulated GPU: the user's own path, with tensors on the CPU."""

import pytest
import torch
from symgru.kernels import simulator
from symgru.kernels.triton.launch import Target, obstacle, simulated, target_of

import symgru
from symgru.testing.tolerances import assert_close

CPU = torch.device("cpu")


def states_and_gradients(module: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """The states, and the gradients of their sum of squares by every parameter."""
    states, _ = module(x)
    return [states.detach(), *torch.autograd.grad(states.square().sum(), list(module.parameters()))]


@pytest.mark.parametrize("target", ["sm_90", "gfx942", "gfx1201"])
def test_layer_agrees_with_torch(target: str) -> None:
    torch.manual_seed(0)
    peer = torch.nn.GRU(3, 17)
    layer, exact = symgru.GRU(3, 17, backend="triton"), torch.nn.GRU(3, 17, dtype=torch.float64)
    layer.load_state_dict(peer.state_dict())
    exact.load_state_dict(peer.state_dict())
    x = torch.randn(4, 18, 3)
    with simulator.device(target, seed=1) as device:
        found = states_and_gradients(layer, x)
    assert [launch.name for launch in device.launches] == ["ahead_one_product", "back_one_product"]
    expected = zip(states_and_gradients(exact, x.double()), states_and_gradients(peer, x), strict=True)
    for result, (oracle, measure) in zip(found, expected, strict=True):
        assert_close(f"{target}, {list(result.shape)}", result, oracle, measure)


def test_only_who_asks_gets_a_simulated_gpu() -> None:
    layer = symgru.GRU(3, 5, backend="triton")
    x = torch.zeros(2, 3, 3)
    with pytest.raises(symgru.BackendError, match="it runs on GPU tensors, not on cpu"):
        layer(x)
    with simulator.device("sm_80") as device:
        symgru.GRU(3, 5)(x)
        assert not device.launches
        able = {status.name: status.available for status in symgru.backends(hidden_size=5)}
        assert able == {"triton": True, "cpu": True, "torch": True, "interpreter": False}
        with pytest.raises(symgru.BackendError, match="compiled loops, not interpreted"):
            symgru.GRU(3, 5, backend="interpreter")(x)
        with pytest.raises(symgru.BackendError, match="goes to hidden size 64; this one is 65"):
            symgru.GRU(3, 65, backend="triton")(x)


def test_loops_see_the_simulated_gpu() -> None:
    assert simulated() is None
    assert "a CPU takes Triton's interpreter" in obstacle(CPU, torch.float32, 5)
    with simulator.device("gfx942"):
        assert target_of(CPU) == simulated() == Target("cdna", 65536, ("ieee", "tf32"))
        assert obstacle(CPU, torch.float32, 5) is None
        assert obstacle(torch.device("cuda"), torch.float32, 5) == (
            "a simulated GPU takes tensors on the CPU, not on cuda"
        )
        with simulator.device("sm_120"):
            assert simulated() == Target("cuda", 99 * 1024)
    assert simulated() is None
