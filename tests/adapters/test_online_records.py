from __future__ import annotations

import sys

import pytest

from clary.adapters.lmdb_records import LmdbRecords
from clary.adapters.online_records import online_records
from clary.adapters.redis_records import RedisRecords
from clary.kernel.errors import InvalidInput, NotSupported, Unavailable
from clary.testing.online_store import record


@pytest.mark.parametrize("setting", ["lmdb:", "lmdb:relaxed"])
def test_lmdb_is_in_the_folder(tmp_path, setting):
    store = online_records(setting, tmp_path / "online")
    store.write("t", [record("a")])
    assert store.read([("t", "a")]) == [record("a")]
    assert (tmp_path / "online" / "data.mdb").exists()
    store.close()


def test_redis_is_where_it_is_said_to_be(tmp_path):
    pytest.importorskip("redis", reason="the Redis client is not installed")
    store = online_records(f"unix://{tmp_path}/none", tmp_path / "online")
    assert isinstance(store, RedisRecords)
    with pytest.raises(Unavailable, match="Redis does not answer"):
        store.read([("t", "a")])


def test_without_its_client_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(NotSupported) as raised:
        online_records("redis://127.0.0.1:1", tmp_path)
    assert raised.value.hint == "install clary[redis]"


@pytest.mark.parametrize("setting", ["", "memcached://me:secret@host", "lmdb:fast", "secret"])
def test_what_names_no_store_is_refused_without_its_secrets(tmp_path, setting):
    with pytest.raises(InvalidInput, match="names no store; legal: lmdb:, lmdb:relaxed") as raised:
        online_records(setting, tmp_path)
    assert "me:secret" not in raised.value.message


def test_lmdb_is_not_opened_before_it_is_used(tmp_path):
    store = online_records("lmdb:", tmp_path / "online")
    assert isinstance(store, LmdbRecords)
    assert not (tmp_path / "online").exists()
