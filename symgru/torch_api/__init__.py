"""The PyTorch interface: `GRU`, `GRUCell`, `gru`, and the choice of a backend."""

from symgru.torch_api.backends import backends
from symgru.torch_api.errors import BackendError, DeviceError, DtypeError, ShapeError
from symgru.torch_api.functional import gru
from symgru.torch_api.modules import GRU, GRUCell

__all__ = ["GRU", "BackendError", "DeviceError", "DtypeError", "GRUCell", "ShapeError", "backends", "gru"]
