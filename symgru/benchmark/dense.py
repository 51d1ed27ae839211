"""The tables at given shapes: forward, training, packed, bf16, double-backward, memory, streaming."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from symgru.benchmark import competitors, floor, problem
from symgru.benchmark.model import BASELINE, OURS, Absent, Call, Row, Table, Variant
from symgru.benchmark.setting import Case, Setting
from symgru.benchmark.shapes import Shape

BFLOAT16 = torch.bfloat16
STEPS = 32  # of the streaming table, at most
NO_RECOMPUTE = Absent(f"{OURS} recompute", "not built: symgru.GRU takes no recompute=True")


def forward(setting: Setting) -> Table:
    """Inference: symgru, torch.nn.GRU, ONNX Runtime and OpenVINO."""
    title = "Forward pass (inference_mode), float32"
    return _table("forward", title, setting, _forward)


def training(setting: Setting) -> Table:
    """A forward and a backward pass."""
    title = "Forward and backward pass (gradients of x and of all weights), float32"
    return _table("training", title, setting, lambda case: [training_row(case)])


def bf16(setting: Setting) -> Table:
    """Inference in bfloat16, with both float32 variants beside it."""
    title = "Forward pass (inference_mode), bfloat16; torch.nn.GRU bf16 is torch.nn.GRU(...).bfloat16()"
    return _table("bf16", title, setting, _bf16)


def double_backward(setting: Setting) -> Table:
    """A gradient penalty; torch.nn.GRU on a CPU is made of differentiable operations, so it needs no help."""
    title = "Double backward: gradients of ‖∂⟨y, c⟩/∂x‖² by x and all weights, float32"
    return _table("double-backward", title, setting, _double_backward)


def memory(setting: Setting) -> Table:
    """What a forward pass keeps for the backward pass, and the time of both with it."""
    notes = (
        "Saved: what autograd keeps from the forward for the backward pass, besides x, h0 and the weights; "
        "the outputs count.",
    )
    title = "Memory saved for the backward pass, and the time of both passes, float32"
    return _table("memory", title, setting, _memory, notes)


def packed(setting: Setting) -> Table:
    """Sequences of different lengths; the work of lengths from T/2 to T is 3/4 of the dense one."""
    notes = (
        "Lengths are drawn uniformly from T/2..T, the longest is T. Of dense: time over the own dense time.",
    )
    return _table("packed", "PackedSequence with lengths T/2..T, float32", setting, _packed, notes)


def streaming(setting: Setting) -> Table:
    """One call a step, as a server makes them."""
    notes = (f"Times are those of all T steps, at most {STEPS}, one call each.",)
    return _table("streaming", "One step at a time (inference_mode), float32", setting, _streaming, notes)


def _table(
    name: str,
    title: str,
    setting: Setting,
    rows: Callable[[Case], Sequence[Row]],
    notes: tuple[str, ...] = (),
) -> Table:
    every = [row for case in setting.cases(setting.shapes, name) for row in rows(case)]
    return Table(name, title, tuple(every), notes)


def forward_variants(case: Case) -> list[Variant]:
    """symgru and torch.nn.GRU."""
    p, least = case.problem, case.floor(floor.inference)
    truth = problem.inference(p.theirs(torch.float64), p.x, p.h0)()
    models = {OURS: p.ours(), BASELINE: p.theirs()}
    return [Variant(n, problem.inference(m, p.x, p.h0), truth, floor=least) for n, m in models.items()]


def forward_row(case: Case, label: str = "") -> Row:
    """symgru and torch.nn.GRU alone."""
    return case.row(forward_variants(case), label=label, floor=case.floor(floor.inference))


def _forward(case: Case) -> list[Row]:
    p, variants, least = case.problem, forward_variants(case), case.floor(floor.inference)
    ready, absent = competitors.sessions(p.peer, case.shape, case.threads)
    truth = variants[0].truth
    for name, session in ready.items():
        variants.append(Variant(name, competitors.inference(session, p.x, p.h0), truth, floor=least))
    return [case.row(variants, absent, floor=least)]


def training_row(case: Case, label: str = "") -> Row:
    """symgru and torch.nn.GRU."""
    p = case.problem
    return _gradients(case, {OURS: p.ours(), BASELINE: p.theirs()}, label=label)


def _gradients(
    case: Case,
    models: dict[str, nn.Module],
    absent: Sequence[Absent] = (),
    details: dict[str, dict[str, float]] | None = None,
    label: str = "",
) -> Row:
    p, least = case.problem, case.floor(floor.training)
    truth = problem.training(p.theirs(torch.float64), p.x, p.h0, p.cotangent)()
    variants = [
        Variant(
            name,
            problem.training(model, p.x, p.h0, p.cotangent),
            truth,
            floor=least,
            details=(details or {}).get(name, {}),
        )
        for name, model in models.items()
    ]
    return case.row(variants, absent, label, least)


def _memory(case: Case) -> list[Row]:
    p = case.problem
    models: dict[str, nn.Module] = {OURS: p.ours()}
    if problem.can_recompute():
        models[NO_RECOMPUTE.name] = p.ours(recompute=True)
    models[BASELINE] = p.theirs()
    outputs = case.shape.T * case.shape.B * case.shape.H * 4
    details = {}
    for name, model in models.items():
        saved = problem.saved_bytes(model, p.x, p.h0)
        details[name] = {"saved MB": saved / 1e6, "saved / outputs": saved / outputs}
    return [_gradients(case, models, [] if problem.can_recompute() else [NO_RECOMPUTE], details)]


def _bf16(case: Case) -> list[Row]:
    p, variants, half = case.problem, forward_variants(case), f"{OURS} bf16"
    least = case.floor(floor.inference, item=2)
    truth = variants[0].truth
    for name, model in {half: p.ours(BFLOAT16), f"{BASELINE} bf16": p.theirs(BFLOAT16)}.items():
        call = problem.inference(model, p.x, p.h0)
        variants.append(Variant(name, call, truth, BFLOAT16, opponent=half, floor=least))
    return [case.row(variants, floor=least)]


def _double_backward(case: Case) -> list[Row]:
    p = case.problem
    truth = problem.penalty(p.theirs(torch.float64), p.x, p.h0, p.cotangent)()
    models = {OURS: p.ours(), BASELINE: p.theirs()}
    calls = {name: problem.penalty(model, p.x, p.h0, p.cotangent) for name, model in models.items()}
    return [case.row([Variant(name, call, truth) for name, call in calls.items()])]


def lengths(shape: Shape, in_order: bool) -> Tensor:
    """[B], drawn uniformly from T/2..T, the longest T; the longest first if they are to be in order."""
    generator = torch.Generator().manual_seed(shape.B)
    drawn = torch.randint((shape.T + 1) // 2, shape.T + 1, (shape.B,), generator=generator)
    drawn[shape.B // 2] = shape.T
    return drawn.sort(descending=True).values if in_order else drawn


def _packed(case: Case) -> list[Row]:
    return [
        _packed_row(case, in_order, mode) for mode in ("forward", "training") for in_order in (True, False)
    ]


def _packed_row(case: Case, in_order: bool, mode: str) -> Row:
    p, length = case.problem, lengths(case.shape, in_order)

    def pack(x: Tensor) -> PackedSequence:
        return pack_padded_sequence(x, length, enforce_sorted=in_order)

    least = floor.inference if mode == "forward" else floor.training
    variants = []
    for kind, x, cotangent, steps in (
        ("packed", pack(p.x), pack(p.cotangent).data, float(length.sum())),
        ("dense", p.x, p.cotangent, None),
    ):
        arguments = (x, p.h0) if mode == "forward" else (x, p.h0, cotangent)
        make: Callable[..., Call] = problem.inference if mode == "forward" else problem.training
        truth = make(p.theirs(torch.float64), *arguments)()
        for name, model in {OURS: p.ours(), BASELINE: p.theirs()}.items():
            variants.append(
                Variant(
                    f"{name} {kind}",
                    make(model, *arguments),
                    truth,
                    baseline=f"{BASELINE} {kind}",
                    opponent=f"{OURS} {kind}",
                    dense=f"{name} dense" if kind == "packed" else None,
                    floor=case.floor(least, steps=steps),
                )
            )
    label = f"{mode}, {'sorted' if in_order else 'not sorted'}"
    return case.row(variants, label=label, floor=case.floor(least, steps=float(length.sum())))


def _streaming(case: Case) -> list[Row]:
    shape = Shape(min(case.shape.T, STEPS), case.shape.B, case.shape.I, case.shape.H)
    one = Shape(1, shape.B, shape.I, shape.H)
    case = Case(case.setting, shape, case.threads)
    p, single = case.problem, case.floor(floor.inference, shape=one)
    least = None if single is None else shape.T * single
    truth = problem.streaming(p.theirs(torch.float64), p.x, p.h0)()
    cell = nn.GRUCell(shape.I, shape.H)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in p.peer.state_dict().items()})
    calls = {
        name: problem.streaming(m, p.x, p.h0) for name, m in {OURS: p.ours(), BASELINE: p.theirs()}.items()
    }
    calls["torch.nn.GRUCell"] = problem.cell_streaming(cell, p.x, p.h0)
    ready, absent = competitors.sessions(p.peer, one, case.threads)
    calls |= {name: competitors.streaming(session, p.x, p.h0) for name, session in ready.items()}
    variants = [Variant(name, call, truth, floor=least) for name, call in calls.items()]
    return [case.row(variants, absent, floor=least)]
