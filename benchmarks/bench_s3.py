"""Objects over HTTP: one large, many small, and what the large ones cost in memory."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import time
from contextlib import closing
from pathlib import Path

from figure import Figure, interleaved_s
from served import Line, serving

BUCKET = "bench"
LARGE = 1 << 30
PIECE = 1 << 20
SMALL_COUNT = 10_000
SMALL = b"x" * 1024
TURNS = 10


def copy(source: Path, target: Path) -> None:
    """Copy a file durably and compute its digest: what an object store must do at least."""
    digest = hashlib.sha256()
    draft = target.with_suffix(".draft")
    with source.open("rb") as given, draft.open("wb") as taken:
        while piece := given.read(PIECE):
            digest.update(piece)
            taken.write(piece)
        taken.flush()
        os.fsync(taken.fileno())
    draft.replace(target)


def write(number: int, folder: Path) -> None:
    """Write a small file as durably as a PUT is when it has been answered."""
    draft = folder / ".draft"
    with draft.open("wb") as file:
        file.write(SMALL)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / str(number))
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def put(served, url: str, source: Path) -> None:
    """PUT a file."""
    with closing(http.client.HTTPConnection(*served.address)) as line, source.open("rb") as file:
        line.blocksize = PIECE
        line.request("PUT", url, file, {"Content-Length": str(LARGE)})
        answer = line.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()


def get(served, url: str, target: Path) -> None:
    """GET an object into a file."""
    with closing(http.client.HTTPConnection(*served.address)) as line, target.open("wb") as file:
        line.request("GET", url)
        answer = line.getresponse()
        assert answer.status == 200, answer.read()
        while piece := answer.read(PIECE):
            file.write(piece)
        assert file.tell() == LARGE, file.tell()


def large(served, folder: Path) -> list[Figure]:
    """Measure 1 GiB in each direction."""
    source = folder / "source"
    with source.open("wb") as file:
        for _ in range(LARGE // PIECE):
            file.write(os.urandom(PIECE))
    put_url = served.presigned("PUT", f"/{BUCKET}/large")
    get_url = served.presigned("GET", f"/{BUCKET}/large")
    took_put, took_get, took_copy = interleaved_s(
        5,
        lambda: put(served, put_url, source),
        lambda: get(served, get_url, folder / "back"),
        lambda: copy(source, folder / "copy"),
    )
    gib, mib = LARGE / 2**30, 2**20
    peer = "copying the file durably with its SHA-256"
    speed, limit = "GiB/s", gib / took_copy
    goal = round(limit / 2, 4)
    figures = [
        Figure("PUT of 1 GiB", gib / took_put, speed, goal, peer, limit, ">="),
        Figure("GET of 1 GiB", gib / took_get, speed, goal, peer, limit, ">="),
    ]
    memory = Figure(
        "the server's most resident memory",
        served.peak_bytes / mib,
        "MiB",
        250e6 / mib,
        "the object",
        LARGE / mib,
    )
    for name in ("source", "back", "copy"):
        (folder / name).unlink()
    return [*figures, memory]


def small(served, folder: Path) -> Figure:
    """Measure small PUTs on one connection, in turns with the same number of plain files."""
    plain = folder / "plain"
    plain.mkdir()
    numbers = range(SMALL_COUNT)
    requests = [served.signed_put(f"/{BUCKET}/small/{number}", SMALL) for number in numbers]
    ours_s = plain_s = 0.0
    step = SMALL_COUNT // TURNS
    with closing(Line(served.address)) as line:
        for first in range(0, SMALL_COUNT, step):
            began = time.perf_counter()
            for request in requests[first : first + step]:
                line.ask(request)
            half = time.perf_counter()
            for number in range(first, first + step):
                write(number, plain)
            plain_s += time.perf_counter() - half
            ours_s += half - began
    return Figure(
        f"{SMALL_COUNT} PUTs of 1 KiB, one connection",
        SMALL_COUNT / ours_s,
        "1/s",
        500,
        "write, fsync, rename, fsync the folder",
        SMALL_COUNT / plain_s,
        ">=",
    )


def figures():
    """Measure all."""
    with tempfile.TemporaryDirectory() as name, serving(Path(name) / "home") as served:
        served.client("s3").create_bucket(Bucket=BUCKET)
        folder = Path(name)
        return [*large(served, folder), small(served, folder)]
