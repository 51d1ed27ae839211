"""`GRU` and `GRUCell`: drop-in replacements of `torch.nn.GRU` and `torch.nn.GRUCell`.

They are no subclasses of them: `torch.compile(fullgraph=True)` refuses those. Parameter names, shapes,
order and initialisation are the same, so a `state_dict` loads both ways.
"""

from __future__ import annotations

import math
import warnings
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from symgru.kernels.cpu.passes import release
from symgru.torch_api.autocast import target_dtype
from symgru.torch_api.check import check_alike, check_input, check_state, check_tensor
from symgru.torch_api.cpu_panels import forget
from symgru.torch_api.functional import gru, run, shape_of
from symgru.torch_api.options import Options
from symgru.torch_api.stack import Stack


class GRU(nn.Module):
    """Gated recurrent unit over a sequence, for both polarities and every reset placement.

        r = σ(W_r x + b_r + U_r h)      z = σ(W_z x + b_z + U_z h)
        n as `reset` says               h' = z⊙h + (1−z)⊙n  (keep)   or   (1−z)⊙h + z⊙n  (update)

    With the defaults it is the model of torch.nn.GRU. Note that `update` with the weights of `keep` is
    another function; the same one has (W_z, U_z, b_z) negated (`symgru prove`).

    Args:
        input_size: I, number of features of the input.
        hidden_size: H, number of units.
        num_layers: L; every layer above the first reads the outputs of the one below.
        bias: Whether there are biases.
        batch_first: Whether input and output are [B, T, ...] instead of [T, B, ...].
        dropout: Probability of zeroing an output of each layer but the last, while training.
        bidirectional: Whether every layer also runs backwards in time.
        device, dtype: Of the parameters.
        polarity: "keep" or "update", see above.
        reset: "after" n = tanh(W_n x + b_n + r⊙(U_n h + c)), "before" n = tanh(W_n x + b_n + U_n (r⊙h)),
            "whole" n = tanh(r⊙(W_n x + b_n + U_n h)).
        backend: "auto", "cpu", "torch", "triton" or "interpreter", see `symgru.backends()`.
        precision: Of float32 products in Triton loops: "ieee", "tf32" or "tf32x3".
        recompute: On the cpu backend, keep nothing for the backward pass but the states, where the default
            keeps the gates too, at most four times as much (five for reset whole).
    Attributes:
        weight_ih_l[k]: W_r, W_z, W_n of layer k, [3H, I], or [3H, D·H] for k > 0.
        weight_hh_l[k]: U_r, U_z, U_n, [3H, H].
        bias_ih_l[k]: b_r, b_z, b_n, [3H].
        bias_hh_l[k]: A second b_r and b_z, and c for reset after (else a second b_n), [3H].
        ..._reverse: The same for the direction backwards in time.
    Raises:
        ValueError: an argument is out of its range.
    Source: torch.nn.GRU (names, shapes, initialisation U(−1/√H, 1/√H) for everything).
    """

    _stack: Stack | None = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        polarity: str = "keep",
        reset: str = "after",
        backend: str = "auto",
        precision: str = "ieee",
        recompute: bool = False,
    ):
        super().__init__()
        _check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        _check_dropout(dropout, num_layers)
        options = Options(polarity, reset, backend, precision, recompute)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = (
            bias,
            batch_first,
            float(dropout),
            bidirectional,
        )
        self.polarity, self.reset = options.polarity, options.reset
        self.backend, self.precision, self.recompute = options.backend, options.precision, recompute
        self._names: list[list[str]] = []
        directions = ("", "_reverse") if bidirectional else ("",)
        for layer in range(num_layers):
            width = input_size if layer == 0 else len(directions) * hidden_size
            for suffix in directions:
                self._add_parameters(f"_l{layer}{suffix}", width, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def _add_parameters(self, suffix: str, width: int, factory: dict[str, Any]) -> None:
        rows = 3 * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, width),
            "weight_hh": (rows, self.hidden_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in shapes.items():
            self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape, **factory)))
        self._names.append([name + suffix for name in shapes])

    def reset_parameters(self) -> None:
        """Draw every parameter, biases included, from U(−1/√H, 1/√H), in the order of torch.nn.GRU."""
        _draw(self, self.hidden_size)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters, grouped by layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def _flat_weights(self) -> list[Tensor]:
        known = self._parameters
        try:
            return [known[name] for names in self._names for name in names]  # type: ignore[misc]  # none is None
        except KeyError:  # parametrised, pruned, or swapped for a plain tensor
            return [weight for group in self.all_weights for weight in group]

    def flatten_parameters(self) -> None:
        """Forget packed weights and free kept memory of the cpu backend; see docs/cpu.md."""
        forget()
        release()

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | None = None,
        resets: Tensor | PackedSequence | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """Run the sequence, or, with resets, one after the other; see `symgru.gru` for shapes and errors."""
        return run(self._ready(), input, hx, self.batch_first, resets)

    def _ready(self) -> Stack:
        """The weights and settings put together: once for many calls, and anew when one is another."""
        weights, stack = self._flat_weights(), None if torch.compiler.is_compiling() else self._stack
        if stack is None or not stack.consists_of(weights):
            dropout = self.dropout if self.training else 0.0
            convention = self.polarity, self.reset, self.backend, self.precision, self.recompute
            shape = shape_of(self.bias, self.num_layers, self.bidirectional, dropout, *convention)
            stack = Stack(tuple(weights), shape)
            if not torch.compiler.is_compiling() and all(type(w) is nn.Parameter for w in weights):
                self._stack = stack  # others are computed anew each time, and may hold a graph
        return stack

    def __setattr__(self, name: str, value: Any) -> None:
        """With another setting, such as `training`, the stack is another one."""
        super().__setattr__(name, value)
        if name != "_stack":
            self.__dict__["_stack"] = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be put together again: a copy has its own weights."""
        return self.__dict__ | {"_stack": None}

    def extra_repr(self) -> str:
        """The arguments that are not defaults, as in torch.nn.GRU."""
        defaults = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "polarity": "keep",
            "reset": "after",
            "backend": "auto",
            "precision": "ieee",
            "recompute": False,
        }
        changed = [
            f"{name}={getattr(self, name)}"
            for name, value in defaults.items()
            if getattr(self, name) != value
        ]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])


class GRUCell(nn.Module):
    """One step of a GRU; drop-in for torch.nn.GRUCell.

    Args:
        input_size, hidden_size, bias, device, dtype: As in torch.nn.GRUCell.
        polarity, reset, backend, precision: As in `GRU`.
    Attributes:
        weight_ih: [3H, I]; weight_hh: [3H, H]; bias_ih, bias_hh: [3H]; rows in the order r, z, n.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        polarity: str = "keep",
        reset: str = "after",
        backend: str = "auto",
        precision: str = "ieee",
    ):
        super().__init__()
        _check_sizes(input_size=input_size, hidden_size=hidden_size)
        options = Options(polarity, reset, backend, precision)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self.polarity, self.reset = options.polarity, options.reset
        self.backend, self.precision = options.backend, options.precision
        rows = 3 * hidden_size

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        self.weight_ih, self.weight_hh = parameter(rows, input_size), parameter(rows, hidden_size)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, parameter(rows) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every parameter, biases included, from U(−1/√H, 1/√H), in the order of torch.nn.GRUCell."""
        _draw(self, self.hidden_size)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state: [B, I], [B, H] -> [B, H], or unbatched [I], [H] -> [H]; hx is zeros if None.

        Raises:
            ShapeError, DtypeError, DeviceError, BackendError: as `symgru.gru`.
        """
        check_tensor("input", input)
        batch = input.shape[:-1]
        check_input(input, ("I",) if input.dim() == 1 else ("B", "I"), self.input_size)
        if hx is not None:
            check_state(hx, (*batch, self.hidden_size))
        if target_dtype(input) is None:
            check_alike(self.weight_ih, "weight_ih", "input", input)
            if hx is not None:
                check_alike(self.weight_ih, "weight_ih", "hx", hx)
        names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.bias else ()))
        weights = [getattr(self, name) for name in names]
        _, state = gru(
            input.unsqueeze(0),
            None if hx is None else hx.unsqueeze(0),
            weights,
            bias=self.bias,
            polarity=self.polarity,
            reset=self.reset,
            backend=self.backend,
            precision=self.precision,
        )
        return state.squeeze(0)

    def extra_repr(self) -> str:
        """The sizes, and the convention where it is not that of torch.nn.GRUCell."""
        changed = [] if self.bias else ["bias=False"]
        changed += [
            f"{n}={getattr(self, n)}"
            for n, d in (("polarity", "keep"), ("reset", "after"))
            if getattr(self, n) != d
        ]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])


def _draw(module: nn.Module, hidden_size: int) -> None:
    bound = 1.0 / math.sqrt(hidden_size)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)


def _check_sizes(**sizes: object) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
            raise ValueError(f"{name} must be a positive integer, but is {size!r}")


def _check_dropout(dropout: object, num_layers: int) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, Real) or not 0 <= float(dropout) <= 1:
        raise ValueError(f"dropout must be a probability between 0 and 1, but is {dropout!r}")
    if float(dropout) > 0 and num_layers == 1:
        warnings.warn(
            f"dropout acts between layers, so dropout={dropout} does nothing with num_layers=1", stacklevel=3
        )
