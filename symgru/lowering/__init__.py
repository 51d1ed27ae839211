"""From scheduled programs to source code: printers, storage layouts, and the emitter of generated files."""

from symgru.lowering.layout import TORCH_GRU, Layout
from symgru.lowering.printers import LoweringError, TorchPrinter, TritonPrinter

__all__ = ["TORCH_GRU", "Layout", "LoweringError", "TorchPrinter", "TritonPrinter"]
