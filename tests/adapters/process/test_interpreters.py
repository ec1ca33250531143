from pathlib import Path

import pytest

from clary.adapters.process.interpreters import closure


@pytest.fixture
def installation(tmp_path):
    prefix = tmp_path / "versions" / "3.11.7"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib" / "python3.11").mkdir(parents=True)
    (prefix / "bin" / "python3.11").touch()
    return prefix


def environment(path, target):
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python3").symlink_to(target)
    (path / "bin" / "python").symlink_to("python3")
    return path


def test_follows_the_interpreter_to_its_installation(tmp_path, installation):
    venv = environment(tmp_path / "venv", installation / "bin" / "python3.11")
    assert closure([venv]) == [venv, installation]


def test_shows_installations_under_every_name_on_the_way(tmp_path, installation):
    (tmp_path / "versions" / "3.11").symlink_to("3.11.7")
    venv = environment(tmp_path / "venv", tmp_path / "versions" / "3.11" / "bin" / "python3.11")
    shown = closure([venv])
    assert venv in shown
    assert installation in shown
    assert tmp_path / "versions" / "3.11" in shown


def test_a_link_in_a_home_shows_the_link_and_not_the_home(tmp_path, installation):
    (tmp_path / "home" / "bin").mkdir(parents=True)
    shortcut = tmp_path / "home" / "bin" / "python3"
    shortcut.symlink_to(installation / "bin" / "python3.11")
    venv = environment(tmp_path / "venv", shortcut)
    shown = closure([venv])
    assert set(shown) == {venv, installation, shortcut}


def test_what_is_covered_is_left_out(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert closure([tmp_path / "a" / "b", tmp_path / "a", Path("/usr/lib")]) == [tmp_path / "a"]


def test_links_are_shown_where_they_point(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert closure([tmp_path / "link"]) == [tmp_path / "link", tmp_path / "real"]
