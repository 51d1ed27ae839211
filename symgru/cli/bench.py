"""`symgru bench`: how fast it runs, against other runtimes and the floor of the machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from symgru.cli.extras import require
from symgru.cli.output import refuse_existing, say, write
from symgru.cli.sizes import steps_batch_units

if TYPE_CHECKING:
    from symgru.benchmark.run import Report
    from symgru.benchmark.setting import Setting

NAMES = (
    *("forward", "training", "packed", "bf16", "double-backward", "memory", "streaming"),
    *("sweep", "scaling"),
)


@click.group("bench", short_help="How fast it runs, against other runtimes and the machine's floor.")
def command() -> None:
    """Measure the speed of symgru.GRU beside that of others, and the error of each."""


@command.command("cpu")
@click.option(
    "--tables",
    default="forward,training",
    show_default=True,
    help=f"Any of {', '.join(NAMES)}; or all.",
)
@click.option("--shapes", help='Sizes T,B,I,H, e.g. "50,1,64,64 100,32,64,128"; eight kinds by default.')
@click.option("--threads", default="1", show_default=True, help="Numbers of threads, e.g. 1,2.")
@click.option("--backend", default="auto", show_default=True, help="Of symgru.GRU.")
@click.option("--quick", is_flag=True, help="Small shapes and few rounds: shows that it runs, not how fast.")
@click.option("--seconds", type=click.FloatRange(min=0), help="For each row; 2.5 by default.")
@click.option("--sample", type=click.IntRange(min=1), help="How many shapes the sweep draws; all by default.")
@click.option(
    "--work",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="GFLOP of a forward pass above which the sweep leaves a shape out.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures to a file.")
@click.option(
    "--plot", "plot_file", type=click.Path(path_type=Path), help="Draw the scaling table to a file."
)
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def cpu(
    tables: str,
    shapes: str | None,
    threads: str,
    backend: str,
    quick: bool,
    seconds: float | None,
    sample: int | None,
    work: float,
    json_file: Path | None,
    plot_file: Path | None,
    markdown: bool,
    force: bool,
) -> None:
    """Time symgru.GRU on the CPU in turns with torch.nn.GRU, ONNX Runtime and OpenVINO.

    What gives a wrong result is refused and has no time; the exit status is then 1. Nothing else should run
    on the machine meanwhile.
    """
    require("bench", "bench", ("torch", "numpy", *(("matplotlib",) if plot_file else ())))
    names = table_names(tables)
    if plot_file is not None and "scaling" not in names:
        raise click.BadParameter("draws the table scaling, which is not among --tables", param_hint="--plot")
    for file in filter(None, (json_file, plot_file)):
        refuse_existing(file, force)
    setting = _setting(shapes, _threads(threads), backend, quick, seconds, sample, work)
    report = _measured(names, setting)
    from symgru.benchmark.report import as_json, text
    from symgru.benchmark.report import markdown as as_markdown

    say((as_markdown if markdown else text)(report), nl=False)
    if json_file is not None:
        write(json_file, as_json(report), force)
    if plot_file is not None:
        _draw(report, plot_file)
    if report.refused:
        raise SystemExit(1)


@command.command("simulator")
@click.option("--target", default="sm_90", show_default=True, help="The GPU that is simulated.")
@click.option("--shape", default="32,64,64", show_default=True, help="Steps, sequences, units: T,B,H.")
@click.option("--quick", is_flag=True, help="Few sizes and rounds: shows that it runs, not how fast.")
@click.option("--seconds", type=click.FloatRange(min=0), help="For each size; 2.5 by default.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures to a file.")
@click.option(
    "--plot", "plot_file", type=click.Path(path_type=Path), help="Draw time against steps and threads."
)
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def simulated(
    target: str,
    shape: str,
    quick: bool,
    seconds: float | None,
    json_file: Path | None,
    plot_file: Path | None,
    force: bool,
) -> None:
    """Time launches of the fused GRU in the simulator, with the race detector and without.

    Then against the number of steps and of threads, in which the cost should be linear. Nothing else should
    run on the machine meanwhile.
    """
    wanted = ("torch", "triton", "llvmlite", *(("matplotlib",) if plot_file else ()))
    require("bench simulator", "simulator", wanted)
    for file in filter(None, (json_file, plot_file)):
        refuse_existing(file, force)
    sizes = steps_batch_units(shape, "--shape", "32,64,64")
    from dataclasses import replace

    from symgru.benchmark import simulator as benchmark
    from symgru.benchmark.timing import NORMAL, QUICK

    effort = QUICK if quick else NORMAL
    try:
        report = benchmark.measure(
            target,
            benchmark.Size(*sizes),
            effort if seconds is None else replace(effort, seconds=seconds),
            (2, 4) if quick else benchmark.STEPS,
            (16, 32) if quick else benchmark.BATCHES,
            progress=_progress,
        )
    except (ValueError, RuntimeError) as error:  # a wrong result, no such target; a report, no backend
        raise click.ClickException(str(error)) from error
    say(benchmark.text(report), nl=False)
    if json_file is not None:
        write(json_file, benchmark.as_json(report), force)
    if plot_file is not None:
        _drawn(benchmark.plot, report, plot_file)


def table_names(text: str) -> tuple[str, ...]:
    """The tables asked for, in the order of NAMES.

    Raises:
        click.BadParameter: there is no such table.
    """
    asked = {word.strip() for word in text.split(",") if word.strip()}
    unknown = sorted(asked - {*NAMES, "all"})
    if unknown or not asked:
        found = ", ".join(unknown) or "none"
        raise click.BadParameter(f"the tables are {', '.join(NAMES)}; not {found}", param_hint="--tables")
    return NAMES if "all" in asked else tuple(name for name in NAMES if name in asked)


def _threads(text: str) -> tuple[int, ...]:
    from symgru.benchmark.machine import cores

    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise click.BadParameter(f"expected numbers such as 1,2, but it is {text!r}", param_hint="--threads")
    numbers = tuple(dict.fromkeys(map(int, words)))
    if max(numbers) > cores():
        raise click.BadParameter(
            f"{max(numbers)} threads on {cores()} usable cores would measure the system's scheduler",
            param_hint="--threads",
        )
    return numbers


def _setting(
    shapes: str | None,
    threads: tuple[int, ...],
    backend: str,
    quick: bool,
    seconds: float | None,
    sample: int | None,
    work: float,
) -> Setting:
    from dataclasses import replace

    from symgru.benchmark.setting import Setting
    from symgru.benchmark.shapes import QUICK_SHAPES, SHAPES, parse
    from symgru.benchmark.timing import NORMAL, QUICK

    effort = QUICK if quick else NORMAL
    try:
        sizes = parse(shapes) if shapes is not None else QUICK_SHAPES if quick else SHAPES
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--shapes") from error
    return Setting(
        sizes,
        threads,
        backend,
        effort if seconds is None else replace(effort, seconds=seconds),
        sample=12 if quick and sample is None else sample,
        points=3 if quick else None,
        work=(min(work, 0.01) if quick else work) * 1e9,
        progress=_progress,
    )


_T = TypeVar("_T")


def _progress(cases: Sequence[_T], name: str) -> Iterable[_T]:
    from tqdm import tqdm

    return tqdm(cases, desc=name, file=sys.stderr, unit="shape", mininterval=1)


def _measured(names: Sequence[str], setting: Setting) -> Report:
    from symgru.benchmark.run import run
    from symgru.torch_api import BackendError

    try:
        return run(names, setting)
    except BackendError as error:
        raise click.ClickException(str(error)) from error


def _draw(report: Report, path: Path) -> None:
    from symgru.benchmark.plot import plot

    (table,) = (table for table in report.tables if table.name == "scaling")
    _drawn(plot, table, path)


def _drawn(plot: Callable[[_T, Path], None], what: _T, path: Path) -> None:
    try:
        plot(what, path)
    except (OSError, ValueError) as error:  # ValueError: a suffix that matplotlib does not know
        raise click.ClickException(f"{path} cannot be written: {error}") from error
