import hashlib
import os
import shutil
import socket
from pathlib import Path

import pytest

from clary.adapters.file_facts import FactsFiles, facts_store
from clary.adapters.files import FileObjects
from clary.kernel.clock import now
from clary.kernel.errors import Conflict, LimitExceeded, NotFound
from clary.kernel.resource import Bucket


@pytest.fixture(params=[facts_store, FactsFiles])
def store(request, tmp_path):
    store = FileObjects(tmp_path / "root", facts=request.param)
    store.create_bucket(Bucket("bucket", "123456789012", "us-east-1", now()))
    return store


@pytest.fixture
def folder(store, tmp_path):
    """Where the bucket's files lie; they begin with one that is an object."""
    store.put("bucket", "data/x.csv", [b"1,2\n"])
    return tmp_path / "root" / "bucket"


def keys(store, **options):
    return [found.key for found in store.list("bucket", **options).objects]


def content(store, key):
    return b"".join(store.read("bucket", key))


def test_ordinary_keys_are_the_names_of_files(store, folder):
    for key in ("a b+c=ü.txt", "data/100%.csv", "date=2020-01-01/part%2F0", ".hidden", "~a"):
        store.put("bucket", key, [key.encode()])
        assert (folder / key).read_text() == key


def test_a_dropped_file_is_an_object(store, folder):
    (folder / "new").mkdir()
    (folder / "new" / "table.csv").write_bytes(b"dropped")
    [listed] = store.list("bucket", prefix="new/").objects
    assert (listed.key, listed.size_bytes, listed.sha256) == ("new/table.csv", 7, "")
    for _ in range(2):
        info = store.stat("bucket", "new/table.csv")
        assert info.sha256 == hashlib.sha256(b"dropped").hexdigest()
        assert info.headers == {"content-type": "text/csv"}
        assert info.etag == listed.etag
    assert store.list("bucket", prefix="new/").objects == [info]
    store.delete("bucket", "new/table.csv")
    assert not (folder / "new").exists()


def test_a_file_changed_by_hand_is_as_one_dropped(store, folder):
    put = store.put("bucket", "k.txt", [b"before"], metadata={"a": "1"})
    (folder / "k.txt").write_bytes(b"after!")
    os.utime(folder / "k.txt", ns=(0, 1_000_000_007))
    info = store.stat("bucket", "k.txt")
    assert info.sha256 == hashlib.sha256(b"after!").hexdigest()
    assert (info.metadata, info.headers) == ({}, {"content-type": "text/plain"})
    assert info.etag != put.etag
    with pytest.raises(Conflict):
        store.put("bucket", "k.txt", [b"new"], expected=put.etag)
    store.put("bucket", "k.txt", [b"new"], expected=info.etag)


def test_a_record_that_is_none_is_passed_over(store, folder):
    if isinstance(store._facts, FactsFiles):
        [record] = (folder.parent / ".clary" / "facts").iterdir()
        record.write_bytes(b"{}")
    else:
        os.setxattr(folder / "data/x.csv", "user.clary", b"{}")
    assert store.stat("bucket", "data/x.csv").sha256 == hashlib.sha256(b"1,2\n").hexdigest()


def test_objects_and_folders_make_room_for_each_other(store, folder):
    store.put("bucket", "a", [b"object"])
    store.put("bucket", "a/b", [b"inside"])
    assert (folder / "a" / "b").read_bytes() == b"inside"
    assert (folder / "%=a").read_bytes() == b"object"
    store.delete("bucket", "a/b")
    store.put("bucket", "a", [b"newer"])
    assert (folder / "a").read_bytes() == b"newer"
    assert not (folder / "%=a").exists()


def test_links_and_devices_are_no_objects(store, folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (folder / "link").symlink_to(outside / "secret")
    (folder / "links").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "socket"))
    assert keys(store) == ["data/x.csv"]
    for key in ("link", "links/secret", "pipe", "socket"):
        with pytest.raises(NotFound):
            store.read("bucket", key)
        with pytest.raises(NotFound):
            store.stat("bucket", key)
    store.put("bucket", "links/secret", [b"mine"])
    store.put("bucket", "link", [b"mine"])
    store.put("bucket", "pipe", [b"mine"])
    store.delete("bucket", "links/secret")
    store.delete("bucket", "link")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert (outside / "secret").read_text() == "secret"


def test_a_bucket_that_is_a_link_is_not_followed(store, tmp_path):
    outside = tmp_path / "outside"
    (outside / "empty").mkdir(parents=True)
    (outside / "secret").write_text("secret")
    (tmp_path / "root" / "bucket").symlink_to(outside)
    assert keys(store) == []
    with pytest.raises(NotFound):
        store.read("bucket", "secret")
    with pytest.raises(Conflict, match="no objects"):
        store.delete_bucket("bucket")
    assert sorted(path.name for path in outside.iterdir()) == ["empty", "secret"]


