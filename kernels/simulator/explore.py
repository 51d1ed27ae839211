"""Every order of a small grid's threads that can make a difference, one launch after another.

    def check():
        counter = torch.zeros(1, dtype=torch.int32)
        count[(3,)](counter)
        assert counter.item() == 3

    print(simulator.explore(check, "sm_90"))              # 6 schedules: all that there are

Steps of warps (steps.py) are put in order by a search in depth that launches anew for every order. Orders
that differ in steps alone that do not depend on each other are one: after each launch, two steps of different
warps that depend on each other, and that nothing else orders, give another order to try (Flanagan and
Godefroid, "Dynamic partial-order reduction for model checking software", POPL 2005), and orders that are
known from a neighbour are left out (sleep sets; which warp to try with them is from Abdulla, Aronis, Jonsson
and Sagonas, "Optimal dynamic partial order reduction", POPL 2014).

With a bound, a warp may be interrupted so many times by others while it could go on: first never, then once,
and so on (Musuvathi and Qadeer, "Iterative context bounding", PLDI 2007). Under a bound a switch may have to
be moved to where it costs nothing, so there it is tried too, and nothing sleeps (Coons, Musuvathi and
McKinley, "Bounded partial-order reduction", OOPSLA 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .driver import device
from .errors import ReplayError, ScheduleFailed, SimulatorError
from .schedules import STEPS, Schedule
from .steps import Chooser, Operations, Situation, Step


@dataclass(frozen=True)
class Exploration:
    """What was explored without a failure.

    Attributes:
        schedules: How many were run.
        preemptions: How often a warp was interrupted at most; None: as often as there is a reason to.
        complete: Every schedule within this bound was run, or one that differs from it in nothing that
            a thread could see.
        exhaustive: No schedule was left out because of the bound either: more interruptions show nothing new.
    """

    schedules: int
    preemptions: int | None
    complete: bool
    exhaustive: bool

    def __str__(self) -> str:
        bound = " that there are"
        if self.preemptions is not None and not self.exhaustive:
            bound = f" with at most {self.preemptions} preemption{'s' * (self.preemptions != 1)}"
        return f"{self.schedules} schedules: {'all' if self.complete else 'not all'}{bound}"


def explore(
    check: Callable[[], object],
    name: str,
    *,
    preemptions: int | None = 2,
    most: int = 10_000,
    coresident: int | None = None,
    uninitialised: Collection[str] = (),
    rewrite: Callable[[str], str] | None = None,
) -> Exploration:
    """Run a launch under every schedule up to a bound.

    Race detection is always on: plain accesses are not put in another order, since two whose order matters
    are a race. Lanes of a warp go from step to step together, and programs start in the order of their
    numbers.

    Args:
        check: Launches kernels on new tensors, the same every time, and raises AssertionError if a result is
            wrong.
        name: Of the target, as for `device`.
        preemptions: How often warps may be interrupted; None: without a bound.
        most: Schedules after which it ends in any case.
        coresident, uninitialised, rewrite: As for `device`.

    Returns:
        What was explored: look at `complete`.

    Raises:
        ScheduleFailed: `check` failed, with an AssertionError or a SimulatorError; how it can be seen again.
        ReplayError: `check` is not the same every time.
        ValueError: A bound under 0, or `most` under 1.
    """
    if (preemptions is not None and preemptions < 0) or most < 1:
        raise ValueError(f"expected preemptions >= 0 or None and most >= 1, got {preemptions} and {most}")
    options = {"coresident": coresident, "uninitialised": uninitialised, "rewrite": rewrite}
    run, cut = 0, False
    for bound in [None] if preemptions is None else range(preemptions + 1):
        search = Search(bound)
        while search.unfinished:
            if run == most:
                return Exploration(run, bound, complete=False, exhaustive=False)
            run += 1
            _run(check, search, run, name, options)
        cut = search.cut
        if not cut:
            break
    return Exploration(run, preemptions, complete=True, exhaustive=not cut)


def _run(
    check: Callable[[], object], search: Search, run: int, name: str, options: Mapping[str, Any]
) -> None:
    with device(name, schedule=_Order(search), **options) as entered:
        try:
            check()
        except ReplayError:
            raise
        except (AssertionError, SimulatorError) as error:
            message = f"schedule {run} of the exploration fails: {error}"
            if isinstance(error, AssertionError):  # a SimulatorError says it
                message += f"\n  again with {entered.again()}"
            raise ScheduleFailed(message, schedule=str(entered.schedule), target=name) from error
        except Known:
            pass
    search.next()


class Known(BaseException):
    """Ends a launch whose further steps are known from another one; no `except Exception` keeps it."""


class _Order(Schedule):
    """Where the search is: the schedule of the launches that run now."""

    search: Search

    def __init__(self, search: Search) -> None:
        super().__init__(STEPS)
        object.__setattr__(self, "search", search)

    def __str__(self) -> str:
        switches = self.search.switches()
        return f"simulator.replay({', '.join(map(str, switches))})"

    @contextmanager
    def choosing(self, number: int) -> Iterator[Chooser | None]:
        """The next launch of the device."""
        yield self.search.launch()


@dataclass
class _Node:
    """A choice on the way to where the search is.

    Attributes:
        launch: Number of the launch on the device.
        sites: Source lines of what the warps do next.
        able, waiting: The warps that can go on, and those that wait in a loop.
        usual: The one that would run if nothing were tried.
        spent: Preemptions before it.
        chosen: The warp that runs.
        to_try: The warps that must be tried here, those that have been among them.
        tried: Those that have been.
        asleep: Those that need not be: what follows is known.
    """

    launch: int
    sites: Mapping[int, tuple[int, ...]]
    able: frozenset[int]
    waiting: frozenset[int]
    usual: int
    spent: int
    chosen: int
    to_try: set[int] = field(default_factory=set)
    tried: set[int] = field(default_factory=set)
    asleep: set[int] = field(default_factory=set)

    def cost(self, warp: int, running: int | None) -> int:
        """Preemptions, this one among them, if the warp runs."""
        return self.spent + (running in self.able and warp != running)


class Search:
    """Which orders of steps have been run, and which is next. Knows nothing of kernels.

    Attributes:
        cut: Something was left out because of the bound.
        unfinished: There is an order to run.
    """

    def __init__(self, bound: int | None) -> None:
        self.cut, self.unfinished = False, True
        self._bound = bound
        self._nodes: list[_Node] = []
        self._planned = 0  # nodes whose choice is set before the run
        self._at = 0  # node of the next choice of this run
        self._launches: list[tuple[int, Chooser]] = []  # first node
        self._before: Mapping[int, Operations] = {}  # what warps were to do at the last choice

    def launch(self) -> Chooser:
        """Makes the choices of the next launch."""
        self._before = {}
        self._launches.append((self._at, Chooser(self._pick)))
        return self._launches[-1][1]

    def switches(self) -> list[dict[int, int]]:
        """For `replay`: of every launch so far, the steps that are not the usual warp's."""
        found: list[dict[int, int]] = [{} for _ in self._launches]
        for index, node in enumerate(self._nodes[: self._at]):
            if node.chosen != node.usual:
                found[node.launch][index - self._launches[node.launch][0]] = node.chosen
        return found

    # ---- a run
    def _pick(self, situation: Situation) -> int:
        if self._at == len(self._nodes):
            self._nodes.append(self._new(situation))
        node = self._nodes[self._at]
        if (node.launch, node.sites, node.able) != (len(self._launches) - 1, situation.sites, situation.able):
            raise ReplayError(
                f"expected the same steps every time, got others at step {self._at}: what is checked must "
                "make new tensors of the same contents each time, and launch the same kernels"
            )
        self._at += 1
        self._before = situation.parked
        return node.chosen

    def _new(self, situation: Situation) -> _Node:
        launch, able, usual = len(self._launches) - 1, situation.able, situation.usual
        node = _Node(launch, situation.sites, able, frozenset(situation.parked) - able, usual, 0, usual)
        parent = self._nodes[-1] if self._nodes else None
        if parent is not None:
            node.spent = parent.cost(parent.chosen, self._running(len(self._nodes) - 1))
        if parent is not None and parent.launch == launch:
            node.asleep = self._still_asleep(parent, situation)
        awake = able - node.asleep
        if not awake:
            raise Known
        if node.chosen not in awake:
            node.chosen = min(awake)
        node.to_try.add(node.chosen)
        return node

    def _still_asleep(self, parent: _Node, situation: Situation) -> set[int]:
        if self._bound is not None:
            return set()
        step = self._launches[-1][1].steps[-1]
        candidates = parent.asleep | (parent.tried - {parent.chosen})
        return {
            warp
            for warp in candidates
            if situation.parked.get(warp) == self._before[warp] and not step.depends(self._before[warp])
        }

    def _running(self, index: int) -> int | None:
        """Whose step came before that of a node, in its launch."""
        if index == 0 or self._nodes[index - 1].launch != self._nodes[index].launch:
            return None
        return self._nodes[index - 1].chosen

    # ---- between runs
    def next(self) -> None:
        """Learn from the run that has ended, and set the next one."""
        for first, chooser in self._launches:
            _Races(self, first, chooser.steps).add(max(self._planned - 1, 0))
        self._launches = []
        while self._nodes:
            node = self._nodes[-1]
            node.tried.add(node.chosen)
            left = node.to_try - node.tried - node.asleep
            if left:
                node.chosen = min(left)
                break
            self._nodes.pop()
        self._planned = len(self._nodes)
        self._at = 0
        self.unfinished = bool(self._nodes)

    def reverse(self, index: int, warp: int, last: int, first_ones: set[int], first: int) -> None:
        """Let a step of `warp` come before the step of a node, if it can.

        Args:
            index: Of the node.
            warp: Whose later step depends on the node's.
            last: Node of its step before that one; -1 if there is none.
            first_ones: Warps of which a step may come first if that step and those between the two
                that do not depend on the node's come before it.
            first: Node at which the launch begins.
        """
        node = self._nodes[index]
        if warp in node.waiting and last < index:
            return  # it waits for what the node's step changes
        if self._bound is None:
            if not first_ones & node.to_try:
                able = first_ones & node.able
                node.to_try |= {min(able)} if able else node.able
            return
        self._try(index, warp)
        starts = [i for i in range(first, index) if self._running(i) != self._nodes[i].chosen]
        if starts:
            self._try(starts[-1], warp)

    def _try(self, index: int, warp: int) -> None:
        node, running = self._nodes[index], self._running(index)
        for one in ({warp} if warp in node.able else node.able) - node.to_try:
            if self._bound is not None and node.cost(one, running) > self._bound:
                self.cut = True
            else:
                node.to_try.add(one)


