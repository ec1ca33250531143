"""The builder of environments: whole or not at all, once, of pinned wheels; none of them runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.jobs import wheels

from clary.adapters import uv
from clary.adapters.uv import UvEnvironments
from clary.kernel.errors import ClaryError, InvalidInput, NotSupported

BUILDS = """
import sys
from pathlib import Path
from clary.adapters.uv import UvEnvironments
builder = UvEnvironments(Path(sys.argv[1]))
own = builder.interpreters()[0]
lock = builder.lock(["little"], own, lambda: None)
print("locked", flush=True)
print(builder.build(lock, own, lambda: None), flush=True)
"""


def nothing():
    pass


@pytest.fixture
def index(tmp_path, monkeypatch):
    folder = wheels.use(tmp_path / "index", tmp_path / "cache", monkeypatch)
    wheels.write_wheel(folder, "little", "1.0")
    return folder


@pytest.fixture
def builder(tmp_path, index):
    return UvEnvironments(tmp_path / "environments")


@pytest.fixture
def own(builder):
    return builder.interpreters()[0]


def test_the_servers_own_python_comes_first(builder):
    found = builder.interpreters()
    assert found[0].version == ".".join(map(str, sys.version_info[:3]))
    assert len({one.minor for one in found}) == len(found)


def test_equal_locks_are_one_environment(builder, own, index):
    lock = builder.lock(["little"], own, nothing)
    assert lock == builder.lock(["little"], own, nothing)
    assert "little==1.0" in lock
    assert "--hash=sha256:" in lock
    first = builder.build(lock, own, nothing)
    assert builder.build(lock, own, nothing) == first
    python = builder.folder(first) / "bin" / "python"
    code = "import little, sys; print(little.__version__, little.__cached__)"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    version, cached = said.stdout.split()
    assert version == "1.0"
    assert Path(cached).exists()
    assert [one.id for one in builder.built()] == [first]
    builder.remove(first)
    builder.remove(first)
    assert builder.folder(first) is None
    assert builder.folder("../index") is None


def test_a_changed_wheel_is_refused(builder, own, index, tmp_path, monkeypatch):
    lock = builder.lock(["little"], own, nothing)
    wheels.write_wheel(index, "little", "1.0", {"little.py": "__version__ = 'evil'\n"})
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "other-cache"))
    with pytest.raises(ClaryError, match=r"[Hh]ash"):
        builder.build(lock, own, nothing)
    assert builder.built() == []


def test_no_code_of_a_package_runs_while_it_is_installed(builder, own, index, tmp_path):
    mark = tmp_path / "mark"
    runs = f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n"
    wheels.write_wheel(index, "sly", "1.0", {"sly.py": runs, "sly.pth": runs})
    environment = builder.build(builder.lock(["sly"], own, nothing), own, nothing)
    assert not mark.exists()
    subprocess.run([builder.folder(environment) / "bin" / "python", "-c", ""], check=True)
    assert mark.exists()


def test_a_package_without_a_wheel_is_refused(builder, own, index):
    (index / "source-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(InvalidInput, match="source") as refused:
        builder.lock(["source"], own, nothing)
    assert str(index) not in str(refused.value)


def test_several_builders_make_one(builder, own, tmp_path):
    lock = builder.lock(["little"], own, nothing)
    made = []
    threads = [
        threading.Thread(
            target=lambda: made.append(UvEnvironments(builder._root).build(lock, own, nothing))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1
    assert not list(builder._root.glob(".draft-*"))


def test_whoever_stops_waiting_leaves_nothing(builder, own):
    lock = builder.lock(["little"], own, nothing)

    class Stopped(Exception):
        pass

    def stop():
        raise Stopped

    with pytest.raises(Stopped):
        builder.build(lock, own, stop)
    assert not list(builder._root.glob(".draft-*"))
    assert builder.build(lock, own, nothing)


def test_an_environment_that_grows_too_large_is_refused(tmp_path, builder, own):
    lock = builder.lock(["little"], own, nothing)
    small = UvEnvironments(tmp_path / "environments", limit_bytes=1000)
    with pytest.raises(ClaryError, match="larger than"):
        small.build(lock, own, nothing)
    assert small.built() == []


@pytest.mark.parametrize("stage", ["", "pyvenv.cfg", "lib/python3*/site-packages/little.py"])
def test_a_builder_killed_at_any_moment_leaves_no_half_environment(builder, own, stage):
    command = [sys.executable, "-c", BUILDS, str(builder._root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        while not list(builder._root.glob(f".draft-*/{stage}")):
            assert process.poll() is None
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    environment = builder.build(builder.lock(["little"], own, nothing), own, nothing)
    python = builder.folder(environment) / "bin" / "python"
    subprocess.run([python, "-c", "import little"], check=True)
    assert not list(builder._root.glob(".draft-*"))


def test_without_uv_one_sentence_says_what_to_install(builder, own, monkeypatch):
    monkeypatch.setattr(uv.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotSupported, match=r"uv, which is not installed .*clary\[environments\]"):
        builder.lock(["little"], own, nothing)


def test_what_uv_says_names_no_address():
    said = "error: Failed to fetch: `https://user:secret@example.org/simple/x/`\n  ╰─▶ no"
    assert uv._readable(said) == "error: Failed to fetch: `<the index>` no"
