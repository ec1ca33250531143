from __future__ import annotations

import shutil
import subprocess

import pytest

from clary.adapters.lmdb_records import LmdbRecords
from clary.adapters.redis_records import RedisRecords
from clary.testing.online_store import OnlineStoreContract


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    """Start a Redis of its own on a socket, as durable as one can be."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    redis = pytest.importorskip("redis", reason="the Redis client is not installed")
    folder = tmp_path_factory.mktemp("redis")
    argv = [program, "--port", "0", "--unixsocket", "s", "--dir", str(folder), "--save", ""]
    argv += ["--appendonly", "yes", "--appendfsync", "always"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert any(
            "Ready to accept" in line or "ready to accept" in line for line in process.stdout
        )
        url = f"unix://{folder}/s"
        yield url
        redis.Redis.from_url(url).shutdown(nosave=True)
    finally:
        process.kill()
        process.communicate()


class TestLmdbRecords(OnlineStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        made = LmdbRecords(tmp_path / "online")
        yield made
        made.close()


class TestRedisRecords(OnlineStoreContract):
    @pytest.fixture
    def store(self, redis_url):
        made = RedisRecords(redis_url)
        made._redis.flushall()
        yield made
        made.close()


class TestRelaxedLmdbRecords(OnlineStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        made = LmdbRecords(tmp_path / "online", is_relaxed=True)
        yield made
        made.close()
