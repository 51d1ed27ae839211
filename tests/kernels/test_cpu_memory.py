"""Memory that is kept for the next tensor: never given to two, bounded, private to a process."""

import gc
import os
import threading

import pytest
import torch
from symgru.kernels.cpu import memory
from symgru.kernels.cpu.memory import GRAIN, kept, release, scratch

LARGE = (3, GRAIN // 4)  # three grains of float32


@pytest.fixture(autouse=True)
def nothing_kept():
    gc.collect()
    release()
    yield
    release()


def test_small_tensors_have_ordinary_memory():
    assert scratch((5, 3), torch.float64).shape == (5, 3)
    assert kept() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_memory_comes_back_when_the_last_view_is_gone(dtype):
    tensor = scratch((4, GRAIN), dtype)
    assert (tensor.shape, tensor.dtype, tensor.is_contiguous()) == ((4, GRAIN), dtype, True)
    address, row = tensor.data_ptr(), tensor[2]
    del tensor
    assert kept() == 0
    del row
    assert kept() == 4 * GRAIN * dtype.itemsize
    assert scratch((4, GRAIN), dtype).data_ptr() == address


def test_tensors_that_live_share_nothing():
    tensors = [scratch(LARGE, torch.float32).fill_(i) for i in range(5)]
    assert all((tensor == i).all() for i, tensor in enumerate(tensors))


def test_a_tensor_may_be_up_to_half_of_its_memory():
    scratch((4, GRAIN // 4), torch.float32)
    assert kept() == 4 * GRAIN
    scratch((1, GRAIN // 4), torch.float32)  # too small for that
    assert kept() == 5 * GRAIN
    half = scratch((2, GRAIN // 4), torch.float32)
    assert kept() == GRAIN
    del half
    assert kept() == 5 * GRAIN


def test_no_more_is_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(memory, "MOST", 7 * GRAIN)
    tensors = [scratch(LARGE, torch.float32) for _ in range(4)]
    last = tensors[-1].data_ptr()
    while tensors:
        tensors.pop(0)
    assert kept() == 6 * GRAIN
    assert scratch(LARGE, torch.float32).data_ptr() == last


def test_whoever_finds_the_list_busy_goes_without():
    tensor = scratch(LARGE, torch.float32)
    with memory._lock:
        other = scratch(LARGE, torch.float32)
        del tensor
        release()
    assert kept() == 0
    assert other.fill_(1).sum() == other.numel()


def test_many_threads():
    wrong = []

    def work(number):
        for _ in range(200):
            tensor = scratch((1, GRAIN // 4 + 1000 * number), torch.float32)
            tensor[0, ::4096] = number
            if not (tensor[0, ::4096] == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_forked_child_has_its_own():
    tensor = scratch(LARGE, torch.float32).zero_()
    child = os.fork()
    if child == 0:
        tensor.fill_(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tensor == 0).all()
