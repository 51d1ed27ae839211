"""Which gradients a backward pass will use.

`needs_input_grad` of an autograd function says which inputs require a gradient; `torch.autograd.grad(y, x)`
then throws those of the weights away. PyTorch's own operations ask the engine whether it goes on to the node
behind an input (`task_should_compute_output`), and so does this.
"""

from __future__ import annotations

from typing import Any

import torch

#: Multiplications of a pass from which on it asks: the answer may cost as much time as a million of them, for
#: it comes as an exception where `torch.autograd.grad` is called for a leaf.
WORTH_ASKING = 20_000_000

# Private, but torch.autograd.graph.register_multi_grad_hook stands on it. It needs a backward pass.
_will_execute = getattr(torch._C, "_will_engine_execute_node", None)


def needed(ctx: Any, multiplications: int) -> tuple[bool, ...]:
    """For each argument of an autograd function whether its gradient is used, as far as is known.

    Arguments are looked at from the last to the first, until one is a leaf that was asked for: what comes
    before then counts as used if it requires a gradient. So weights stand behind the input.

    Args:
        ctx: What the `backward` of the function is given.
        multiplications: How many it does; of few, what requires a gradient counts as used.
    """
    required: tuple[bool, ...] = ctx.needs_input_grad
    if _will_execute is None or multiplications < WORTH_ASKING:
        return required
    nodes = [node for node, _ in ctx.next_functions if node is not None]  # of inputs that require a gradient
    if len(nodes) != sum(required):
        return required
    used = list(required)
    try:
        for i in reversed([i for i, wanted in enumerate(required) if wanted]):
            used[i] = _will_execute(nodes.pop())
    except (RuntimeError, TypeError):  # a leaf, as above; or no backward pass, or no node of the engine
        pass
    return tuple(used)
