"""`symgru kernels`: what the Triton loops cost, and whether they are right, without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import click

from symgru.cli.extras import require
from symgru.cli.output import refuse_existing, say, write
from symgru.cli.sizes import steps_batch_units
from symgru.kernels.names import POLARITIES, PRECISIONS, RESETS

#: Of `symgru.kernels.simulator.TARGETS`, which a test compares; importing that would load torch.
TARGETS = (
    *("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_103", "sm_120"),
    *("gfx90a", "gfx942", "gfx950", "gfx1100", "gfx1151", "gfx1201"),
)
PASSES = ("forward", "backward", "tangent")
DTYPES = ("float64", "float32", "float16", "bfloat16")
_target = click.option(
    "--target", "targets", multiple=True, type=click.Choice(TARGETS), help="May be given several times."
)


@click.group("kernels", short_help="What the Triton loops cost, and whether they are right, without a GPU.")
def command() -> None:
    """Compile the Triton loops, and run what was compiled on simulated GPUs."""


@command.command("report")
@_target
@click.option("--pass", "passes", multiple=True, type=click.Choice(PASSES), help="All three by default.")
@click.option("--polarity", type=click.Choice(POLARITIES), default="keep", show_default=True)
@click.option("--reset", type=click.Choice(RESETS), default="after", show_default=True)
@click.option("--lengths", is_flag=True, help="The cell with a mask for sequences of different lengths.")
@click.option("--dtype", type=click.Choice(DTYPES), default="float32", show_default=True, help="Of weights.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="ieee", show_default=True)
@click.option("--sizes", default="8,16,32", show_default=True, help="T,B,H.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(
    targets: tuple[str, ...],
    passes: tuple[str, ...],
    polarity: str,
    reset: str,
    lengths: bool,
    dtype: str,
    precision: str,
    sizes: str,
    as_json: bool,
) -> None:
    """Static figures and counters of the loops, for each launch and each time step.

    Registers, spills, shared memory, instructions, and modelled cycles with their error come from the machine
    code; bytes, matrix instructions, barriers and so on are counted in a run on a simulated GPU.
    """
    _require("kernels report")
    from symgru.testing.ladder.running import environment

    cell = f"{polarity}_{reset}{'_lengths' if lengths else ''}"
    options = ["--targets", *(targets or ("sm_80", "sm_90", "gfx942", "gfx1201")), "--cell", cell]
    options += [
        "--dtype",
        dtype,
        "--precision",
        precision,
        "--sizes",
        *map(str, steps_batch_units(sizes, "--sizes", "8,16,32")),
    ]
    options += (["--passes", *passes] if passes else []) + (["--json"] if as_json else [])
    done = subprocess.run(
        [sys.executable, "-m", "symgru.testing.ladder.figures", *options],
        env=environment(interpreted=False),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise click.ClickException(done.stderr.strip() or f"exit status {done.returncode}")
    say(done.stdout, nl=False)


@command.command("verify")
@_target
@click.option("--rung", "rungs", multiple=True, help="a to f, see below; all by default.")
@click.option("--fast/--thorough", default=True, show_default=True, help="What CI runs, or everything.")
@click.option("--accept", metavar="REASON", help="Take the figures that (d) finds as budgets, and say why.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the outcomes to a file.")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def verify(
    targets: tuple[str, ...],
    rungs: tuple[str, ...],
    fast: bool,
    accept: str | None,
    json_file: Path | None,
    force: bool,
) -> None:
    """Run the ladder of checks; the exit status is 1 if one fails.

    \b
    (a) emitted passes against the float64 oracle
    (b) the loops in Triton's interpreter
    (c) what was compiled, on simulated GPUs
    (d) what it costs, for every GPU, against the budgets
    (e) modelled cycles, as advice
    (f) the same on a GPU, where there is one
    """
    _require("kernels verify")
    from symgru.testing.ladder.outcome import RUNGS, Request
    from symgru.testing.ladder.running import run

    chosen = _rungs(rungs, tuple(RUNGS), accept)
    if json_file is not None:
        refuse_existing(json_file, force)
    outcomes = []
    for rung in chosen:
        outcomes.append(run(rung, Request(targets, not fast, accept)))
        say(outcomes[-1].text)
    if json_file is not None:
        write(json_file, json.dumps([asdict(outcome) for outcome in outcomes], indent=1), force)
    if any(outcome.verdict == "failed" for outcome in outcomes):
        raise SystemExit(1)


def _rungs(asked: tuple[str, ...], known: tuple[str, ...], accept: str | None) -> tuple[str, ...]:
    """Those asked for, in their order; to accept is a matter of (d) alone.

    Raises:
        click.BadParameter: there is no such rung, or a reason without words.
    """
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise click.BadParameter(
            f"the rungs are {', '.join(known)}; not {', '.join(unknown)}", param_hint="--rung"
        )
    if accept is None:
        return tuple(rung for rung in known if not asked or rung in asked)
    if not accept.strip():
        raise click.BadParameter("expected the reason why the figures are right", param_hint="--accept")
    if set(asked) - {"d"}:
        raise click.BadParameter("goes with rung d alone", param_hint="--accept")
    return ("d",)


def _require(name: str) -> None:
    """What has to be installed, and a compiler for the simulator's runtime.

    Raises:
        click.ClickException: what is missing, and how to get it.
    """
    require(name, "simulator", ("torch", "triton", "llvmlite"))
    require(name, "test", ("hypothesis",))
    from symgru.kernels.cpu.errors import NoLibraryError
    from symgru.kernels.cpu.toolchain import find_compiler

    try:
        find_compiler()
    except NoLibraryError as error:
        raise click.ClickException(f"symgru {name}: {error}") from error