class _Races:
    """Steps of a launch that depend on each other and that nothing else orders."""

    def __init__(self, search: Search, first: int, steps: Sequence[Step]) -> None:
        self._search, self._first, self._steps = search, first, steps
        self._known: dict[int, dict[int, int]] = {}  # of every warp: the last step of each that came before
        self._stamps: list[dict[int, int]] = []  # of every step: the same, its own warp's included
        self._writes: dict[int, int] = {}  # of every word: the last step that changed it
        self._reads: dict[int, list[int]] = {}  # and those that have read it since

    def add(self, news: int) -> None:
        """Have the races of steps from node `news` on reversed."""
        for index, step in enumerate(self._steps):
            known = dict(self._known.get(step.warp, {}))
            for earlier in sorted(self._last_that_matter(step), reverse=True):
                if known.get(self._steps[earlier].warp, -1) >= earlier:
                    continue
                if self._first + index >= news:
                    last = self._first + known.get(step.warp, -1 - self._first)
                    first_ones = self._first_ones(earlier, index, known)
                    self._search.reverse(self._first + earlier, step.warp, last, first_ones, self._first)
                _join(known, self._stamps[earlier])
            known[step.warp] = index
            self._stamps.append(known)
            self._known[step.warp] = known
            self._note(index, step)

    def _first_ones(self, earlier: int, later: int, known: Mapping[int, int]) -> set[int]:
        """Warps of the steps that nothing precedes among `later` and those after `earlier` free of it."""
        steps, found, before = self._steps, set[int](), set[int]()
        free = [
            k for k in range(earlier + 1, later) if self._stamps[k].get(steps[earlier].warp, -1) < earlier
        ]
        for k in [*free, later]:
            stamp = known if k == later else self._stamps[k]
            if steps[k].warp not in before and all(
                stamp.get(steps[i].warp, -1) < i for i in free if i < k and steps[i].warp != steps[k].warp
            ):
                found.add(steps[k].warp)
            before.add(steps[k].warp)
        return found

    def _last_that_matter(self, step: Step) -> set[int]:
        found = {self._writes[cell] for cell in step.read | step.written if cell in self._writes}
        for cell in step.written:
            found.update(self._reads.get(cell, ()))
        return found

    def _note(self, index: int, step: Step) -> None:
        for cell in step.written:
            self._writes[cell] = index
            self._reads[cell] = []
        for cell in step.read:
            self._reads.setdefault(cell, []).append(index)
        for group in step.meetings:
            together: dict[int, int] = {}
            for warp in group:
                _join(together, self._known.get(warp, {}))
            for warp in group:
                self._known[warp] = dict(together)


def _join(known: dict[int, int], more: Mapping[int, int]) -> None:
    for warp, step in more.items():
        known[warp] = max(known.get(warp, -1), step)
