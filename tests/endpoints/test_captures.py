"""Captured requests become objects in the public format, and no request waits or fails for it."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.adapters.files import FileObjects
from clary.adapters.sqlite_series import SqliteSeries
from clary.endpoints.capture_records import Format, Shape
from clary.endpoints.capture_waiting import Kind, Limits, Waiting
from clary.endpoints.captures import LOST, Captures, destination
from clary.endpoints.invocations import Invocation
from clary.endpoints.model import CaptureConfig
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket
from clary.metrics.recorder import Recorder

ACCOUNT, BUCKET = "123456789012", "captures"
ENDPOINT = Ref(ACCOUNT, "us-east-1", "endpoint", "abalone")
CONFIG = CaptureConfig(f"s3://{BUCKET}/some/where/")
NEVER = Limits(every_s=0.01, file_s=3600)
KEY = re.compile(
    r"some/where/abalone/blue/(\d{4}/\d\d/\d\d/\d\d)/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl"
)


class World:
    """A home with a bucket, and the captures of one process after another."""

    def __init__(self, home):
        self.folder = home / "captures"
        self.objects = FileObjects(home / "buckets")
        self.recorder = Recorder(SqliteSeries(home / "series.db"))

    def bucket(self, account=ACCOUNT):
        self.objects.create_bucket(Bucket(BUCKET, account, "us-east-1", now()))

    def captures(self, limits=NEVER, **more):
        return Captures(self.folder, self.objects, self.recorder, limits=limits, **more)

    def infos(self):
        return self.objects.list(BUCKET).objects

    def lines(self):
        return [
            json.loads(line)
            for info in self.infos()
            for line in b"".join(self.objects.read(BUCKET, info.key)).splitlines()
        ]

    def ids(self):
        return [line["eventMetadata"]["eventId"] for line in self.lines()]

    def lost(self):
        return sum(one.tally.total for one in self.recorder.totals() if one.metric.name == LOST)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.bucket()
    yield made
    made.recorder.close()


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def take(sampler, event_id, body=b"1,2\n", at=None):
    invocation = Invocation(ENDPOINT, body, "text/csv")
    sampler.take(invocation, b"0.5\n", "text/csv; charset=utf-8", event_id, at or time.time())


def test_a_request_is_kept_as_the_public_format_has_it(world):
    captures = world.captures()
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    asked = Invocation(ENDPOINT, b"9,45\n", "text/csv", inference_id="7", custom_attributes="é=1")
    at = datetime(2024, 1, 19, 20, 6, 8, 987654, UTC).timestamp()
    sampler.take(asked, b'{"a":1}', "application/json", "an-id", at)
    captures.close()
    [info] = world.infos()
    assert KEY.fullmatch(info.key)[1] == "2024/01/19/20"
    assert world.lines() == [
        {
            "captureData": {
                "endpointInput": {
                    "observedContentType": "text/csv",
                    "mode": "INPUT",
                    "data": "9,45\n",
                    "encoding": "CSV",
                },
                "endpointOutput": {
                    "observedContentType": "application/json",
                    "mode": "OUTPUT",
                    "data": '{"a":1}',
                    "encoding": "JSON",
                },
            },
            "eventMetadata": {
                "eventId": "an-id",
                "inferenceId": "7",
                "customAttributes": ["é=1"],
                "inferenceTime": "2024-01-19T20:06:08Z",
            },
            "eventVersion": "0",
        }
    ]


_TYPES = st.sampled_from(
    ["text/csv", "TEXT/CSV; charset=utf-8", "application/json", "text/plain", "", "image/png"]
)


@given(
    body=st.binary() | st.text().map(str.encode),
    kind=_TYPES,
    csv=st.lists(_TYPES.filter(bool), max_size=2),
    sides=st.tuples(st.booleans(), st.booleans()),
)
def test_what_was_sent_can_be_read_back(body, kind, csv, sides):
    """An oracle decides the encoding anew, and reads the bytes back."""
    config = CaptureConfig("s3://b", input=sides[0], output=sides[1], csv_types=tuple(csv))
    line = Format(config).line(Invocation(ENDPOINT, body, kind), body, kind, "", 1.5)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    record = json.loads(line)
    found = record["captureData"]
    assert list(found) == [
        name
        for name, is_on in zip(("endpointInput", "endpointOutput"), sides, strict=True)
        if is_on
    ]
    plain = kind.split(";")[0].lower()
    texts = (
        {one.split(";")[0].lower(): "CSV" for one in csv if ";" not in one}
        if csv
        else {
            "text/csv": "CSV",
            "application/json": "JSON",
        }
    )
    for part in found.values():
        if part["encoding"] == "BASE64":
            assert base64.b64decode(part["data"]) == body
            assert plain not in texts or not _is_text(body)
        else:
            assert part["data"].encode() == body
            assert part["encoding"] == texts[plain]
        assert part.get("observedContentType", "") == kind


@given(
    pairs=st.lists(st.tuples(*[st.binary() | st.text().map(str.encode)] * 2), min_size=1),
    kinds=st.tuples(_TYPES | st.just("%x"), _TYPES),
    sides=st.tuples(st.booleans(), st.booleans()),
)
def test_many_at_once_are_written_as_one_by_one(pairs, kinds, sides):
    config = CaptureConfig("s3://b", input=sides[0], output=sides[1])
    bodies, answers = map(list, zip(*pairs, strict=True))
    together = Format(config).lines(Shape(*kinds, 1), bodies, answers)
    if together is None:
        texts = {"text/csv", "application/json"}
        sent = [
            one
            for kind, side, is_on in zip(kinds, (bodies, answers), sides, strict=True)
            if is_on and kind.split(";")[0].lower() in texts
            for one in side
        ]
        assert any(b"\0" in one or b"u0000" in one or not _is_text(one) for one in sent)
        return
    one_by_one = Format(config)
    found, ids = [json.loads(line) for line in together.splitlines()], set()
    for line, (body, answer) in zip(found, pairs, strict=True):
        invocation = Invocation(ENDPOINT, body, kinds[0])
        wanted = json.loads(one_by_one.line(invocation, answer, kinds[1], "", 1.5))
        wanted["eventMetadata"]["eventId"] = line["eventMetadata"]["eventId"]
        assert line == wanted
        ids.add(line["eventMetadata"]["eventId"])
    assert len(ids) == len(pairs)


def _is_text(body):
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_ids_are_uuids_and_all_different(world):
    captures = world.captures()
    for variant in ("blue", "green"):
        sampler = captures.sampler(ENDPOINT, variant, CONFIG)
        for _ in range(500):
            take(sampler, "")
    captures.close()
    ids = world.ids()
    assert len(set(ids)) == 1000
    assert all(re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one) for one in ids)


@pytest.mark.parametrize("percentage", [0.0, 1.0, 30.0, 100.0])
def test_the_share_is_drawn_fairly(world, percentage):
    config = CaptureConfig(CONFIG.destination, percentage)
    captures = world.captures(draw=random.Random(7).random)
    sampler = captures.sampler(ENDPOINT, "blue", config)
    for number in range(5000):
        take(sampler, str(number))
    captures.close()
    expected = 50 * percentage
    assert abs(len(world.lines()) - expected) <= 4 * (expected * (1 - percentage / 100)) ** 0.5
    assert world.lost() == 0


def test_a_file_is_published_when_it_is_old_full_or_of_another_hour(world):
    captures = world.captures(Limits(every_s=0.01, file_s=0.05))
    take(captures.sampler(ENDPOINT, "blue", CONFIG), "old")
    until(lambda: world.ids() == ["old"])
    captures.close()
    captures = world.captures(Limits(every_s=0.01, file_s=3600, file_bytes=2000))
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    for number in range(20):
        take(sampler, f"full{number}")
    until(lambda: len(world.ids()) > 10)
    take(sampler, "late", at=time.time() - 3600)
    until(lambda: "late" in world.ids())
    captures.close()
    assert len(world.ids()) == len(set(world.ids())) == 22
    assert len({KEY.fullmatch(info.key)[1] for info in world.infos()}) >= 2
    assert not list(world.folder.iterdir())


CHILD = """
import sys, pathlib
from clary.kernel.names import Ref
from tests.endpoints.test_captures import World, ENDPOINT, CONFIG, take
world = World(pathlib.Path(sys.argv[1]))
sampler = world.captures().sampler(ENDPOINT, "blue", CONFIG)
number = 0
while True:
    take(sampler, f"{sys.argv[2]}-{number}")
    number += 1
    if number % 100 == 0:
        import time; time.sleep(0.001)
