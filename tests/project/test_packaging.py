"""What is declared is what is there: packages, the wheel's files, versions, pins."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from symgru.kernels.cpu import toolchain

import symgru

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def source_files(root: Path) -> set[str]:
    """Every file of symgru/ and kernels/ but caches, by the name it has when installed."""
    found = set()
    for folder, installed in (("symgru", "symgru"), ("kernels", "symgru/kernels")):
        for path in (root / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(f"{installed}/{path.relative_to(root / folder).as_posix()}")
    return found


def copy_of(root: Path, work: Path) -> Path:
    """A copy to build from, so that neither a stale build/ is used nor a new one is left behind."""
    copy = work / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy)
    for name in ("symgru", "kernels"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def run(command: list[str], work: Path, **environment: str) -> None:
    result = subprocess.run(command, cwd=work, env=os.environ | environment, capture_output=True, text=True)
    assert result.returncode == 0, f"it does not build:\n{(result.stdout + result.stderr)[-3000:]}"


def build_wheel(source: Path, work: Path, libraries: str) -> Path:
    """Build with SYMGRU_BUILD_CPU as given; "" is as if it were not set."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(work), str(source)]
    run(command, work, SYMGRU_BUILD_CPU=libraries)
    (wheel,) = work.glob("*.whl")
    return wheel


def assert_wheel_holds_exactly(wheel: Path, expected: set[str]) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    info = f"symgru-{symgru.__version__}.dist-info"
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"symgru", info}, f"top-level names {sorted(tops)}, expected symgru and {info}"
    shipped = {name for name in names if name.startswith("symgru/")}
    assert shipped == expected, (
        f"missing from the wheel: {sorted(expected - shipped)}; "
        f"in the wheel but not in the tree: {sorted(shipped - expected)}"
    )


def assert_list_is_the_tree(packages: list[str], root: Path) -> None:
    """Every folder with Python files is a package, and every package is in the list."""
    files = source_files(root)
    folders = {name.rpartition("/")[0] for name in files if name.endswith(".py")}
    bare = sorted(folder for folder in folders if f"{folder}/__init__.py" not in files)
    assert not bare, f"folders with Python files but no __init__.py: {bare}"
    assert packages == sorted(set(packages)), "the list is in alphabetical order, without repeats"
    listed = {name.replace(".", "/") for name in packages}
    assert listed == folders, (
        f"not in pyproject.toml: {sorted(folders - listed)}; not in the tree: {sorted(listed - folders)}"
    )


def test_the_package_list_is_the_tree():
    assert_list_is_the_tree(PYPROJECT["tool"]["setuptools"]["packages"], ROOT)


@pytest.mark.parametrize(
    ("packages", "extra_file", "complaint"),
    [
        (["symgru"], None, "not in pyproject.toml: ['symgru/kernels']"),
        (["symgru", "symgru.gone", "symgru.kernels"], None, "not in the tree: ['symgru/gone']"),
        (["symgru", "symgru.kernels"], "symgru/new/__init__.py", "not in pyproject.toml: ['symgru/new']"),
        (["symgru", "symgru.kernels"], "kernels/bare/x.py", "no __init__.py: ['symgru/kernels/bare']"),
        (["symgru.kernels", "symgru"], None, "alphabetical order"),
    ],
)
def test_a_planted_fault_in_the_package_list_is_caught(packages, extra_file, complaint, tmp_path):
    for name in ("symgru/__init__.py", "kernels/__init__.py", *([extra_file] if extra_file else [])):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        assert_list_is_the_tree(packages, tmp_path)


def test_the_wheel_holds_exactly_the_tree(tmp_path):
    wheel = build_wheel(copy_of(ROOT, tmp_path), tmp_path, libraries="0")
    assert wheel.name == f"symgru-{symgru.__version__}-py3-none-any.whl"
    assert_wheel_holds_exactly(wheel, source_files(ROOT))
    with zipfile.ZipFile(wheel) as archive:
        info = f"symgru-{symgru.__version__}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
        assert f"{info}/licenses/LICENSE" in archive.namelist()
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert f"\nVersion: {symgru.__version__}\n" in metadata
    assert "symgru = symgru.cli:main" in entry_points


@pytest.mark.parametrize(
    ("shipped", "complaint"),
    [
        ({"symgru/__init__.py", "kernels/__init__.py"}, "top-level names"),
        ({"symgru/__init__.py", "symgru/left_over.py"}, "not in the tree: ['symgru/left_over.py']"),
        (set(), "top-level names"),
        ({"symgru/py.typed"}, "missing from the wheel: ['symgru/__init__.py']"),
    ],
)
def test_a_planted_fault_in_a_wheel_is_caught(shipped, complaint, tmp_path):
    wheel = tmp_path / "planted.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in (*shipped, f"symgru-{symgru.__version__}.dist-info/METADATA"):
            archive.writestr(name, "")
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        assert_wheel_holds_exactly(wheel, {"symgru/__init__.py"})


