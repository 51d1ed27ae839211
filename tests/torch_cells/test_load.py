"""Emitted modules are the user's own files, and what is imported is what was emitted."""

import os
import stat

import pytest
from symgru.kernels.cache import VARIABLE

from symgru.equations import CellBuilder, gru, tanh
from symgru.torch_cells import CacheError, cache_folder
from symgru.torch_cells import load as load_cell
from symgru.torch_cells.load import _load


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "emitted"))
    _load.cache_clear()
    yield tmp_path / "emitted"
    _load.cache_clear()


def cell(name="plain"):
    builder = CellBuilder(name)
    h = builder.state("h", "H")
    builder.update(h, tanh(builder.input("x", "H") + h))
    return builder.build()


def test_folder_and_file_are_the_users_alone(folder):
    load_cell(cell())
    (file,) = folder.glob("*.py")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_was_tampered_with_is_written_anew(folder):
    load_cell(cell())
    (file,) = folder.glob("*.py")
    right = file.read_bytes()
    file.write_bytes(right + b"raise SystemExit('planted')\n")
    _load.cache_clear()
    assert load_cell(cell()).FORWARD.carry == (("h_prev", "h_new"),)
    assert file.read_bytes() == right


def test_another_source_is_another_file(folder):
    load_cell(cell())
    load_cell(cell("other"))
    load_cell(gru())
    assert len(list(folder.glob("*.py"))) == 3


def test_a_folder_that_others_can_write_to_is_refused(folder):
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.raises(CacheError, match="nobody else can write to"):
        load_cell(cell())


def test_a_link_in_place_of_the_folder_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CacheError, match="expected a folder"):
        load_cell(cell())


def test_a_link_in_place_of_a_file_is_replaced(folder, tmp_path):
    load_cell(cell())
    (file,) = folder.glob("*.py")
    target = tmp_path / "target.py"
    target.write_text("raise SystemExit('planted')\n", encoding="utf-8")
    file.unlink()
    file.symlink_to(target)
    _load.cache_clear()
    load_cell(cell())
    assert not file.is_symlink()
    assert target.read_text(encoding="utf-8").startswith("raise")


def test_a_link_to_the_right_content_is_refused(folder, tmp_path):
    load_cell(cell())
    (file,) = folder.glob("*.py")
    target = tmp_path / "target.py"
    file.rename(target)
    file.symlink_to(target)
    _load.cache_clear()
    with pytest.raises(CacheError, match="expected a file"):
        load_cell(cell())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file of another user")
def test_a_folder_of_another_user_is_refused(folder):
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(CacheError, match="of user 12345"):
        load_cell(cell())


def test_the_folder_follows_the_users_settings(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "symgru"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "symgru"
