"""Any cell as a PyTorch module: its passes are emitted from the equations, checked and imported."""

from symgru.torch_cells.load import CacheError, cache_folder, load
from symgru.torch_cells.recurrent import Recurrent

__all__ = ["CacheError", "Recurrent", "cache_folder", "load"]