LIBRARIES = {
    f"symgru/kernels/cpu/libraries/{name}.so{digest}"
    for name in toolchain.instruction_sets()
    for digest in ("", ".sha256")
}
# In place of the sources that take the compiler a minute; `make wheel` compiles those.
STAND_IN = 'extern "C" __attribute__((visibility("default"))) int answer() { return 42; }\n'


@pytest.fixture
def source(tmp_path) -> Path:
    copy = copy_of(ROOT, tmp_path)
    (copy / "kernels" / "cpu" / "library.cpp").write_text(STAND_IN, encoding="utf-8")
    return copy


@pytest.mark.skipif(not toolchain.compiler_command(), reason="there is no C++ compiler")
def test_with_a_compiler_the_wheel_holds_the_libraries_too(source, tmp_path):
    files = source_files(source)
    wheel = build_wheel(source, tmp_path, libraries="1")
    assert re.fullmatch(rf"symgru-{symgru.__version__}-py3-none-(linux|macosx)_\w+\.whl", wheel.name)
    assert_wheel_holds_exactly(wheel, files | LIBRARIES)
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    code = "from symgru.kernels.cpu import load; l = load.library(); print(l.answer(), l._name)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(installed), "CXX": "none", "SYMGRU_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith(f"42 {installed}/symgru/kernels/cpu/libraries/"), result.stderr


def test_without_a_compiler_the_wheel_is_for_every_platform(source, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "none")
    files = source_files(source)
    wheel = build_wheel(source, tmp_path, libraries="")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert_wheel_holds_exactly(wheel, files)
    with pytest.raises(AssertionError, match="SYMGRU_BUILD_CPU=1, but found no C\\+\\+ compiler"):
        build_wheel(source, tmp_path, libraries="1")


def test_libraries_of_another_day_do_not_ship(source, tmp_path):
    files = source_files(source)
    stale = source / "build" / "lib" / "symgru" / "kernels" / "cpu" / "libraries" / "portable.so"
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert_wheel_holds_exactly(build_wheel(source, tmp_path, libraries="0"), files)


def test_an_editable_installation_compiles_nothing(source, tmp_path):
    code = f"from setuptools.build_meta import build_editable; build_editable({str(tmp_path)!r})"
    run([sys.executable, "-c", code], source, SYMGRU_BUILD_CPU="1")
    (wheel,) = tmp_path.glob("*.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if "libraries" in name]
    assert not list(source.rglob("*.so"))


def test_the_source_archive_holds_the_tree(source, tmp_path):
    expected = {name.replace("symgru/kernels/", "kernels/") for name in source_files(source)}
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    run([sys.executable, "-c", code], source)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {member.name.partition("/")[2] for member in tar if member.isfile()}
    tops = ("symgru/", "kernels/")
    assert {name for name in names if name.startswith(tops)} == expected
    assert {"pyproject.toml", "LICENSE", "README.md"} <= names


def test_kernels_is_refused_under_its_folder_name():
    result = subprocess.run(
        [sys.executable, "-c", "import kernels"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode != 0
    assert "ImportError: this folder is the package symgru.kernels" in result.stderr


def test_kernels_is_found_under_its_installed_name(tmp_path):
    code = "import symgru.kernels as k; print(k.__name__, k.__file__)"
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("symgru.kernels ")


def test_the_changelog_has_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{symgru.__version__}]" in text


def requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"].values()
    texts = [*project["dependencies"], *(text for extra in extras for text in extra)]
    return [requirement for requirement in map(Requirement, texts) if requirement.name != "symgru"]


def pins(text: str) -> dict[str, Requirement]:
    parsed = [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in parsed}


PINS = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))


def assert_bounded_and_tested(requirement: Requirement, tested: dict[str, Requirement]) -> None:
    operators = {clause.operator for clause in requirement.specifier}
    assert operators == {">="}, f"{requirement} has {sorted(operators)}, expected a lower bound alone"
    pin = tested.get(canonicalize_name(requirement.name))
    assert pin is not None, f"{requirement.name} is not in constraints.txt"
    for clause in pin.specifier:
        assert requirement.specifier.contains(clause.version), f"{pin} is outside {requirement}"


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_dependency_has_a_lower_bound_and_a_tested_version(requirement):
    assert_bounded_and_tested(requirement, PINS)


def test_constraints_are_exact():
    ranges = {name for name, pin in PINS.items() if {clause.operator for clause in pin.specifier} != {"=="}}
    assert ranges == {"triton"}, "only triton is a range; constraints.txt says why"


@pytest.mark.parametrize(
    ("requirement", "complaint"),
    [
        ("sympy", "expected a lower bound"),
        ("sympy>=1.13,<2", "expected a lower bound"),
        ("sympy>=1.15", "sympy==1.14.0 is outside sympy>=1.15"),
        ("jax>=0.5", "jax is not in constraints.txt"),
    ],
)
def test_a_planted_fault_in_a_dependency_is_caught(requirement, complaint):
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        assert_bounded_and_tested(Requirement(requirement), pins("# tested\nsympy==1.14.0\n"))
