"""Errors of the PyTorch interface. All are `ValueError`s that say what was expected and what came."""

from __future__ import annotations


class ShapeError(ValueError):
    """A tensor of the wrong shape."""


class DtypeError(ValueError):
    """A tensor of the wrong dtype."""


class DeviceError(ValueError):
    """A tensor on the wrong device."""


class BackendError(ValueError):
    """A backend that does not exist or cannot serve the call; the message names one that can."""
