"""Any cell as a PyTorch module: its passes are emitted from the equations, checked and imported."""

from symgru.kernels.cache import CacheError, cache_folder
from symgru.torch_cells.load import load
from symgru.torch_cells.recurrent import Recurrent

__all__ = ["CacheError", "Recurrent", "cache_folder", "load"]