"""


def child(tmp_path, name):
    argv = [sys.executable, "-c", CHILD, str(tmp_path), name]
    return subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def test_what_killed_processes_left_is_published_once(world, tmp_path):
    captures = world.captures()  # one that lives all along
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    take(sampler, "own-0")
    until(lambda: len(list(world.folder.glob("*.jsonl"))) == 1)
    children = [child(tmp_path, name) for name in "ab"]
    until(lambda: len(list(world.folder.glob("*.jsonl"))) == 3)
    until(lambda: all(path.stat().st_size > 400 for path in world.folder.iterdir()))
    for one in children:
        one.send_signal(signal.SIGKILL)
        one.wait()
    left = max(world.folder.iterdir(), key=lambda path: path.stat().st_size)
    whole = left.read_bytes()
    left.write_bytes(whole + b'{"captureData":{"endpointIn')  # torn by the kill
    shutil.copy(left, tmp_path / "copy")
    second = world.captures()
    second.start()
    until(lambda: len(world.infos()) == 2)
    shutil.copy(tmp_path / "copy", left)  # killed between the object and the file's removal
    second.close()
    take(sampler, "own-1")
    captures.close()
    third = world.captures()
    third.start()
    until(lambda: not list(world.folder.iterdir()))
    third.close()
    names = {}
    for name, number in (one.split("-") for one in world.ids()):
        names.setdefault(name, []).append(int(number))
    assert sorted(names) == ["a", "b", "own"]
    assert all(sorted(found) == list(range(len(found))) for found in names.values())
    assert world.lost() == 0


def test_memory_is_bounded_and_the_rest_is_counted(world):
    woken = threading.Event()
    waiting = Waiting(Limits(waiting_bytes=1 << 20), woken.set)
    captures = world.captures()
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    kind = Kind(sampler, Shape("text/csv", "text/csv", 7))
    other = Kind(sampler, Shape("text/csv", "text/csv", 8))
    waiting.put(kind, b"1", b"2", 2)
    assert not woken.is_set()
    for _ in range(1000):
        waiting.put(kind, b"1", b"2", 1 << 10)
    assert woken.is_set()
    runs, lost = waiting.take_all()
    assert 500 < sum(len(bodies) for _, bodies, _ in runs) == 1001 - lost[sampler]
    assert max(len(bodies) for _, bodies, _ in runs) <= 1024
    waiting.put(kind, b"1", b"2", 2)
    waiting.put(kind, b"3", b"4", 2)
    waiting.put(other, b"5", b"6", 2)
    waiting.put(kind, b"7", b"8", 2)
    waiting.put(kind, b"9", b"", 1 << 20)
    assert waiting.take_all(close=True) == (
        [
            (kind, [b"1", b"3"], [b"2", b"4"]),
            (other, [b"5"], [b"6"]),
            (kind, [b"7"], [b"8"]),
        ],
        {sampler: 1},
    )
    waiting.put(kind, b"1", b"2", 2)
    assert waiting.take_all() == ([], {sampler: 1})
    captures.close()


def test_large_bodies_are_kept_whole(world):
    captures = world.captures()
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    bodies = {"text": b"1,2\n" * 500_000, "bytes": bytes(range(256)) * 1000, "small": b"1"}
    for name, body in bodies.items():
        take(sampler, name, body)
    odd = Invocation(ENDPOINT, bytes(1 << 20), "text/csv", custom_attributes="\ud800")
    sampler.take(odd, b"", "", "odd", time.time())
    captures.close()
    found = {one["eventMetadata"]["eventId"]: one["captureData"] for one in world.lines()}
    assert found.keys() == bodies.keys()
    assert found["text"]["endpointInput"]["data"].encode() == bodies["text"]
    assert base64.b64decode(found["bytes"]["endpointInput"]["data"]) == bodies["bytes"]
    assert world.lost() == 1


def test_threads_take_without_losing(world):
    captures = world.captures()
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)

    def work():
        for _ in range(500):
            take(sampler, "")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    captures.close()
    assert len(set(world.ids())) == len(world.ids()) == 2000


def test_a_bucket_that_is_gone_or_anothers_loses_records_and_says_so(world, caplog):
    world.objects.delete_bucket(BUCKET)
    captures = world.captures(Limits(every_s=0.01, file_s=0.01))
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    take(sampler, "1")
    until(lambda: world.lost() == 1)
    world.bucket("999999999999")
    take(sampler, "2")
    until(lambda: world.lost() == 2)
    world.objects.delete_bucket(BUCKET)
    world.bucket()
    take(sampler, "3")
    captures.close()
    assert world.ids() == ["3"]
    said = [one.getMessage() for one in caplog.records]
    assert said == [
        f"1 captured requests of {ENDPOINT}, variant blue, are lost: bucket {BUCKET} does not exist"
    ]


def test_what_cannot_be_published_now_is_published_later(world, tmp_path, caplog):
    scratch = tmp_path / "buckets/.clary/scratch"
    scratch.rename(tmp_path / "away")
    captures = world.captures(Limits(every_s=0.01, file_s=0.01))
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    take(sampler, "1")
    until(lambda: "captures cannot be published now" in caplog.text)
    captures.close()
    assert len(list(world.folder.iterdir())) == 1
    (tmp_path / "away").rename(scratch)
    later = world.captures()
    later.start()
    until(lambda: world.ids() == ["1"])
    later.close()
    assert world.lost() == 0


def test_too_much_that_waits_to_be_published_is_lost(world):
    captures = world.captures(Limits(every_s=0.01, file_s=3600, spooled_bytes=2000))
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    number = 0
    while not world.lost():
        take(sampler, str(number))
        number += 1
        time.sleep(0.002)
    captures.close()
    assert len(world.ids()) + world.lost() == number


def test_what_has_been_published_waits_no_longer(world):
    captures = world.captures(Limits(every_s=0.01, file_bytes=1000, spooled_bytes=20_000))
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    for first in range(0, 300, 30):
        for number in range(first, first + 30):
            take(sampler, str(number))
        until(lambda last=first + 30: len(world.ids()) + 5 > last)
    captures.close()
    assert len(world.ids()) == 300
    assert world.lost() == 0


FULL = """
import resource, sys, pathlib
from tests.endpoints.test_captures import World, ENDPOINT, CONFIG, take, until
world = World(pathlib.Path(sys.argv[1]))
captures = world.captures()
sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
take(sampler, "0")
until(lambda: list(world.folder.iterdir()))
[file] = world.folder.iterdir()
until(lambda: file.stat().st_size > 400)
room = file.stat().st_size + 100
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
for number in range(1, 9):
    take(sampler, str(number))
