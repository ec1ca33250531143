import os
import threading

import pytest

from clary.adapters.process import tree


def test_removes_a_tree_of_any_depth(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deep", dir_fd=here)
        inner = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
        os.close(here)
        here = inner
    os.close(here)
    tree.remove(root)
    assert not root.exists()


def test_removes_what_its_maker_closed(tmp_path):
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").touch(mode=0o000)
    (root / "a" / "b").chmod(0o000)
    (root / "a").chmod(0o555)
    root.chmod(0o000)
    tree.remove(root)
    assert not root.exists()


def test_removes_links_and_not_what_they_name(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch(mode=0o640)
    outside.chmod(0o750)
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "link").symlink_to(outside)
    (root / "sub" / "link").symlink_to("../../outside/kept")
    os.mkfifo(root / "pipe")
    (root / os.fsdecode(b"\xff\xfe odd")).mkdir()
    tree.remove(root)
    assert not root.exists()
    assert (outside / "kept").exists()
    assert outside.stat().st_mode & 0o777 == 0o750


def test_an_absent_tree_is_no_error(tmp_path):
    tree.remove(tmp_path / "absent")
    tree.remove(tmp_path / "absent" / "deeper")


def test_what_others_remove_meanwhile_is_no_error(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    files = [folder / str(number) for number in range(2000) for folder in (root, root / "sub")]
    for file in files:
        file.touch()

    def remove_files():
        for file in files:
            file.unlink(missing_ok=True)

    other = threading.Thread(target=remove_files)
    other.start()
    tree.remove(root)
    other.join()
    assert not root.exists()


def test_a_link_in_the_place_of_the_root_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match="root"):
        tree.remove(tmp_path / "root")
    assert (tmp_path / "real").exists()


def test_gives_a_tree_but_not_what_it_links_to(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    outside = tmp_path / "outside"
    outside.touch()
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "own").touch()
    (root / "link").symlink_to(outside)
    os.link(outside, root / "lent")
    tree.give(root, 12345)
    assert (root / "sub" / "own").stat().st_uid == 12345
    assert (root / "link").lstat().st_uid == 12345
    assert outside.stat().st_uid == 0
