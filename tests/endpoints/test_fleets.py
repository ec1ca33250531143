"""Fleets of real processes: started, asked, killed, resized, retired."""

from __future__ import annotations

import json
import os
import signal
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from tests.endpoints.fleet_world import World, invocation, opened

from clary.endpoints.invocations import Refused
from clary.endpoints.model import FLEET, Stage
from clary.kernel.errors import InvalidInput, Unavailable

ECHO = textwrap.dedent(
    """
    import os, sys, time
    def model_fn(folder): return os.getpid()
    def transform_fn(model, data, content_type, accept, context):
        if data == "raise": raise KeyError("no such thing")
        if data == "exit": sys.exit(3)
        if data == "die": os.kill(os.getpid(), 9)
        if data == "die once" and not os.path.exists("/tmp/died"): os.kill(os.getpid(), 9)
        if data == "sleep": time.sleep(60)
        if data == "long stream":
            def slowly():
                for n in range(12):
                    time.sleep(0.2)
                    yield f"{n} "
            return slowly(), "text/plain"
        if data == "nap": time.sleep(0.05)
        if data == "large": return b"x" * (6 * 2**20 + 1), accept
        if data == "stream": return (f"piece {n} " for n in range(3)), "text/plain"
        if data == "break":
            def pieces():
                yield "one"
                raise ValueError("no more")
            return pieces(), "text/plain"
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "seen")
        return f"{data}|{content_type}|{accept}|{context.custom_attributes}", "text/plain"
    """
)
CODE = {"code/inference.py": ECHO}


@pytest.fixture
def world(tmp_path):
    with opened(tmp_path, drain_s=0.5) as world:
        yield world


def text(word):
    return invocation(word.encode(), "text/plain")


def inside(world, process):
    """Find the pids of what runs in a process's sandbox: they have its workspace mounted."""
    folder = str(world.runner.workspace(process).parent.relative_to("/tmp"))
    found = []
    for path in Path("/proc").glob("[0-9]*/mountinfo"):
        with suppress(OSError):
            if f"{folder}/ml " in path.read_text():
                found.append(int(path.parent.name))
    return found


def kill(world, process):
    for pid in inside(world, process):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Load:
    """Requests without a pause, from some threads, until it is left; keeps what failed."""

    def __init__(self, client, word="nap", threads=4):
        self.client, self.word = client, word
        self.failures, self.answers = [], 0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        while not self.stop.is_set():
            try:
                self.client.ask(text(self.word))
                self.answers += 1
            except Exception as error:
                self.failures.append(error)

    def __enter__(self):
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for one in self.threads:
            one.join()


def test_a_script_answers(world):
    ref = world.create("one", CODE)
    assert world.state(ref).status == "InService", world.state(ref)
    client = world.client(ref)
    reply = client.ask(invocation(custom_attributes="mine"))
    assert reply.body == b"1,2\n|text/csv|application/json|mine"
    assert (reply.content_type, reply.custom_attributes) == ("text/plain", "seen")
    assert b"".join(client.ask(text("stream")).body) == b"piece 0 piece 1 piece 2 "
    kept = client.ask(text("stream")).body
    assert next(kept) == b"piece 0 "
    kept.close()
    for word, message in (("raise", "KeyError: 'no such thing'"), ("exit", "SystemExit: 3")):
        with pytest.raises(Refused) as refused:
            client.ask(text(word))
        assert (refused.value.status, refused.value.message) == (500, message)
    with pytest.raises(Refused, match="over 6291456"):
        client.ask(text("large"))
    with pytest.raises(Refused, match="no more"):
        b"".join(client.ask(text("break")).body)
    assert client.ask(text("on")).body.startswith(b"on|")
    (process,) = world.processes()
    assert process == "one-1-0"
    assert any("Traceback" in line for line in world.log(process))
    client.close()


def test_workers_that_die_are_replaced_and_no_request_fails(world):
    ref = world.create("two", CODE, count=2)
    client = world.client(ref)
    with Load(client) as load:
        for serial in (1, 2):
            kill(world, f"two-{serial}-0")
            world.wait(
                ref, lambda state, gone=serial: state.ready == 2 and gone not in world.serials(ref)
            )
            done = load.answers
            world.wait(ref, lambda _, done=done: load.answers > done + 8)
    assert not load.failures, load.failures[:3]
    assert load.answers
    assert len(world.processes()) == 2
    assert world.state(ref).reason


def test_a_request_that_kills_its_worker_is_tried_twice(world):
    ref = world.create("dying", CODE, count=2)
    client = world.client(ref)
    with pytest.raises(Unavailable, match="are gone"):
        client.ask(text("die"))
    world.wait(ref, lambda state: state.ready == 2)
    assert client.ask(text("on")).body.startswith(b"on|")