def test_names_that_follow_from_no_key_are_no_objects(store, folder):
    for name in ("%", "%x", "%=plain%zz", "%+long", "%=%2525%41"):
        (folder / name).write_text("x")
    (folder / "%-ordinary").mkdir()
    (folder / "%-ordinary" / "x").write_text("x")
    (folder / os.fsdecode(b"\xff")).write_text("x")
    assert keys(store) == ["data/x.csv"]
    store.delete("bucket", "data/x.csv")
    with pytest.raises(Conflict, match="no objects"):
        store.delete_bucket("bucket")
    with pytest.raises(Conflict, match="in the way"):
        store.put("bucket", "l" * 300 + "/k", [b""]) if (folder / ("%+" + "l" * 60)).write_text(
            "x"
        ) else None


def test_a_bucket_with_empty_folders_can_be_removed(store, folder):
    (folder / "made" / "by" / "hand").mkdir(parents=True)
    assert store.list("bucket", delimiter="/").prefixes == ["data/"]
    store.delete("bucket", "data/x.csv")
    store.delete_bucket("bucket")
    assert not folder.exists()


def test_what_a_dead_process_left_is_swept_and_a_living_ones_kept(store, folder, tmp_path):
    scratch = tmp_path / "root" / ".clary" / "scratch"
    left = scratch / "left"
    left.mkdir()
    (left / "unfinished").write_bytes(b"x")

    def chunks():
        yield b"begun, "
        FileObjects(tmp_path / "root")
        yield b"finished"

    store.put("bucket", "k", chunks())
    assert content(store, "k") == b"begun, finished"
    assert not left.exists()
    assert not [path for path in scratch.rglob("*") if path.is_file() and path.name != "lock"]


def test_listing_opens_only_what_it_shows(store, folder, monkeypatch):
    for number in range(30):
        store.put("bucket", f"many/{number:02}/k", [b""])
    opened = []
    real = os.open

    def counting(path, *args, **options):
        opened.append(path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", counting)
    page = store.list("bucket", prefix="many/1", after="many/12", limit=2)
    assert [found.key for found in page.objects] == ["many/12/k", "many/13/k"]
    assert not {"data", "00", "20", "11", "15"} & set(opened)
    opened.clear()
    assert store.list("bucket", delimiter="/").prefixes == ["data/", "many/"]
    assert "01" not in opened


def test_a_large_folder_shows_every_change(store, folder):
    large = folder / "large"
    large.mkdir()
    for number in range(2100):
        (large / f"{number:04}").touch()
    os.utime(large, ns=(0, 0))
    expected = {f"large/{number:04}" for number in range(2100)}
    cut = "large/" + "x" * 300
    for change in (
        lambda: (store.put("bucket", "large/new", [b""]), expected.add("large/new")),
        lambda: (store.delete("bucket", "large/0007"), expected.remove("large/0007")),
        lambda: ((large / "0100").unlink(), expected.remove("large/0100")),
        lambda: (store.put("bucket", cut, [b""]), expected.add(cut)),
        lambda: (store.put("bucket", cut + "y", [b""]), expected.add(cut + "y")),
        lambda: (store.delete("bucket", cut), expected.remove(cut)),
    ):
        for _ in range(2):
            assert everything(store, "large/") == sorted(expected)
        change()
        assert everything(store, "large/") == sorted(expected)
        os.utime(large, ns=(0, large.stat().st_mtime_ns - 10**9))  # as if it had rested since


def everything(store, prefix):
    page = store.list("bucket", prefix=prefix)
    found = [info.key for info in page.objects]
    while page.next_after:
        page = store.list("bucket", prefix=prefix, after=page.next_after)
        found += [info.key for info in page.objects]
    return found


def test_keys_as_deep_as_they_can_be(store):
    deep = ["/" * 1024, "a/" * 512, "a/" * 511 + "a", "x" * 1024, "é" * 512]
    for key in deep:
        store.put("bucket", key, [b"x"])
    assert keys(store) == sorted(deep)
    for key in deep:
        store.delete("bucket", key)
    store.delete_bucket("bucket")


def test_a_full_disk_is_said(store, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    kept = store.put("bucket", "k", [b"old"])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(LimitExceeded, match="space"):
            store.put("bucket", "k", [b"new"])
    assert store.list("bucket").objects == [kept]


def test_reading_gives_its_file_back(store, folder):
    def handles():
        return len([*Path("/proc/self/fd").iterdir()])

    before = handles()
    for _ in range(3):
        begun = store.read("bucket", "data/x.csv")
        never_begun = store.read("bucket", "data/x.csv")
        next(begun)
        del begun, never_begun
        with pytest.raises(Conflict):
            store.read("bucket", "data/x.csv", expected="other")
        store.list("bucket")
        store.stat("bucket", "data/x.csv")
    assert handles() == before


def test_a_home_can_be_moved(store, folder, tmp_path):
    """Digests and metadata go with the files that ``mv`` moves."""
    put = store.put("bucket", "k", [b"x"], metadata={"a": "1"})
    shutil.move(tmp_path / "root", tmp_path / "moved")
    assert (
        FileObjects(
            tmp_path / "moved",
            facts=type(store._facts) if isinstance(store._facts, FactsFiles) else facts_store,
        ).stat("bucket", "k")
        == put
    )
