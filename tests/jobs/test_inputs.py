"""Which objects an input is, what they are called, which host gets them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.jobs.conftest import ACCOUNT, REGION

from clary.adapters.files import FileObjects
from clary.jobs.contract import Source
from clary.jobs.inputs import Found, Item, fetch, find, relative, require_space
from clary.kernel.clock import now
from clary.kernel.errors import ClaryError, LimitExceeded
from clary.kernel.resource import Bucket, ObjectInfo
from clary.lineage.model import FileEntry, of_tree


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return FileObjects(tmp_path_factory.mktemp("buckets"))


def bucket(objects, name, keys):
    objects.create_bucket(Bucket(name, ACCOUNT, REGION, now()))
    for key in keys:
        objects.put(name, key, [key.encode()])


def source(uri, **more):
    return Source("in", uri, "input", **more)


PARTS = st.text("ab", min_size=1, max_size=2)
KEYS = st.lists(st.lists(PARTS, min_size=1, max_size=3).map("/".join), min_size=1, max_size=8)
COUNT = iter(range(10**6))


@settings(max_examples=60, deadline=None)
@given(keys=KEYS, prefix=st.lists(PARTS, max_size=2).map("/".join), slash=st.booleans())
def test_find_equals_a_naive_oracle(objects, keys, prefix, slash):
    name = f"find-{next(COUNT)}"
    prefix = f"{prefix}/" if slash and prefix else prefix
    bucket(objects, name, keys)
    expected = oracle(set(keys), prefix)
    try:
        found = find(objects, source(f"s3://{name}/{prefix}"))
    except ClaryError:
        assert expected is None
        return
    assert {item.info.key: item.path for item in found.items} == expected


def oracle(keys, prefix):
    """Say which key gets which path; None where there is nothing or no tree of files."""
    folder = prefix.rstrip("/") + "/" if prefix else ""
    paths = {key: key[len(folder) :] for key in keys if key.startswith(folder)}
    if prefix in keys:
        paths[prefix] = prefix.rpartition("/")[2]
    if not paths:
        cut = prefix.rfind("/") + 1
        paths = {key: key[cut:] for key in keys if key.startswith(prefix)}
    values = list(paths.values())
    clash = any(one != two and two.startswith(one + "/") for one in values for two in values)
    return None if not paths or clash or len(set(values)) < len(values) else paths


@settings(max_examples=50)
@given(count=st.integers(0, 30), hosts=st.integers(1, 6), sharded=st.booleans())
def test_shares_cover_everything_once_or_replicate(count, hosts, sharded):
    items = [Item(info(f"k{n:02}"), f"k{n:02}") for n in range(count)]
    found = Found(source("s3://b/k", sharded=sharded), items, of_tree("s3://b/k", []))
    shares = [list(found.share(host, hosts)) for host in range(hosts)]
    if sharded:
        assert sorted((item for share in shares for item in share), key=str) == items
        sizes = [len(share) for share in shares]
        assert max(sizes) - min(sizes) <= 1
    else:
        assert all(share == items for share in shares)


def info(key, size=1, sha256="0" * 64):
    return ObjectInfo("b", key, size, now(), sha256, "e")


def test_a_prefix_equal_to_an_outputs_tree_is_the_same_artifact(objects):
    bucket(objects, "tree", ["out/train/a.csv", "out/train/b/c.csv", "out/train2/x.csv"])
    found = find(objects, source("s3://tree/out/train"))
    entries = [
        FileEntry(path, objects.stat("tree", f"out/train/{path}").sha256, len(f"out/train/{path}"))
        for path in ("b/c.csv", "a.csv")
    ]
    assert found.artifact.digest == of_tree("s3://elsewhere/", entries).digest
    single = find(objects, source("s3://tree/out/train/a.csv"))
    assert single.artifact.digest == objects.stat("tree", "out/train/a.csv").sha256
    assert [item.path for item in single.items] == ["a.csv"]


def test_nothing_to_find(objects):
    bucket(objects, "empty", [])
    assert find(objects, source("s3://empty/ck", optional=True)) is None
    with pytest.raises(ClaryError, match="no object at s3://empty/ck"):
        find(objects, source("s3://empty/ck"))


@pytest.mark.parametrize("key", ["x/../../evil", "x/./y", "x/.."])
def test_keys_that_are_no_paths_are_refused(objects, key):
    name = f"evil-{next(COUNT)}"
    bucket(objects, name, [key])
    with pytest.raises(ClaryError, match="is no path below a directory"):
        find(objects, source(f"s3://{name}/x"))


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{}",
        "[]",
        '[{"prefix": 1}]',
        '[{"prefix": "s3://m/"}, 3]',
        '[{"prefix": "file:///etc/"}, "passwd"]',
        '[{"prefix": "s3://m/"}, "../up"]',
        '[{"prefix": "s3://m/"}, "missing"]',
    ],
)
def test_bad_manifests_are_refused(objects, text):
    name = f"m-{next(COUNT)}"
    bucket(objects, name, [])
    objects.put(name, "list", [text.encode()])
    with pytest.raises(ClaryError):
        find(objects, source(f"s3://{name}/list", manifest=True))


def test_fetch_copies_and_never_links(objects, tmp_path):
    bucket(objects, "copy", ["d/a"])
    found = find(objects, source("s3://copy/d"))
    fetch(objects, found.items, found.source, tmp_path, lambda: None)
    copy = tmp_path / "input" / "a"
    copy.write_text("changed by the job")
    assert b"".join(objects.read("copy", "d/a")) == b"d/a"
    assert copy.stat().st_nlink == 1


def test_a_host_without_a_shard_finds_an_empty_directory(objects, tmp_path):
    fetch(objects, [], source("s3://any/thing"), tmp_path, lambda: None)
    assert list((tmp_path / source("s3://any/thing").path).iterdir()) == []


def test_an_object_that_goes_away_is_named(objects, tmp_path):
    bucket(objects, "gone", ["d/a"])
    found = find(objects, source("s3://gone/d"))
    objects.delete("gone", "d/a")
    with pytest.raises(ClaryError, match="s3://gone/d/a is gone"):
        fetch(objects, found.items, found.source, tmp_path, lambda: None)


def test_more_than_the_disk_holds_is_refused(tmp_path):
    items = [Item(info("big", size=1 << 60), "big")]
    found = Found(source("s3://b/big"), items, of_tree("s3://b/big", []))
    with pytest.raises(LimitExceeded, match=f"the inputs take {1 << 60} bytes"):
        require_space([found], 1, tmp_path)


def test_relative_names():
    assert relative("", "a/b") == "a/b"
    assert relative("a/", "a/b") == "b"
    assert relative("a", "a") == "a"
    assert relative("x/a", "x/abc/d") == "abc/d"