def test_a_request_that_takes_too_long(world):
    ref = world.create("slow", CODE, limits={"timeout_s": 0.5, "max_waiting": 2})
    client = world.client(ref)
    with pytest.raises(Refused, match=r"no answer within 0.5 s") as late:
        client.ask(text("sleep"))
    assert late.value.status == 504
    world.wait(ref, lambda state: state.ready and world.serials(ref) == [2])
    with Load(client, threads=8) as load:
        load.stop.wait(0.5)
    assert all(isinstance(one, Unavailable) for one in load.failures)
    assert "too many requests wait for a worker" in {str(one) for one in load.failures}


def test_a_stream_may_last_longer_than_a_request(world):
    client = world.client(world.create("stream", CODE, limits={"timeout_s": 1.0}))
    assert len(b"".join(client.ask(text("long stream")).body).split()) == 12


def test_resizing_and_retiring_fail_no_request(world):
    ref = world.create("sized", CODE)
    client = world.client(ref)
    with Load(client) as load:
        world.change("resize", ref, 3)
        world.wait(ref, lambda state: state.ready == 3)
        world.change("resize", ref, 1)
        world.wait(ref, lambda _: len(world.instances(ref)) == 1)
    assert not load.failures, load.failures[:3]
    with Load(client, threads=1) as load:
        world.change("retire", ref)
    assert not load.failures
    world.wait(ref, lambda state: state is None)
    assert world.processes() == []
    assert not [path for path in world.runner._root.iterdir() if path.name.startswith("sized")]
    with pytest.raises(Unavailable):
        client.ask(text("on"))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"code/inference.py": "def model_fn(folder): raise OSError('no disk')"}, "no disk"),
        ({"code/inference.py": "def predict_fn(data, model): pass"}, "defines no model_fn"),
        ({"code/inference.py": "import nothing_such"}, "No module named 'nothing_such'"),
        ({"code/inference.py": "import os; os._exit(7)"}, "exit code: 7"),
        ({"code/inference.py": "import time; time.sleep(60)"}, "not ready within 1 s"),
        ({"model.bin": "x"}, "the model has no inference script"),
        ({"../out": "x"}, "leads out of"),
    ],
)
def test_a_first_start_that_fails_says_why(world, files, reason):
    ref = world.create("bad", files, startup_s=1.0 if "sleep" in str(files) else 60.0)
    state = world.state(ref)
    assert state.status == "Failed"
    assert reason in state.reason
    world.wait(ref, lambda _: not world.instances(ref))
    assert world.processes() == []
    world.change("retire", ref)
    world.wait(ref, lambda state: state is None)


def test_a_missing_artifact_fails_the_fleet(world):
    stage = Stage("sagemaker-xgboost:1.7-1", "s3://models/none/model.tar.gz")
    state = world.state(world.create("none", stages=(stage,)))
    assert (state.status, state.reason) == (
        "Failed",
        "there is no object at s3://models/none/model.tar.gz",
    )


def test_an_artifact_that_has_changed_is_not_served(world):
    info = world.put("c/model.tar.gz", CODE)
    world.put("c/model.tar.gz", {"code/inference.py": "x"})
    stage = Stage("python:3", "s3://models/c/model.tar.gz", sha256=info.sha256)
    assert "has changed" in world.state(world.create("changed", stages=(stage,))).reason


def test_workers_outlive_the_server_and_are_taken_over(world, tmp_path):
    ref = world.create("kept", CODE, count=2)
    before = world.client(ref).ask(text("on")).body
    assert world.worker.stop()
    other = World(tmp_path)
    kill(other, "kept-2-0")
    other.worker.start()
    try:
        other.wait(ref, lambda _: other.serials(ref) == [1, 3])
        other.wait(ref, lambda state: state.ready == 2)
        assert other.processes() == ["kept-1-0", "kept-3-0"]
        assert other.client(ref).ask(text("on")).body == before
    finally:
        assert other.worker.stop()


def test_a_worker_that_does_not_answer_is_replaced(tmp_path):
    with opened(tmp_path, beat_s=0.3) as world:
        replaced_when_stuck(world)


def replaced_when_stuck(world):
    ref = world.create("stuck", CODE)
    for pid in inside(world, "stuck-1-0"):
        os.kill(pid, signal.SIGSTOP)
    world.wait(ref, lambda state: state.ready and world.serials(ref) == [2])
    assert world.client(ref).ask(text("on")).body.startswith(b"on|")


