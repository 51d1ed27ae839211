"""The demo: from the equations to trained models on real speech, in one report. Run by `symgru demo`."""

from symgru.demo.kernel_check import KernelCheckError
from symgru.demo.run import Findings, Result, Settings, run

__all__ = ["Findings", "KernelCheckError", "Result", "Settings", "run"]
