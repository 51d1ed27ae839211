"""`symgru demo`: the whole way on real data, with a report."""

from __future__ import annotations

from pathlib import Path

import click

from symgru.cli.extras import require
from symgru.cli.output import refuse_existing, say, unused, write

REPORT = "symgru-demo-report.html"


@click.command("demo", short_help="From the equations to trained models, with a report.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help=f"File or folder of the report; by default {REPORT} here, numbered if that is taken.",
)
@click.option("--force", is_flag=True, help="Overwrite the report if it exists.")
@click.option(
    "--epochs", type=click.IntRange(min=1), default=20, show_default=True, help="Passes over the data."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the initial weights and the batches."
)
def command(output: Path | None, force: bool, epochs: int, seed: int) -> None:
    """Derive, prove, check the kernels and train on real speech; then write one HTML report.

    The derivation in both formulations goes into a Markdown file beside it.

    Three GRUs learn to tell nine speakers apart: polarity keep, polarity update with the mirrored update
    gate, and torch.nn.GRU, from the same initial weights and batches.
    """
    require("demo", "demo", ("torch", "numpy", "triton", "jinja2", "latex2mathml", "matplotlib"))
    path = report_path(output, force)
    document = derivation_path(path)
    for file in (path, document):
        refuse_existing(file, force)
    from symgru.demo import KernelCheckError, Settings, run
    from symgru.proof import ProofError

    try:
        result = run(Settings(epochs=epochs, seed=seed))
    except (KernelCheckError, ProofError) as error:
        raise click.ClickException(str(error)) from error
    write(path, result.html, force)
    write(document, result.derivation, force)
    say(result.summary)
    say(f"derived   {document.resolve()}")
    say(f"report    {path.resolve()}")
    if not result.findings.passed:
        raise SystemExit(1)


def report_path(output: Path | None, force: bool) -> Path:
    """Where the report goes: a name that is given is taken as it is, the default name is numbered."""
    if output is None or output.is_dir():
        default = (output or Path()) / REPORT
        return default if force else unused(default, derivation_path)
    return output


def derivation_path(report: Path) -> Path:
    """Where the derivation goes, beside the report."""
    return report.with_name(f"{report.stem}-derivation.md")
