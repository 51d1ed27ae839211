"""The torch source of every shipped cell against the oracle, and names that would change it."""

import pytest

from symgru.cells import CELLS
from symgru.equations import CellBuilder, ProgramError, sigmoid, tanh
from symgru.lowering import Layout, LoweringError
from symgru.lowering.modules import torch_module, triton_module
from symgru.testing.cells import cases
from symgru.testing.emitted import assert_emitted_agrees
from symgru.testing.loops import Sizes
from symgru.testing.planted import imported
from symgru.testing.tolerances import EMITTED

NO_STACKS = Layout({})


@pytest.mark.parametrize("case", cases(wrappers=["bare", "everything"]), ids=str)
def test_emitted_passes_agree_with_the_oracle(case, tmp_path):
    """With as many steps as units a mistaken axis would not be seen, so there are two sizes."""
    check_emitted(case, tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("case", cases(), ids=str)
def test_emitted_passes_in_every_wrapper(case, tmp_path):
    check_emitted(case, tmp_path)


def check_emitted(case, folder):
    cell = case.cell()
    module = imported(folder, torch_module(cell, NO_STACKS))
    for size in (Sizes(3, 2, {"I": 3, "H": 4}), Sizes(4, 3, {"I": 2, "H": 3})):
        assert_emitted_agrees(cell, module, size, 0, EMITTED, layout=NO_STACKS)


@pytest.mark.parametrize(
    ("name", "planted"), [("lstm", ("forget_gate", "output_gate")), ("gru_d", ("r", "z"))]
)
def test_a_planted_error_in_emitted_source_is_caught(name, planted, tmp_path):
    cell, (right, wrong) = CELLS[name](), planted
    source = torch_module(cell, NO_STACKS)
    if name == "gru_d":
        right, wrong = f"product(observed, V_{right})", f"product(observed, V_{wrong})"
    changed = source.replace(right, wrong, 1)
    assert changed != source
    module = imported(tmp_path, changed)
    with pytest.raises((AssertionError, NameError, UnboundLocalError)):
        assert_emitted_agrees(cell, module, Sizes(3, 2, {"I": 3, "H": 4}), 0, EMITTED, layout=NO_STACKS)


def with_symbol(name, title="Cell with a name"):
    """A cell that calls its gate by the name."""
    cell = CellBuilder("named", title)
    x, h, W, U = (
        cell.input("x", "I"),
        cell.state("h", "H"),
        *(cell.weight(n, "H", a) for n, a in ("WI", "UH")),
    )
    gate = cell.let(name, sigmoid(W @ x + U @ h))
    cell.update(h, gate * tanh(W @ x) + (1 - gate) * h)
    return cell.build()


@pytest.mark.parametrize(
    "name", ["torch", "outer", "product", "product_transposed", "total", "rows", "per_step", "mean", "step",
             "softplus", "_", "joined_1"],
)  # fmt: skip
def test_a_name_that_the_torch_source_uses_is_refused(name):
    with pytest.raises(LoweringError, match=f"^{name} cannot be the name of a symbol in torch source"):
        torch_module(with_symbol(name), NO_STACKS)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "tl", "triton"])
def test_a_name_that_the_triton_source_uses_is_refused(name):
    with pytest.raises(LoweringError, match=f"^{name} cannot be the name of a symbol in Triton source"):
        triton_module(with_symbol(name))


@pytest.mark.parametrize(
    "name",
    [
        "print",
        "FORWARD",
        "Pass",
        "Phase",
        "forward_before",
        "sigmoid",
        "tanh",
        "self",
        "match",
        "float",
        "chunk",
    ],
)
def test_other_names_do_no_harm(name, tmp_path):
    """Python's built-ins and the module's own names are not read inside the emitted functions."""
    cell = with_symbol(name)
    module = imported(tmp_path, torch_module(cell, NO_STACKS))
    assert_emitted_agrees(cell, module, Sizes(3, 2, {"I": 3, "H": 4}), 0, EMITTED, layout=NO_STACKS)


@pytest.mark.parametrize(
    "title", ['"""\nimport os\n"""', 'a """ b', "back\\slash", "two\nlines", 'ends in ""']
)
def test_a_title_cannot_leave_the_docstring(title):
    with pytest.raises(ProgramError, match="expected a title on one line, no quotes, no backslashes"):
        with_symbol("gate", title)


def test_what_has_no_code_is_named():
    cell = CellBuilder("powers")
    x, h = cell.input("x", "H"), cell.state("h", "H")
    cell.update(h, x * h**7)
    with pytest.raises(LoweringError, match=r"torch has no power h_prev\*\*7; known are integer exponents"):
        torch_module(cell.build(), NO_STACKS)


def test_a_cell_without_an_input_has_no_number_of_steps():
    cell = CellBuilder("alone")
    h = cell.state("h", "H")
    cell.update(h, tanh(h))
    with pytest.raises(LoweringError, match="alone_forward reads no sequence"):
        torch_module(cell.build(), NO_STACKS)
