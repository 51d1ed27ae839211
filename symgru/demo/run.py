"""The demo: derive, prove, check the kernels, train, and put it all into one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from symgru.data import Utterances, japanese_vowels
from symgru.demo.kernel_check import KernelCheck, check_in_subprocess
from symgru.demo.machine import machine
from symgru.demo.report import report
from symgru.demo.training import (
    Run,
    Training,
    classifiers,
    correct_if_misread,
    largest_difference,
    one_thread,
    train,
)
from symgru.documents import Document, derivation, markdown
from symgru.documents.proofs import Proved, totals
from symgru.proof import all_theorems


@dataclass(frozen=True)
class Settings:
    """What the demo does.

    Attributes:
        epochs, seed, hidden_size: Of the training.
        utterances: How many of each part of the data to use; all if None.
        check_steps: Length of the longest utterance in the check of the kernels.
    """

    epochs: int = 20
    seed: int = 0
    hidden_size: int = 48
    utterances: int | None = None
    check_steps: int = 8


@dataclass(frozen=True)
class Findings:
    """What the demo found, as the report shows it.

    Attributes:
        document: The derivation.
        proofs: Theorems and refutations.
        check: The kernels against the oracle.
        runs: keep, update, torch.nn.GRU.
        misread: Right answers with the weights of keep read as those of update.
        training: How the models were trained.
        batches_per_epoch: Steps of the optimiser in one epoch.
        facts: Versions and machine.
    """

    document: Document
    proofs: tuple[Proved, ...]
    check: KernelCheck
    runs: tuple[Run, Run, Run]
    misread: int
    training: Training
    batches_per_epoch: int
    facts: dict[str, str]

    @property
    def keep_and_update(self) -> float:
        """Largest difference of the loss curves of the two polarities."""
        return largest_difference(self.runs[0].losses, self.runs[1].losses)

    @property
    def keep_and_torch(self) -> float:
        """Largest difference of the loss curves of keep and torch.nn.GRU."""
        return largest_difference(self.runs[0].losses, self.runs[2].losses)

    @property
    def other_answers(self) -> int:
        """Test utterances on which keep and torch.nn.GRU answer differently."""
        pairs = zip(self.runs[0].predictions, self.runs[2].predictions, strict=True)
        return sum(a != b for a, b in pairs)

    @property
    def passed(self) -> bool:
        """Whether the kernels are as exact as they have to be and the polarities learn the same."""
        return self.check.passed and self.keep_and_update == 0


@dataclass(frozen=True)
class Result:
    """The page, the derivation in both formulations as Markdown, and the essence in a few lines."""

    html: str
    derivation: str
    summary: str
    findings: Findings


def run(settings: Settings, checked: Callable[..., KernelCheck] = check_in_subprocess) -> Result:
    """Run every stage.

    Args:
        checked: The check of the kernels, for tests.
    Raises:
        ProofError: a proof fails.
        KernelCheckError: the kernels could not be run.
    """
    theorems = list(all_theorems())
    # silent when the output is not a terminal
    progress = tqdm(total=2 + len(theorems) + 3 * settings.epochs, disable=None, leave=False)
    try:
        progress.set_description("deriving")
        document = derivation("keep", "after")
        progress.update()
        proofs = []
        for name, prove in theorems:
            progress.set_description(f"proving {name}")
            proofs.append(prove())
            progress.update()
        progress.set_description("checking the kernels")
        check = checked(steps=settings.check_steps)
        progress.update()
        training = Training(settings.epochs, settings.seed, settings.hidden_size)
        train_set, test_set = _data("train", settings), _data("test", settings)
        runs = _runs(training, train_set, test_set, progress)
    finally:
        progress.close()
    findings = Findings(
        document=document,
        proofs=tuple(proofs),
        check=check,
        runs=(runs[0], runs[1], runs[2]),
        misread=correct_if_misread(runs[0], training, train_set, test_set),
        training=training,
        batches_per_epoch=-(-len(train_set) // training.batch_size),
        facts=machine(),
    )
    both = "\n".join(markdown(derivation(polarity, "after")) for polarity in ("keep", "update"))
    return Result(report(findings), both, summary(findings), findings)


def _runs(
    training: Training, train_set: Utterances, test_set: Utterances, progress: tqdm[Any]
) -> Sequence[Run]:
    runs = []
    with one_thread():
        for name, model in classifiers(training).items():
            progress.set_description(f"training {name}")
            runs.append(train(name, model, training, train_set, test_set, progress.update))
    return runs


def _data(part: str, settings: Settings) -> Utterances:
    whole = japanese_vowels(part)
    return whole if settings.utterances is None else whole.first(settings.utterances)


def summary(findings: Findings) -> str:
    """A few lines for the terminal."""
    check = findings.check
    lines = [
        f"proofs    {totals([proof.to_json() for proof in findings.proofs])}",
        f"kernels   {'within the bound' if check.passed else 'NOT within the bound'}: largest "
        f"error {max(e.kernel for e in check.errors):.1e} against float64, on {where(check)}",
    ]
    for one in findings.runs:
        low, high = one.interval
        lines.append(
            f"accuracy  {one.name:20} {one.correct}/{len(one.predictions)} = {one.accuracy:.1%}"
            f"  (95 %: {low:.1%} to {high:.1%})"
        )
    equal = "bit for bit the same" if findings.keep_and_update == 0 else "NOT the same"
    lines.append(
        f"losses    keep and update {equal}: largest difference {findings.keep_and_update:g} "
        f"over {len(findings.runs[0].losses)} batches"
    )
    return "\n".join(lines)


def where(check: KernelCheck) -> str:
    """Where the kernels ran, in so many words."""
    if check.on_gpu:
        return f"the GPU {check.device}"
    return "the CPU, in Triton's interpreter; not run on a GPU"
