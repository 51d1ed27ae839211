"""The instruction sets: which a processor has, and which is used."""

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest
from symgru.kernels.cpu import load, toolchain
from symgru.kernels.cpu.build import label

COMPILER = toolchain.compiler_command()

# Instruction sets.

V3 = "fpu sse2 avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


def cpuinfo(*cores: str) -> str:
    return "".join(
        f"processor\t: {i}\nmodel name\t: x\nflags\t\t: {core}\n\n" for i, core in enumerate(cores)
    )


@pytest.mark.parametrize(
    ("text", "machine", "expected"),
    [
        (cpuinfo(f"{V4} avx512_bf16"), "x86_64", ["avx512_bf16", "avx512", "avx2", "portable"]),
        (cpuinfo(V4, V4), "AMD64", ["avx512", "avx2", "portable"]),
        (cpuinfo(f"{V3} avx512f avx512_bf16"), "x86_64", ["avx2", "portable"]),
        (cpuinfo(V3), "x86_64", ["avx2", "portable"]),
        (cpuinfo("fpu sse2 avx"), "x86_64", ["portable"]),
        (cpuinfo(V4, V3), "x86_64", ["avx2", "portable"]),
        (cpuinfo(V4).replace("flags", "vmx flags"), "x86_64", ["portable"]),
        ("", "x86_64", ["portable"]),
        ("processor\t: 0\nFeatures\t: fp asimd evtstrm bf16\n", "aarch64", ["portable"]),
        (cpuinfo(V4), "aarch64", ["portable"]),
        (cpuinfo(V4), "arm64", ["portable"]),
    ],
)
def test_the_instruction_sets_of_a_processor(text, machine, expected):
    assert list(toolchain.supported(text, machine)) == expected


@pytest.mark.parametrize("flag", V4.split()[2:])
def test_every_flag_counts(flag):
    without = toolchain.supported(cpuinfo(V4.replace(f" {flag} ", " ").removesuffix(f" {flag}")), "x86_64")
    assert "avx512" not in without
    assert ("avx2" in without) == (flag.startswith("avx512"))


# How GCC and Clang call what /proc/cpuinfo calls otherwise.
MACRO = {"abm": "LZCNT", "bmi1": "BMI", "avx512_bf16": "AVX512BF16"}
# x86-64-v2, which every processor with AVX2 has, and the instructions that come with another one.
IMPLIED = {"SSE3", "SSSE3", "SSE4_1", "SSE4_2", "POPCNT", "LAHF_SAHF", "CRC32", "EVEX256", "EVEX512"}


@pytest.mark.skipif("avx2" not in toolchain.instruction_sets(), reason="no x86 machine")
@pytest.mark.parametrize("name", ["avx512_bf16", "avx512", "avx2"])
def test_the_compiler_uses_nothing_that_is_not_asked_of_the_processor(name):
    def macros(*flags: str) -> set[str]:
        command = [*COMPILER, *flags, "-dM", "-E", "-x", "c++", os.devnull]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return set(re.findall(r"#define __([A-Z0-9_]+)__ 1\n", text))

    one = toolchain.X86[name]
    used = macros(*one.flags) - macros()
    asked = {MACRO.get(need, need.upper()) for need in one.needs}
    assert asked <= used
    assert used - asked <= IMPLIED


def test_the_environment_sets_the_instruction_set(root, monkeypatch):
    monkeypatch.setenv(load.VARIABLE, "portable")
    assert load.instruction_set() == "portable"
    assert label("portable", root) in Path(load.library()._name).read_bytes()


@pytest.mark.parametrize("how", ["argument", "environment"])
@pytest.mark.parametrize(
    ("name", "problem"), [("sse9", "there is none of this name"), ("avx512", "this processor lacks it")]
)
def test_an_instruction_set_that_is_not_there_is_an_error(how, name, problem, root, monkeypatch):
    monkeypatch.setattr(toolchain, "supported_here", lambda: ("avx2", "portable"))
    if how == "environment":
        monkeypatch.setenv(load.VARIABLE, name)
    for function in (load.library, load.obstacle, load.instruction_set):
        with pytest.raises(ValueError, match=f"'{name}': {problem}, expected one of avx2, portable"):
            function(name if how == "argument" else None)


def test_the_best_instruction_set_comes_first(monkeypatch):
    monkeypatch.delenv(load.VARIABLE, raising=False)
    assert load.instruction_set() == toolchain.supported_here()[0]
    assert toolchain.supported_here()[-1] == "portable"
    assert set(toolchain.supported_here()) <= set(toolchain.instruction_sets(platform.machine()))
