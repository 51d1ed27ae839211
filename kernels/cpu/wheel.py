"""The libraries in a wheel: setuptools runs this while it builds the package.

With a C++ compiler the wheel has one library for each instruction set of this machine's architecture, and the
tag of the platform; without one it is a wheel for every platform. An editable installation gets none: its
sources change.
"""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

#: 1: libraries or an error; 0: none; not set: libraries if they can be built.
VARIABLE = "SYMGRU_BUILD_CPU"

# This folder as a package of its own, since symgru is not installed while it is built.
_FOLDER = Path(__file__).parent
_spec = spec_from_file_location(
    "_symgru_cpu", _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
)
assert _spec is not None
sys.modules[_spec.name] = module_from_spec(_spec)
build = import_module(f"{_spec.name}.build")
errors = import_module(f"{_spec.name}.errors")
toolchain = import_module(f"{_spec.name}.toolchain")


class BuildPy(build_py):
    """The Python files, and beside them the libraries."""

    has_libraries = False

    def run(self) -> None:
        """Copy the files, then compile."""
        super().run()
        wanted = os.environ.get(VARIABLE, "")
        if wanted not in {"", "0", "1"}:
            raise SystemExit(f"{VARIABLE} is {wanted!r}, expected 0 or 1")
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "symgru", "kernels", "cpu", "libraries")
        shutil.rmtree(folder, ignore_errors=True)  # build/ may be of another day
        if wanted != "0":
            try:
                compile_all(folder)
                self.has_libraries = True
            except errors.NoLibraryError as error:
                shutil.rmtree(folder, ignore_errors=True)
                if wanted == "1":
                    raise SystemExit(f"{VARIABLE}=1, but {error}") from error
                print(f"the wheel gets no libraries for the CPU: {error}", file=sys.stderr)


class BdistWheel(bdist_wheel):
    """A wheel for any Python 3, and for this platform alone if it has libraries."""

    def get_tag(self) -> tuple[str, str, str]:
        """The tag without the version of Python, of which the libraries do not know.

        setuptools asks for it after the build, before it writes whether the wheel is pure.
        """
        self.root_is_pure = not self.get_finalized_command("build_py").has_libraries
        return ("py3", "none", super().get_tag()[2])


def compile_all(folder: Path) -> None:
    """One library for each instruction set of this architecture, readable by everybody.

    Raises:
        NoLibraryError: there is no compiler, or it failed.
    """
    compiler = toolchain.find_compiler()
    folder.mkdir(parents=True)

    def make(name: str) -> None:
        target = folder / f"{name}.so"
        build.build(name, target, compiler=compiler)
        for path in (target, build.digest_path(target)):
            path.chmod(0o644)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(make, toolchain.instruction_sets()))
