"""What of Triton and llvmlite is installed, and in which release: what is not tested is refused in words."""

import llvmlite
import pytest
import triton
from symgru.kernels import simulator
from symgru.kernels.simulator import installation, machine


def test_interpreter_is_refused(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(simulator.SimulatorError, match="TRITON_INTERPRET"), simulator.device("sm_80"):
        pass


@pytest.mark.parametrize("version", ["3.6.1", "3.10.0", "4.0", "unknown"])
def test_untested_triton_is_refused(version, monkeypatch):
    monkeypatch.setattr(triton, "__version__", version)
    asked = r'tested with triton 3\.7 to 3\.9, this is .*: pip install "triton>=3\.7,<3\.10"'
    with pytest.raises(simulator.SimulatorError, match=asked), simulator.device("sm_80"):
        pass


def test_untested_llvmlite_is_refused(monkeypatch):
    monkeypatch.setattr(llvmlite, "__version__", "0.47.1")
    machine._prepare.cache_clear()
    with pytest.raises(
        simulator.SimulatorError, match=r"tested with llvmlite 0\.48 to 0\.50, this is 0\.47\.1"
    ):
        machine._prepare()


@pytest.mark.parametrize(
    ("package", "version"),
    [("triton", "3.7.1"), ("triton", "3.8.0"), ("triton", "3.9.0+git1"), ("llvmlite", "0.50.0")],
)
def test_tested_versions_are_taken(package, version):
    installation.check_version(package, version)
