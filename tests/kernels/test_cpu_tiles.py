"""The register tiles of the C++ engine: the bits of the plain loops, and no register spilled in a loop."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import symgru.kernels.cpu as cpu

HEADERS = Path(cpu.__file__).parent
COMPILER = shutil.which("g++")
FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-Wno-psabi")
SETS = {"avx512": ("-march=x86-64-v4", "-mprefer-vector-width=512"), "avx2": ("-march=x86-64-v3",)}

DRIVER = """
#include "pack.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>
using namespace symgru;

template <class T> std::vector<T> numbers(int64_t n) {
  std::vector<T> v(n);
  for (auto& x : v) x = T(std::rand()) / T(RAND_MAX) - T(0.5);
  return v;
}
int wrong = 0, compared = 0;
template <class T>
void compare(const std::vector<T>& a, const std::vector<T>& b, const char* what, int rows, int vectors) {
  compared++;
  if (std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0) return;
  if (wrong++ < 5) std::printf("%s: %d rows, %d vectors differ\\n", what, rows, vectors);
}
template <class T, bool TRANSPOSED> void tile(int rows, int vectors, int64_t K, bool add) {
  const int64_t width = vectors * lanes<T>, ldo = width + 3;
  const Rows<T> layout = TRANSPOSED ? Rows<T>{nullptr, 1, rows + 5} : Rows<T>{nullptr, K + 3, 1};
  const auto a = numbers<T>((rows + 5) * (K + 5)), panel = numbers<T>((K + 1) * width);
  const auto before = numbers<T>(rows * ldo);
  auto fast = before, plain = before;
  const Rows<T> left{a.data(), layout.row, layout.term};
  tiles<T, TRANSPOSED>.of[vectors][rows](K, left, panel.data(), width, fast.data(), ldo, add);
  product_plain(rows, vectors, K + PLANTED, left, panel.data(), width, plain.data(), ldo, add);
  compare(fast, plain, TRANSPOSED ? "transposed tile" : "tile", rows, vectors);
}
template <class T> void in_place(int rows, int count, int64_t K, bool add) {
  const auto a = numbers<T>(rows * (K + 3)), W = numbers<T>(count * K), before = numbers<T>(rows * lanes<T>);
  std::vector<T> panel((K + 1) * lanes<T>);
  for (int v = 0; v < count; v++)
    for (int64_t k = 0; k < K; k++) panel[k * lanes<T> + v] = W[v * K + k];
  auto fast = before, plain = before;
  product_in_place<T>(rows, K, {a.data(), K + 3, 1}, W.data(), count, fast.data(), lanes<T>, add);
  product_plain<T>(rows, 1, K, {a.data(), K + 3, 1}, panel.data(), lanes<T>, plain.data(), lanes<T>, add);
  compare(fast, plain, "in place", rows, count);
}
template <class T> void one_row(int panels, int vectors, int64_t K, bool add) {
  const int64_t width = vectors * lanes<T>, ldp = width + 2, next = (K + 1) * ldp + 5;
  const auto a = numbers<T>(K + 1), panel = numbers<T>(panels * next), before = numbers<T>(panels * width);
  auto fast = before, plain = before;
  row_products<T>[vectors][panels](K, a.data(), panel.data(), ldp, next, fast.data(), add);
  for (int p = 0; p < panels; p++)
    product_plain<T>(1, vectors, K + PLANTED, {a.data(), 0, 1}, panel.data() + p * next, ldp,
                     plain.data() + p * width, width, add);
  compare(fast, plain, "one row", panels, vectors);
}
template <class T> void few_terms(int rows, int64_t columns, int terms, bool add) {
  const int64_t width = (columns + lanes<T> - 1) / lanes<T> * lanes<T>, ld = width + rows;
  const auto a = numbers<T>(terms * ld), b = numbers<T>((terms + 1) * ld);
  const auto before = numbers<T>(rows * columns);
  auto fast = before, plain = before;
  outer_products<T>.of[terms](rows, columns, a.data(), b.data(), ld, fast.data(), add);
  std::vector<T> row(width);
  for (int i = 0; i < rows; i++) {
    std::copy_n(&before[i * columns], columns, row.data());
    product_plain<T>(1, int(width / lanes<T>), terms, {a.data() + i, 0, ld}, b.data() + PLANTED * ld, ld,
                     row.data(), width, add);
    std::copy_n(row.data(), columns, &plain[i * columns]);
  }
  compare(fast, plain, "few terms", rows, terms);
}
template <class T> void few_columns(int rows, int columns, int64_t K, bool add) {
  const auto a = numbers<T>(rows * (K + 3)), W = numbers<T>((columns + 1) * (K + 1));
  const auto before = numbers<T>(rows * 5);
  auto fast = before, plain = before;
  dots<T>(rows, columns, K, {a.data(), K + 3, 1}, W.data(), fast.data(), 5, add);
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < columns; v++) {
      T partial[16] = {};
      for (int64_t k = 0; k < K + PLANTED; k++)
        partial[k % 16] = std::fma(a[i * (K + 3) + k], W[v * K + k], partial[k % 16]);
      for (int half = 8; half > 0; half /= 2)
        for (int k = 0; k < half; k++) partial[k] += partial[k + half];
      plain[i * 5 + v] = add ? plain[i * 5 + v] + partial[0] : partial[0];
    }
  compare(fast, plain, "few columns", rows, columns);
}
template <class T> void all() {
  for (int columns = 1; columns <= most_columns_of_dots; columns++)
    for (int64_t K : {32, 33, 41, 63, 100, 512})
      for (bool add : {false, true}) few_columns<T>(3, columns, K, add);
  for (int terms = 1; terms <= most_terms_along; terms++)
    for (int64_t columns : {1, 7, 16, 35})
      for (bool add : {false, true}) few_terms<T>(3, columns, terms, add);
  for (int64_t K : {1, 2, 31, 255, 256, 257, 600})
    for (bool add : {false, true}) {
      for (int vectors = 1; vectors <= most_vectors; vectors++)
        for (int rows = 1; rows <= most_rows(vectors); rows++) {
          tile<T, false>(rows, vectors, K, add);
          if (tiles<T, true>.of[vectors][rows]) tile<T, true>(rows, vectors, K, add);
        }
      for (int vectors = 1; vectors <= most_vectors; vectors++)
        for (int panels = most_panels(vectors); panels > 0; panels /= 2) one_row<T>(panels, vectors, K, add);
      for (int rows = 1; rows <= most_rows_in_place; rows++)
        for (int count = 1; count <= lanes<T>; count++) in_place<T>(rows, count, K, add);
    }
}
int main() {
  all<float>(), all<double>();
  std::printf("%d compared, %d wrong\\n", compared, wrong);
  return wrong > 0;
}
"""


def _compiled(folder: Path, instruction_set: str, planted: int = 0) -> Path:
    if COMPILER is None:
        pytest.skip("no g++")
    source, program = folder / "tiles.cpp", folder / f"tiles_{planted}"
    source.write_text(DRIVER, encoding="utf-8")
    options = (*FLAGS, *SETS[instruction_set], f"-DPLANTED={planted}", f"-I{HEADERS}")
    done = subprocess.run(
        [COMPILER, *options, str(source), "-o", str(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:2000]
    return program


def _runs(instruction_set: str) -> bool:
    flags = Path("/proc/cpuinfo")
    needed = {"avx512": "avx512bw", "avx2": "avx2"}[instruction_set]
    return flags.exists() and needed in flags.read_text(encoding="utf-8").split()


def _spilling(listing: str) -> tuple[int, list[str]]:
    """How many loops of tiles multiply, and the functions in which such a loop touches the stack."""
    loops, spilling = 0, []
    for part in re.split(r"\n(?=[0-9a-f]+ <)", listing):
        name = part.split(">:", 1)[0]
        if not re.search(r"product_block<|product_of_row<", name):
            continue
        lines = re.findall(r"^\s+([0-9a-f]+):\s+(.*)$", part, re.MULTILINE)
        places = {address: i for i, (address, _) in enumerate(lines)}
        for i, (_, text) in enumerate(lines):
            jump = re.match(r"j\w+\s+([0-9a-f]+)", text)
            if jump is None or places.get(jump[1], i) >= i:
                continue
            loop = [text for _, text in lines[places[jump[1]] : i]]
            if any("vfmadd" in text for text in loop):
                loops += 1
                if any(re.search(r"[xyz]mm.*\(%r[sb]p\)|\(%r[sb]p\).*[xyz]mm", text) for text in loop):
                    spilling.append(name)
    return loops, spilling


@pytest.mark.parametrize("instruction_set", SETS)
def test_tiles_give_the_bits_of_the_plain_loops_and_spill_nothing(
    tmp_path: Path, instruction_set: str
) -> None:
    program = _compiled(tmp_path, instruction_set)
    objdump = shutil.which("objdump")
    if objdump is not None:
        command = [objdump, "-dC", "--no-show-raw-insn", str(program)]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        loops, spilling = _spilling(listing)
        assert loops > 50, f"expected the loops of all tiles, found {loops}"
        assert spilling == [], f"these tiles spill registers in their inner loop: {spilling}"
    if not _runs(instruction_set):
        pytest.skip(f"this processor has no {instruction_set}")
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_term_too_many_is_found(tmp_path: Path) -> None:
    if not _runs("avx2"):
        pytest.skip("this processor has no avx2")
    program = _compiled(tmp_path, "avx2", planted=1)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "differ" in done.stdout


def test_a_spill_is_found() -> None:
    listing = """
0000000000001000 <void symgru::product_block<float, 8, 3, false, false>(long)>:
    1010:\tvmovups (%rcx),%zmm2
    1016:\tvmovaps 0x40(%rsp),%zmm3
    101f:\tvfmadd231ps %zmm2,%zmm3,%zmm30
    1030:\tjne    1010 <void symgru::product_block<float, 8, 3, false, false>(long)+0x10>
"""
    loops, spilling = _spilling(listing)
    assert loops == 1
    assert len(spilling) == 1
