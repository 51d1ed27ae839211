import numpy as np
import pytest

from symgru.data import CHANNELS, SPEAKERS, japanese_vowels


@pytest.mark.parametrize(("part", "number"), [("train", 270), ("test", 370)])
def test_the_utterances(part, number):
    found = japanese_vowels(part)
    assert len(found) == len(found.labels) == number
    assert found.labels.dtype == np.int64
    assert set(found.labels.tolist()) == set(range(SPEAKERS))
    assert {values.shape[1] for values in found.values} == {CHANNELS}
    assert {values.dtype for values in found.values} == {np.dtype(np.float32)}
    lengths = [len(values) for values in found.values]
    assert (min(lengths), max(lengths)) == (7, {"train": 26, "test": 29}[part])
    assert all(np.isfinite(values).all() for values in found.values)


def test_the_training_data_are_balanced_and_differ_from_the_test_data():
    train, test = japanese_vowels("train"), japanese_vowels("test")
    assert np.bincount(train.labels).tolist() == [30] * SPEAKERS
    assert not any(np.array_equal(a, b) for a in train.values[:5] for b in test.values)


def test_the_first_utterances_have_every_speaker():
    few = japanese_vowels("train").first(27)
    assert len(few) == 27
    assert set(few.labels.tolist()) == set(range(SPEAKERS))
    assert len(japanese_vowels("test").first(10_000)) == 370


def test_another_part_is_refused():
    with pytest.raises(ValueError, match="part must be train or test, but is 'validation'"):
        japanese_vowels("validation")
