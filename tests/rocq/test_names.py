"""Names of symbols in the file for Rocq: what is no identifier is escaped, and no name can say anything."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symgru.derivation import Loop
from symgru.equations import Program, Shape
from symgru.rocq import Claim, check, claim, export, states, theorem_name
from symgru.rocq.names import KEYWORDS, OWN, identifier, prelude, reserved

needs_coqc = pytest.mark.skipif(
    shutil.which("coqc") is None and not os.environ.get("SYMGRU_REQUIRE_COQC"),
    reason="coqc is not installed (Debian and Ubuntu: package coq), so it checks no proof here",
)

#: Names that a program refuses by now; the exporter does not rely on it.
INJECTIONS = (
    "x. Axiom cheat : False. Definition y",
    "*) Axiom cheat : False. (*",
    'a"b',
    "h′",
    "h'",
    "σ",
    "0",
    "\n",
    "{examples : False}",
)
#: Names that a program may have, and Rocq or the exported text has for something else.
TAKEN = """
end fix forall fun let then where mod R S O sum sigmoid exp tanh Program Reference Inputs inputs at_step
v t e i j size_H x_related x_given escaped_x _ relu Axiom over_steps vector Prop
""".split()  # noqa: SIM905  (a list of words is read more easily as words)
# Words of Gallina, of tactics and of commands: the grammar of Coq 8.16 reads them, reserved or not.
WORDS = """
_ Abort About Admitted Arguments Axiom Check Class CoFixpoint CoInductive Coercion Context Corollary Defined
Definition Derive End Eval Example Export Fact Fixpoint Function Goal Hint Hypothesis IF Import Include
Inductive Instance Lemma Let Ltac Module Notation Obligation Opaque Parameter Print Program Proof Prop
Property Proposition Qed Record Remark Require Reset SProp Save Scheme Section Set Structure Tactic Theorem
Type Universe Variable Variant Variables as assert at beta by cbv cofix constr delta destruct dest do double
else eauto end eval exact exists exists2 fail field first fix for forall fresh fun fst goal idtac if in
induction intro intros is lazymatch let ltac match max mod multimatch nat now of on open pose property
rapply repeat return rewrite ring rec reference simpl solve sum split struct subst sig sigT symmetry then
tactic to transparent try tryif type using unify values where with by zeta measure wf R Z N O S I H nosplit
Rplus
""".split()  # noqa: SIM905  (a list of words is read more easily as words)

PLAIN = st.from_regex(r"[A-Za-z_]\w*", fullmatch=True)
NAMES = st.text(min_size=1) | st.sampled_from([*INJECTIONS, *TAKEN, *WORDS]) | PLAIN


@given(NAMES, NAMES)
def test_different_names_give_different_identifiers(one, other):
    assert (identifier(one) == identifier(other)) == (one == other)


@given(NAMES)
def test_an_identifier_is_a_word_that_the_text_does_not_use(name):
    found = identifier(name)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", found)
    assert found not in reserved()
    assert identifier(name) == name or found.startswith("escaped_")


def test_ordinary_names_stay_as_they_are():
    step = states("before").reference.step
    assert all(identifier(str(s)) == str(s) for s in step.shapes)


def test_no_name_hides_what_the_text_uses():
    """Every word of the file that means a value is a symbol, a name made from one, or reserved."""
    found = states("before")
    text = re.sub(r"\(\*.*?\*\)", "", export([found]).removeprefix(prelude()), flags=re.DOTALL)
    used = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))
    made = {w for w in used if re.search(r"^size_|_(related|given|alias|shown)$|^scaled\d", w)}
    commands = {"Assumptions", "Context", "End", "Module", "Print", "Record", "Section"}
    tactics = {"beta", "cbv", "constructor", "delta"}
    symbols = {str(s) for s in found.reference.step.shapes}
    left = used - made - commands - tactics - symbols - reserved()
    assert left == {theorem_name(found)}


def renamed(found: Claim, names: dict[sp.Symbol, sp.Symbol]) -> Claim:
    """The claim in other letters, from the start: loops, relation and goal."""

    def loop(old: Loop) -> Loop:
        inputs = {names[s]: shape for s, shape in old.step.inputs.items()}
        outputs = tuple(names[s] for s in old.step.outputs)
        step = Program(inputs, tuple(s.renamed(names) for s in old.step), outputs)
        return replace(old, step=step, carry=tuple((names[a], names[b]) for a, b in old.carry))

    def expressions(old: dict[sp.Symbol, sp.Expr]) -> dict[sp.Symbol, sp.Expr]:
        return {names[s]: image.xreplace(names) for s, image in old.items()}

    relation = {s: found.images[s] for s in found.program.step.inputs}
    return claim(
        found.name,
        found.text + ' *) Axiom cheat : False. (* "',
        loop(found.reference),
        loop(found.program),
        expressions(relation),
        expressions(dict(found.goal)),
    )


def in_hostile_letters(found: Claim) -> tuple[Claim, dict[str, str]]:
    symbols = sorted(found.reference.step.shapes, key=str)
    letters: Iterator[str] = iter(TAKEN)
    names = {s: sp.Symbol(next(letters, f"{s}_related"), real=True) for s in symbols}
    return renamed(found, names), {identifier(str(new)): str(old) for old, new in names.items()}


@pytest.mark.parametrize("lengths", [False, True])
def test_hostile_names_change_nothing_but_the_names(lengths):
    found = states("after", lengths)
    hostile, original = in_hostile_letters(found)
    longest_first = "|".join(sorted(original, key=len, reverse=True))
    words = re.compile(rf"\b({longest_first})(?=_(?:related|given|alias|shown)\b|\b)")
    assert all(name.startswith("escaped_") for name in original)
    text = words.sub(lambda word: original[word[0]], export([hostile]))
    plain = export([found])

    def lines(text: str) -> list[str]:
        """Without comments; an order of factors and terms that follows the names is undone."""
        bare = re.sub(r"\(\*.*?\*\)", "", text, flags=re.DOTALL)
        return [" ".join(sorted(re.findall(r"[\w']+|\S", line))) for line in bare.split("\n")]

    assert lines(text) == lines(plain)


@needs_coqc
def test_coqc_accepts_hostile_names():
    hostile, _ = in_hostile_letters(states("after", lengths=True))
    assert set(check(export([hostile]))) == {"keep_is_update_after_lengths"}


def test_axes_may_have_any_name_too():
    found = states("before")

    def loop(old: Loop) -> Loop:
        axes = {"H": "end", "I": "*) I"}
        inputs = {
            s: Shape(tuple(axes[a] for a in shape.axes), shape.per_step)
            for s, shape in old.step.inputs.items()
        }
        return replace(old, step=Program(inputs, old.step.statements, old.step.outputs))

    text = export([replace(found, reference=loop(found.reference), program=loop(found.program))])
    assert "size_escaped_end" in text
    assert "size_escaped__2a__29__20_I" in text


@needs_coqc
def test_every_word_of_the_language_is_a_name_or_is_escaped():
    text = "From Coq Require Import Reals.\n" + "".join(
        f"Definition {identifier(word)} := O.\n" for word in dict.fromkeys((*WORDS, *KEYWORDS, *OWN))
    )
    assert check(text) == {}
