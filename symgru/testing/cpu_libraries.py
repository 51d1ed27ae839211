"""Libraries of the CPU's passes with a few lines changed.

For tests that need one cell, threads for every call, a planted error. Sources are copied, edited and
compiled; the package's own stay as they are.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from symgru.kernels.cpu import passes
from symgru.kernels.cpu.build import ROOT, build
from symgru.testing.cpu_passes import PASSES, Plans


@dataclass(frozen=True)
class Edit:
    """A text in a source, and what stands in its place; the text has to be there once."""

    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Change the file.

        Raises:
            ValueError: the text is not there, or more than once.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            found = f"expected {self.old!r} once in {self.file}, found it {text.count(self.old)} times"
            raise ValueError(f"{found}: the sources have changed, so change the edit")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


#: Small calls are computed by a team too.
ALWAYS_A_TEAM = Edit("cpu/engine.h", "operations_worth_a_team = 2e6", "operations_worth_a_team = 0")
#: Scratch is full of NaN before a call writes to it.
NAN_IN_SCRATCH = Edit(
    "cpu/scratch.h",
    "header_(take_memory(size_t(elements > 0 ? elements : 1) * sizeof(T))) {}",
    "header_(take_memory(size_t(elements > 0 ? elements : 1) * sizeof(T))) {\n"
    "    std::memset(get(), 0xff, size_t(elements) * sizeof(T));\n  }",
)
#: Compiles in a quarter of the time.
SMALL_TILES = Edit("cpu/product.h", "rows > 8 ? 8 : rows", "rows > 3 ? 3 : rows")

#: Two types, in place of all of library.cpp.
LIBRARY = """
#include "../generated/cpu_plans.h"
#include "engine.h"

#define EXPORT extern "C" __attribute__((visibility("default")))
using namespace symgru;

constexpr int plans = sizeof(all_plans<FIRST>) / sizeof(all_plans<FIRST>[0]);
template <class T> void pack_all(int plan, const Call& call, void* memory) {
  const Panels<T, T> panels(*all_plans<T>[plan], call.sizes);
  for (const auto& place : panels.places)
    for (int64_t tile = 0; tile < place.tiles; tile++)
      pack_tile<T, T>(*all_plans<T>[plan], call, place, tile, static_cast<T*>(memory));
}
EXPORT int symgru_plans() { return plans; }
EXPORT const char* symgru_name(int plan) { return all_plans<FIRST>[plan]->name; }
EXPORT const char* symgru_signature(int plan) { return all_plans<FIRST>[plan]->signature; }
EXPORT int symgru_run(int plan, int type, const Setting* setting, void* const* arguments, const void* panels,
                      uint64_t) {
  const Call call{*setting, arguments, panels};
  if (type == 0) execute<FIRST>(*all_plans<FIRST>[plan], call);
  else execute<SECOND>(*all_plans<SECOND>[plan], call);
  return 0;
}
EXPORT int64_t symgru_packed_size(int plan, int type, const Setting* setting) {
  return type == 0 ? Panels<FIRST, FIRST>(*all_plans<FIRST>[plan], setting->sizes).elements
                   : Panels<SECOND, SECOND>(*all_plans<SECOND>[plan], setting->sizes).elements;
}
EXPORT void symgru_pack(int plan, int type, const Setting* setting, void* const* arguments, void* memory) {
  const Call call{*setting, arguments, nullptr};
  type == 0 ? pack_all<FIRST>(plan, call, memory) : pack_all<SECOND>(plan, call, memory);
}
EXPORT uint64_t symgru_fingerprint(int, int, const Setting*, void* const*) { return 0; }
EXPORT void symgru_release() { free_kept_memory(); }
"""


def variant(root: Path, cells: Sequence[str], edits: Iterable[Edit] = (), only: str | None = None) -> Path:
    """Sources in a new folder: those of the package with the first-order passes of some cells, edited.

    Args:
        root: The folder to make.
        cells: Names of cells, such as "gru_keep_after".
        edits: What to change.
        only: The one type to compile for, "float" or "double"; the library takes it for both.
    """
    for folder, pattern in (("cpu", "*.h"), ("cpu", "*.cpp"), ("generated", "cpu_*.h")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for path in (ROOT / folder).glob(pattern):
            shutil.copy(path, root / folder)
    _keep_plans(root / "generated" / "cpu_plans.h", cells)
    first, second = ("float", "double") if only is None else (only, only)
    text = LIBRARY.replace("FIRST", first).replace("SECOND", second)
    (root / "cpu" / "library.cpp").write_text(text, encoding="utf-8")
    for edit in edits:
        edit.apply(root)
    return root


def _keep_plans(path: Path, cells: Sequence[str]) -> None:
    """Leave the cells' first-order passes in the list of all plans."""
    head, start, plans = path.read_text(encoding="utf-8").partition("all_plans[] = {")
    every = re.findall(r"&(\w+)::(\w+)<T>", plans)
    kept = [f"&{cell}::{plan}<T>" for cell, plan in every if cell in cells and plan in PASSES]
    if not {cell for cell, _ in every} >= set(cells):
        raise ValueError(f"expected plans of {', '.join(cells)} in {path}")
    lines = [line for line in head.splitlines() if not line.startswith("#include") or line[14:-3] in cells]
    joined = ",\n    ".join(kept)
    path.write_text(
        "\n".join(lines) + f"{start}\n    {joined}}};\n\n}}  // namespace symgru\n", encoding="utf-8"
    )


def compiled(root: Path, instruction_set: str, flags: Sequence[str] = ("-O1",)) -> Plans:
    """The plans of a folder of sources, compiled with fewer optimisations: they do not change results.

    Raises:
        NoLibraryError: see `symgru.kernels.cpu.build.build`.
    """
    with tempfile.TemporaryDirectory(dir=root) as folder:
        target = Path(folder) / "library.so"
        build(instruction_set, target, root, extra_flags=flags)
        return plans_of(ctypes.CDLL(str(target)))


def plans_of(library: ctypes.CDLL) -> Plans:
    """All plans of a loaded library, by name."""
    return {plan.name: plan for plan in passes.plans_of(library)}