EVIL = """
import socket, sys
main = sys.modules["__main__"]
def model_fn(folder): return None
def transform_fn(model, data, content_type, accept):
    def send(connection, header, body=b""):
        main.frames.send = real
        {evil}
    real, main.frames.send = main.frames.send, send
    return "x", "text/plain"
"""


@pytest.mark.parametrize(
    "evil",
    [
        'connection.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")',
        'connection.sendall(b"\\0\\0\\0\\2\\xff\\xff\\xff\\xff{}")',
        'connection.sendall(b"\\0\\0\\0\\2\\0\\0\\0\\0[]")',
        "connection.shutdown(socket.SHUT_RDWR)",
        'real(connection, {"status": 200, "type": "a\\r\\nSet-Cookie: b"})',
        'real(connection, {"status": 302})',
    ],
)
def test_nonsense_from_a_worker_is_no_answer(world, evil):
    ref = world.create(
        "evil", {"code/inference.py": EVIL.replace("{evil}", evil.replace("{{}}", "{}"))}
    )
    client = world.client(ref)
    with pytest.raises(Unavailable, match="are gone"):
        client.ask(text("on"))
    client.close()


def test_a_socket_that_leads_elsewhere_is_not_followed(world):
    code = """
import os
def model_fn(folder):
    def run():
        import time
        while not os.path.exists("/opt/ml/run/beat.sock"): time.sleep(0.001)
        os.rename("/opt/ml/run/serve.sock", "/opt/ml/run/other.sock")
        os.symlink("other.sock", "/opt/ml/run/serve.sock")
    import threading
    threading.Thread(target=run).start()
def predict_fn(data, model): return data
"""
    ref = world.create("link", {"code/inference.py": code}, limits={"timeout_s": 0.5})
    with pytest.raises(Unavailable):
        world.client(ref).ask(text("on"))


AROUND = """
import json, os, socket
def model_fn(folder): return None
def transform_fn(model, data, content_type, accept):
    names = [name for _, name in socket.if_nameindex()]
    return json.dumps([names, os.environ.get("GIVEN_ROLE"), os.getuid()]), "application/json"
"""


@pytest.mark.parametrize("network", [True, False])
def test_a_worker_is_alone(world, network):
    uri = "s3://models/around.tar.gz"
    world.put("around.tar.gz", {"code/inference.py": AROUND})
    stage = Stage("python:3", uri, role="arn:aws:iam::123456789012:role/team/Server")
    ref = world.create("around", stages=(stage,), network=network)
    interfaces, role, user = json.loads(world.client(ref).ask(text("")).body)
    assert user != 0
    assert role == ("Server" if network else None)
    assert network or interfaces == ["lo"]


FIRST = "def model_fn(f): pass\ndef transform_fn(m, d, c, a): return d + '+first', 'text/first'"
THEN = "def model_fn(f): pass\ndef transform_fn(m, d, c, a): return f'{d}|{c}', 'text/plain'"


def test_a_stream_without_end_is_no_request_for_the_next(world):
    endless = """
def model_fn(f): pass
def transform_fn(m, d, c, a):
    if d == "on": return d, c
    return (b"x" * 2**20 for _ in iter(int, 1)), "text/plain"
"""
    stages = []
    for name, code in (("endless", endless), ("then", THEN)):
        world.put(f"row/{name}.tar.gz", {"code/inference.py": code})
        stages.append(Stage("python:3", f"s3://models/row/{name}.tar.gz"))
    client = world.client(world.create("endless", stages=tuple(stages)))
    with pytest.raises(Refused, match="more than 6291456 bytes"):
        client.ask(text("go"))
    assert client.ask(text("on")).body == b"on|text/plain"


@pytest.mark.parametrize("direct", [False, True])
def test_containers_in_a_row_or_called_directly(world, direct):
    stages = []
    for name, code in (("first", FIRST), ("then", THEN)):
        world.put(f"row/{name}.tar.gz", {"code/inference.py": code})
        stages.append(Stage("python:3", f"s3://models/row/{name}.tar.gz", hostname=name))
    ref = world.create("row", stages=tuple(stages), direct=direct)
    client = world.client(ref)
    if direct:
        assert client.ask(invocation(b"a", "text/x", container="first")).body == b"a+first"
        assert client.ask(invocation(b"a", "text/x", container="then")).body == b"a|text/x"
        with pytest.raises(InvalidInput, match="legal: first, then"):
            client.ask(invocation(b"a", "text/x"))
    else:
        assert client.ask(invocation(b"a", "text/x")).body == b"a+first|text/first"
        with pytest.raises(InvalidInput, match="called in a row"):
            client.ask(invocation(b"a", "text/x", container="first"))
    assert world.processes() == ["row-1-0", "row-1-1"]
    assert ref.kind == FLEET
