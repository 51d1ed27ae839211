"""Triton kernels that are wrong in one order of their programs alone, and the same without the error.

Everything goes through atomics, so there is no data race, and `RIGHT` says which of the two it is. Atomics
are relaxed where nothing but their own word is handed on.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# The bodies below are Triton's language, not Python's.

import triton
import triton.language as tl


@triton.jit
def _look(word):
    return tl.atomic_add(word, 0, sem="relaxed")


@triton.jit
def _put(word, value):
    tl.atomic_xchg(word, value, sem="relaxed")


@triton.jit
def _work(words, times):
    """Counts to `times` in a word of the program's own: something else that takes time."""
    for _ in range(times):
        tl.atomic_add(words + tl.program_id(0), 1, sem="relaxed")


@triton.jit
def ticket(counter, taken, words, late, RIGHT: tl.constexpr):
    """Every program takes a ticket, taken[ticket] += 1; looks at the counter, then acts on what it saw.

    The last program has other work to do first, so the two meet only if one is kept for long.
    """
    if tl.program_id(0) == tl.num_programs(0) - 1:
        _work(words, late)
    if RIGHT:
        mine = tl.atomic_add(counter, 1, sem="relaxed")
    else:
        mine = _look(counter)
        _put(counter, mine + 1)
    tl.atomic_add(taken + mine, 1, sem="relaxed")
    if tl.program_id(0) == 0:
        _work(words, late)


@triton.jit
def _pop(head, below, STAMPED: tl.constexpr):
    """The topmost number of a stack, which is not empty: below[n] is the one under n.

    `head` is the number and, above it if `STAMPED`, how often it has been changed.
    """
    seen = _look(head)
    under = _look(below + seen % 256)
    new = under + (seen // 256 + 1) * 256 if STAMPED else under
    while tl.atomic_cas(head, seen, new, sem="relaxed") != seen:
        seen = _look(head)
        under = _look(below + seen % 256)
        new = under + (seen // 256 + 1) * 256 if STAMPED else under
    return seen % 256


@triton.jit
def stack(head, below, owners, words, late, RIGHT: tl.constexpr):
    """Program 0 takes a number from a stack, program 1 takes two and puts the first back.

    Without a stamp, program 0 may take the first for what it was, although the one under it has gone: ABA.
    """
    if tl.program_id(0) == 0:
        mine = _pop(head, below, RIGHT)
        tl.atomic_add(owners + mine, 1, sem="relaxed")
        _work(words, late)
    else:
        _work(words, late)
        first = _pop(head, below, RIGHT)
        second = _pop(head, below, RIGHT)
        tl.atomic_add(owners + second, 1, sem="relaxed")
        seen = _look(head)
        _put(below + first, seen % 256)
        new = first + (seen // 256 + 1) * 256 if RIGHT else first
        while tl.atomic_cas(head, seen, new, sem="relaxed") != seen:
            seen = _look(head)
            _put(below + first, seen % 256)
            new = first + (seen // 256 + 1) * 256 if RIGHT else first


@triton.jit
def torn(wanted, version, pair, out, words, late, RIGHT: tl.constexpr):
    """Program 0 asks for a new pair of numbers, and reads the pair meanwhile; it keeps what it read if the
    version has not changed. Program 1 writes the pair.

    The version must be odd while the pair is written. If it changes afterwards alone, the reader can be
    interrupted in the middle of the pair, and the writer before it says so: two interruptions.
    """
    if tl.program_id(0) == 0:
        _put(wanted, 1)
        _work(words, late)
        before = _look(version)
        first = _look(pair)
        second = _look(pair + 1)
        if _look(version) == before and before % 2 == 0:
            _put(out, first)
            _put(out + 1, second)
    else:
        while _look(wanted) == 0:
            pass
        if RIGHT:
            tl.atomic_add(version, 1, sem="relaxed")
        _put(pair, 7)
        _put(pair + 1, 7)
        tl.atomic_add(version, 1 if RIGHT else 2, sem="relaxed")


@triton.jit
def locked(lock, inside, most, RIGHT: tl.constexpr):
    """Programs enter one at a time; `most` is how many were inside at once."""
    if RIGHT:
        while tl.atomic_cas(lock, 0, 1, sem="acquire") == 1:
            pass
    else:
        while _look(lock) == 1:
            pass
        _put(lock, 1)
    now = tl.atomic_add(inside, 1, sem="relaxed") + 1
    tl.atomic_max(most, now, sem="relaxed")
    tl.atomic_add(inside, -1, sem="relaxed")
    tl.atomic_xchg(lock, 0, sem="release")
