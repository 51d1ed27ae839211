"""Machine code for the host from LLVM IR, kept for the process.

LLVM's optimisations of level 1 are what pays: they inline the functions that stand for instructions and
turn their registers into values. Symbols are looked up before, since LLVM ends the process for one that it
misses.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import llvmlite
import llvmlite.binding as llvm

from ..locks import Lock
from .errors import SimulatorError
from .host import to_bfloat
from .installation import check_version

LEVEL = 1


@dataclass(frozen=True)
class Code:
    """Machine code: the engine that owns it, and the addresses of its symbols."""

    engine: llvm.ExecutionEngine
    addresses: Mapping[str, int]


#: What the code generator calls to round to 16 bits, and not every C library has. Through the float that is
#: rounded to odd, a double is rounded once.
_ROUNDING = """
define internal float @to_odd(double %x) {
  %near = fptrunc double %x to float
  %back = fpext float %near to double
  %size = call double @llvm.fabs.f64(double %x)
  %rounded = call double @llvm.fabs.f64(double %back)
  %above = fcmp ogt double %rounded, %size
  %inexact = fcmp one double %back, %x
  %bits = bitcast float %near to i32
  %one = zext i1 %above to i32
  %below = sub i32 %bits, %one
  %last = zext i1 %inexact to i32
  %odd = or i32 %below, %last
  %result = bitcast i32 %odd to float
  ret float %result
}
define bfloat @__truncdfbf2(double %x) {
  %odd = call float @to_odd(double %x)
  %result = call bfloat @__truncsfbf2(float %odd)
  ret bfloat %result
}
define half @__truncdfhf2(double %x) {
  %odd = call float @to_odd(double %x)
  %result = fptrunc float %odd to half
  ret half %result
}
declare double @llvm.fabs.f64(double)
"""
_ROUNDING += to_bfloat("__truncsfbf2", head="define")
_kept: list[llvm.ExecutionEngine] = []

_lock = Lock()
_known: dict[str, Code] = {}
#: Of so many modules the machine code is kept for those who ask again; kernels in use keep their own.
KEPT = 256


def compiled(text: str, symbols: tuple[str, ...], library: ctypes.CDLL) -> Code:
    """The machine code of a module; that of an earlier call with the same text, if there was one.

    Args:
        text: LLVM IR.
        symbols: Functions and tables whose addresses are wanted.
        library: Where the functions `sim_…` are.

    Raises:
        SimulatorError: LLVM does not take the text, or a function is not there.
    """
    key = hashlib.sha256(text.encode()).hexdigest()
    with _lock:
        if key not in _known:
            _known[key] = _compile(text, symbols, library)
            if len(_known) > KEPT:
                del _known[next(iter(_known))]
        return _known[key]


def _machine() -> llvm.TargetMachine:
    """A new one: the engine that it is given to destroys it with itself."""
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=LEVEL,
        jit=True,
        codemodel="large",  # the runtime may lie further away than a 32-bit displacement
    )


@cache
def _prepare() -> None:
    """What all modules need of this process: LLVM's parts, the C library's functions, roundings."""
    check_version("llvmlite", llvmlite.__version__)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    mathematics = ctypes.util.find_library("m")
    if mathematics:
        llvm.load_library_permanently(mathematics)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(_ROUNDING), _machine())
    engine.finalize_object()
    for name in re.findall(r"@(__trunc\w+)\(", _ROUNDING):
        llvm.add_symbol(name, engine.get_function_address(name))
    _kept.append(engine)


def _compile(text: str, symbols: tuple[str, ...], library: ctypes.CDLL) -> Code:
    _prepare()
    machine = _machine()
    layout = f'target datalayout = "{machine.target_data}"\n'  # LLVM's default puts i64 at multiples of 4
    try:
        module = llvm.parse_assembly(layout + text)
        module.verify()
    except RuntimeError as error:
        raise SimulatorError(f"expected LLVM IR that LLVM {_version()} reads, got: {error}") from error
    for name in re.findall(r"^declare [^@]*@(sim_\w+)\(", text, re.MULTILINE):
        llvm.add_symbol(name, _address(library, name))
    _optimise(module, machine)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    addresses = {}
    for name in symbols:
        addresses[name] = engine.get_function_address(name) or engine.get_global_value_address(name)
    return Code(engine, addresses)


def _optimise(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=LEVEL)
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def _address(library: ctypes.CDLL, name: str) -> int:
    try:
        address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    except AttributeError:
        raise SimulatorError(f"the runtime has no function {name}") from None
    return address or 0


def _version() -> str:
    return ".".join(map(str, llvm.llvm_version_info))
