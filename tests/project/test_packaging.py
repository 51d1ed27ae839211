"""What is declared is what is there: packages, the wheel's files, versions, pins."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def build_wheel(root: Path, work: Path) -> Path:
    """Build from a copy, so that neither a stale build/ is used nor a new one is left behind."""
    copy = work / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy)
    for name in ("symgru", "kernels"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    result = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(work), str(copy)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f"the wheel does not build:\n{(result.stdout + result.stderr)[-3000:]}"
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
    wheel = build_wheel(ROOT, tmp_path)
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
