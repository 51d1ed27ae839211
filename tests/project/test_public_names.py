"""The lazy names of `import symgru`."""

import subprocess
import sys

import pytest

import symgru


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("name", symgru.__all__)
def test_every_public_name_exists(name):
    assert name in dir(symgru)
    assert getattr(symgru, name) is getattr(symgru, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'symgru' has no attribute 'LSTM'"):
        symgru.LSTM  # noqa: B018 - the access is what is tested


@pytest.mark.parametrize("missing", ["torch", "numpy", "triton"])
def test_without_its_dependency_the_error_says_what_to_install(missing):
    # The import of symgru.torch_api is replaced by one of the missing package.
    result = run(
        f"""
import sys
sys.modules[{missing!r}] = None                     # what `import {missing}` finds where it is not installed
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "symgru.torch_api":
            import {missing}
sys.meta_path.insert(0, Finder())
import symgru
assert symgru.__version__
symgru.GRU
"""
    )
    assert result.returncode != 0
    last_line = result.stderr.strip().splitlines()[-1]
    assert last_line == (
        f'ImportError: symgru.GRU needs {missing}, which is not installed: pip install "symgru[torch]"'
    )


def test_without_torch_the_real_api_says_what_to_install():
    result = run("import sys; sys.modules['torch'] = None; from symgru import gru")
    assert result.returncode != 0
    assert 'pip install "symgru[torch]"' in result.stderr.strip().splitlines()[-1]


def test_a_fault_inside_the_api_is_not_taken_for_a_missing_dependency():
    result = run("import sys, symgru; sys.modules['symgru.torch_api'] = None; symgru.GRU")
    assert result.returncode != 0
    assert "pip install" not in result.stderr
    assert "ModuleNotFoundError" in result.stderr.strip().splitlines()[-1]