until(lambda: world.lost() == 8)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
take(sampler, "9")
captures.close()
print(world.ids())
"""


def test_a_write_that_fails_loses_its_records_whole(world, tmp_path):
    """What was begun of them is undone."""
    argv = [sys.executable, "-c", FULL, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['0', '9']", done.stdout + done.stderr


def test_text_that_is_no_unicode_is_lost_alone(world):
    captures = world.captures()
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    odd = Invocation(ENDPOINT, b"1", "text/csv", custom_attributes="\ud800")
    sampler.take(odd, b"", "", "odd", time.time())
    take(sampler, "good")
    captures.close()
    assert world.ids() == ["good"]
    assert world.lost() == 1


def test_after_closing_nothing_is_taken_and_nothing_raises(world):
    captures = world.captures()
    sampler = captures.sampler(ENDPOINT, "blue", CONFIG)
    captures.close()
    captures.close()
    take(sampler, "1")
    assert captures.sampler(ENDPOINT, "blue", CONFIG) is not None
    assert world.infos() == []


@pytest.mark.parametrize("uri", ["https://b/x", "s3:/b", "s3:///x", ""])
def test_a_destination_that_is_none_is_refused(uri):
    with pytest.raises(InvalidInput, match="DestinationS3Uri"):
        destination(uri)
