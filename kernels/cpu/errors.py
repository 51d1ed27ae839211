"""Why there is no library."""


class NoLibraryError(RuntimeError):
    """No library of the CPU kernels can be had on this machine; the message says why, and what to install."""


class BuildError(NoLibraryError):
    """The compiler did not take the sources; the message ends with what it said."""
