"""Training a speaker classifier with three GRUs that differ in nothing but their formulation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import symgru
from symgru.data import CHANNELS, SPEAKERS, Utterances


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes:
        epochs: Passes over the training data.
        seed: Of the initial weights and the order of the batches.
        hidden_size: H.
        batch_size: B.
        learning_rate: Of Adam.
    """

    epochs: int
    seed: int = 0
    hidden_size: int = 48
    batch_size: int = 30
    learning_rate: float = 5e-3


@dataclass(frozen=True)
class Run:
    """One trained model.

    Attributes:
        name: Which GRU.
        losses: Cross-entropy of every batch, in order.
        predictions: Speaker predicted for each test utterance.
        correct: How many of them are right.
        model: The trained classifier.
    """

    name: str
    losses: tuple[float, ...]
    predictions: tuple[int, ...]
    correct: int
    model: SpeakerClassifier

    @property
    def accuracy(self) -> float:
        """Share of test utterances that are right."""
        return self.correct / len(self.predictions)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy. Source: Wilson 1927, JASA 22, 209-212."""
        z, n, p = 1.959964, len(self.predictions), self.accuracy
        centre, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return (centre - spread) / scale, (centre + spread) / scale


class SpeakerClassifier(nn.Module):
    """Utterance -> GRU -> last state -> linear -> one score for each speaker."""

    def __init__(self, recurrent: nn.Module, hidden_size: int) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.scores = nn.Linear(hidden_size, SPEAKERS)

    def forward(self, utterances: PackedSequence) -> Tensor:
        """Scores [B, 9] of packed utterances; the state is that after the last step of each."""
        _, last = self.recurrent(utterances)
        scores: Tensor = self.scores(last[-1])
        return scores


def mirror_update_gate(recurrent: nn.Module, hidden_size: int) -> None:
    """Negate W_z, U_z and b_z in place: the same function in the other polarity, as `symgru.proof` shows."""
    with torch.no_grad():
        for parameter in recurrent.parameters():
            parameter[hidden_size : 2 * hidden_size].neg_()


def classifiers(training: Training) -> dict[str, SpeakerClassifier]:
    """The three models with one initialisation; that of `update` has its update gate mirrored."""
    torch.manual_seed(training.seed)
    size = training.hidden_size
    reference = SpeakerClassifier(nn.GRU(CHANNELS, size), size)
    models = {}
    for polarity in ("keep", "update"):
        model = SpeakerClassifier(symgru.GRU(CHANNELS, size, polarity=polarity), size)
        model.load_state_dict(reference.state_dict())
        models[f"symgru.GRU, {polarity}"] = model
    mirror_update_gate(models["symgru.GRU, update"].recurrent, size)
    return {**models, "torch.nn.GRU": reference}


def train(
    name: str,
    model: SpeakerClassifier,
    training: Training,
    train_set: Utterances,
    test_set: Utterances,
    after_epoch: Callable[[], object] = lambda: None,
) -> Run:
    """Train one model on batches that depend on the seed alone, and test it once at the end.

    Args:
        after_epoch: Called after each epoch, for a progress bar.
    """
    inputs, labels = tensors(train_set, train_set)
    optimiser = torch.optim.Adam(model.parameters(), lr=training.learning_rate)
    losses = []
    for order in _epochs(len(inputs), training):
        for start in range(0, len(order), training.batch_size):
            chosen = order[start : start + training.batch_size]
            batch = pack_sequence([inputs[i] for i in chosen.tolist()], enforce_sorted=False)
            loss = nn.functional.cross_entropy(model(batch), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves Tensor.backward untyped
            optimiser.step()
            losses.append(loss.item())
        after_epoch()
    predictions, correct = test(model, train_set, test_set)
    return Run(name, tuple(losses), predictions, correct, model)


def test(
    model: SpeakerClassifier, train_set: Utterances, test_set: Utterances
) -> tuple[tuple[int, ...], int]:
    """Predicted speakers of the test utterances, and how many are right."""
    inputs, labels = tensors(test_set, train_set)
    with torch.no_grad():
        predicted = model(pack_sequence(inputs, enforce_sorted=False)).argmax(1)
    return tuple(predicted.tolist()), int((predicted == labels).sum())


def correct_if_misread(run: Run, training: Training, train_set: Utterances, test_set: Utterances) -> int:
    """Right answers when trained `keep` weights are loaded as they are into a GRU of polarity `update`."""
    model = SpeakerClassifier(
        symgru.GRU(CHANNELS, training.hidden_size, polarity="update"), training.hidden_size
    )
    model.load_state_dict(copy.deepcopy(run.model.state_dict()))
    return test(model, train_set, test_set)[1]


def tensors(utterances: Utterances, scale_of: Utterances) -> tuple[list[Tensor], Tensor]:
    """Utterances [T, 12] with mean 0 and deviation 1 in each channel of the training data, and labels [N]."""
    frames = torch.cat([torch.from_numpy(values) for values in scale_of.values])
    mean, deviation = frames.mean(0), frames.std(0)
    return [(torch.from_numpy(v) - mean) / deviation for v in utterances.values], torch.from_numpy(
        utterances.labels
    )


def largest_difference(left: Sequence[float], right: Sequence[float]) -> float:
    """Largest distance of two loss curves.

    Raises:
        ValueError: they have different lengths.
    """
    return max(abs(a - b) for a, b in zip(left, right, strict=True))


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrices of this size are too small to share among threads, above all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _epochs(number: int, training: Training) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(training.seed)
    for _ in range(training.epochs):
        yield torch.randperm(number, generator=generator)
