"""Alerts: what is new is told once, to those who want to know, until it has arrived."""

import hashlib
import hmac
import json
import socketserver
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.monitoring.world import REF, World, request

from clary.adapters.notices import Notices
from clary.kernel.clock import now
from clary.kernel.codec import build
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound, NotSupported, Unavailable
from clary.kernel.resource import Query
from clary.monitoring.alerts import GIVE_UP, NOTICE, Notice
from clary.monitoring.channels import CHANNEL, Channel, channel
from clary.monitoring.model import EXECUTION, Execution

X = {"feature_name": "x", "constraint_check_type": "baseline_drift_check", "description": "far"}
Y = {"feature_name": "y", "constraint_check_type": "data_type_check", "description": "text"}


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Hook(ThreadingHTTPServer):
    """Keeps what is posted; refuses the first ``refusals``."""

    def __init__(self, refusals=0, status=500):
        super().__init__(("127.0.0.1", 0), Answer)
        self.heard, self.refusals, self.status = [], refusals, status

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((dict(self.headers), body))
        refused = len(self.server.heard) <= self.server.refusals
        self.send_response(self.server.status if refused else 200)
        if refused and self.server.status == 302:
            self.send_header("Location", self.server.url + "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def scheduled(world):
    world.schedules.create(REF, request(), actor="ada")
    return world


def settle(world, number, *found, **members):
    """End an execution that found this."""
    value = Execution(REF.name, "ada", "DataQuality", now(), output="s3://b/out", **members)
    with world.store.begin() as change:
        world.platform.monitoring.alerts.settle(
            change, REF.sibling(EXECUTION, f"monthly/{number}"), value, list(found)
        )


def notices(world):
    return world.store.select(Query(NOTICE)).items


def send(world):
    """Send what waits; return when the last is to be tried again."""
    again = None
    for one in notices(world):
        again = world.platform.monitoring.alerts.run(one, threading.Event())
    return again


def add(world, name="ops", **members):
    given = Channel(**{"kind": "webhook", "target": "http://127.0.0.1:9/x", **members})
    return world.platform.monitoring.channels.add(REF.sibling(CHANNEL, name), given)


def test_a_webhook_hears_of_what_is_new_and_of_its_end(scheduled):
    with serving(Hook()) as hook:
        add(scheduled, target=hook.url, secret="s3cret")
        settle(scheduled, 1, X)
        settle(scheduled, 2, X)
        settle(scheduled, 3, X, Y)
        settle(scheduled, 4)
        settle(scheduled, 5)
        assert len(notices(scheduled)) == 3
        assert send(scheduled) is None
        assert notices(scheduled) == []
        told = [json.loads(body) for _, body in hook.heard]
    told.sort(key=lambda one: one["execution"])
    assert [(one["state"], one["violations"]) for one in told] == [
        ("violated", [X]),
        ("violated", [Y]),
        ("resolved", [X, Y]),
    ]
    assert told[0]["schedule"] == "monthly"
    headers, body = hook.heard[0]
    signed = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["Clary-Signature"] == f"sha256={signed}"
    lines = [one for one in scheduled.store.events() if "s3cret" in str(one)]
    assert lines == []


def test_findings_last_while_they_are_found(scheduled):
    for number in range(3):
        settle(scheduled, number, X)
    [found] = scheduled.platform.monitoring.channels.findings(REF).open.values()
    assert (found.times, found.violation, found.execution) == (3, X, "monthly/2")
    assert found.first_at < found.last_at


def test_a_notice_is_tried_again_with_the_same_key_until_it_arrives(scheduled):
    with serving(Hook(refusals=2)) as hook:
        add(scheduled, target=hook.url)
        settle(scheduled, 1, X)
        first = send(scheduled)
        second = send(scheduled)
        assert now() < first < second
        assert build(Notice, notices(scheduled)[0].body).tries == 2
        assert send(scheduled) is None
    assert len({headers["Idempotency-Key"] for headers, _ in hook.heard}) == 1
    assert len(hook.heard) == 3
    actions = [one.action for one in scheduled.store.events()]
    assert actions.count("monitoring-channel.told") == 1


class Rubbish(socketserver.ThreadingTCPServer):
    """Answers every request with the same bytes."""

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Said)
        self.answer = answer

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class Said(socketserver.StreamRequestHandler):
    def handle(self):
        length = 0
        while (line := self.rfile.readline()).strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.rfile.read(length)
        self.wfile.write(self.server.answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff\xfe rubbish\r\n\r\n",
        b"HTTP/1.1 many OK\r\n\r\n",
        b"HTTP/1.1 200 " + b"o" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n" + b"x" * 70_000 + b"\r\n\r\n",
    ],
)
def test_a_webhook_that_answers_rubbish_is_tried_again(scheduled, answer):
    with serving(Rubbish(answer)) as hook:
        add(scheduled, target=hook.url)
        settle(scheduled, 1, X)
        assert send(scheduled) > now()
    [waiting] = notices(scheduled)
    assert build(Notice, waiting.body).tries == 1


@pytest.mark.parametrize(
    "target",
    ["http://h/s3cret here", "http://a..b/s3cret", f"http://{'s3cret' * 20}/"],
)
def test_a_webhook_at_no_address_is_tried_again_and_not_named(scheduled, target):
    add(scheduled, target=target)
    settle(scheduled, 1, X)
    assert send(scheduled) > now()
    with pytest.raises(Unavailable) as caught:
        Notices("").send(Channel("webhook", target), {}, key="k")
    assert "s3cret" not in str(caught.value)


def test_nobody_is_followed_elsewhere(scheduled):
    with serving(Hook(refusals=1, status=302)) as hook:
        add(scheduled, target=hook.url)
        settle(scheduled, 1, X)
        assert send(scheduled) is not None
        assert len(hook.heard) == 1


def test_what_never_arrives_is_given_up(scheduled, monkeypatch):
    add(scheduled)
    settle(scheduled, 1, X)
    assert send(scheduled) is not None
    monkeypatch.setattr("clary.monitoring.alerts.GIVE_UP", timedelta(0))
    assert timedelta(0) < GIVE_UP
    assert send(scheduled) is None
    [failed] = [one for one in scheduled.store.events() if one.action.endswith("channel.failed")]
    assert "could not be reached" in failed.detail["reason"]


def test_a_channel_that_is_gone_is_told_nothing(scheduled):
    made = add(scheduled)
    settle(scheduled, 1, X)
    scheduled.platform.monitoring.channels.remove(made.ref, actor="ada")
    assert send(scheduled) is None
    assert notices(scheduled) == []
    with pytest.raises(NotFound):
        scheduled.platform.monitoring.channels.remove(made.ref, actor="ada")


def test_only_schedules_of_the_pattern_are_told(scheduled):
    add(scheduled, "none", schedules="hourly-*")
    add(scheduled, "some", schedules="month*")
    settle(scheduled, 1, X)
    assert [build(Notice, one.body).channel for one in notices(scheduled)] == ["some"]


def test_what_is_muted_is_noted_and_not_told(scheduled):
    channels = scheduled.platform.monitoring.channels
    add(scheduled)
    channels.mute(REF, now() + timedelta(hours=1), features=["x"], actor="ada")
    settle(scheduled, 1, X, Y)
    [only] = notices(scheduled)
    assert build(Notice, only.body).document["violations"] == [Y]
    channels.mute(REF, None, features=["x"], actor="ada")
    channels.mute(REF, now() + timedelta(hours=1), actor="ada")
    settle(scheduled, 2, X, Y, {**X, "feature_name": "z"})
    assert len(notices(scheduled)) == 1
    assert len(channels.findings(REF).open) == 3
    channels.mute(REF, now() - timedelta(hours=1), actor="ada")
    settle(scheduled, 3, {**X, "feature_name": "w"})
    assert len(notices(scheduled)) == 3
    with pytest.raises(NotFound):
        channels.mute(REF.sibling(REF.kind, "none"), None, actor="ada")


def test_a_pipeline_is_started_once_a_new_violation(scheduled):
    definition = json.dumps(
        {"Version": "2020-12-01", "Steps": [{"Name": "End", "Type": "Fail", "Arguments": {}}]}
    )
    asked = {"PipelineName": "retrain", "PipelineDefinition": definition, "RoleArn": "r"}
    pipelines = scheduled.platform.pipelines
    pipelines.create(REF.sibling("pipeline", "retrain"), asked, actor="ada")
    add(scheduled, kind="pipeline", target="retrain", actor="ada")
    settle(scheduled, 1, X)
    settle(scheduled, 2, X)
    settle(scheduled, 3)
    scheduled.platform.worker.start()
    started = Query("pipeline-execution")
    while not (found := scheduled.store.select(started).items) or found[0].status == "Executing":
        scheduled.store.wait(0.05)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("a b", {}, "letters, digits and dashes"),
        ("ok", {"target": "ftp://x"}, "http://"),
        ("ok", {"target": "https://user:pass@x/"}, "http://"),
        ("ok", {"target": "http://x:port/"}, "http://"),
        ("ok", {"target": "http://x:99999/"}, "http://"),
        ("ok", {"target": "http://[::1/"}, "http://"),
        ("ok", {"kind": "email", "target": "no address"}, "one address"),
        ("ok", {"kind": "email", "target": "a@b.c\r\nBcc: d@e.f"}, "one address"),
    ],
)
def test_channels_that_cannot_be_are_refused(world, name, given, said):
    with pytest.raises(InvalidInput, match=said):
        add(world, name, **given)


def test_channels_have_names_of_their_own(world):
    add(world)
    with pytest.raises(AlreadyExists):
        add(world)
    with pytest.raises(NotFound):
        add(world, "other", kind="pipeline", target="none")
    assert [channel(one).kind for one in world.platform.monitoring.channels.list(REF)] == [
        "webhook"
    ]


class Mail(socketserver.ThreadingTCPServer):
    """Takes mail as any server does, without TLS."""

    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Session)
        self.letters = []

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.server_address[1]}?from=clary@example.com"


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    letter += line
                self.server.letters.append(letter.decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


def test_mail_says_what_was_found(tmp_path):
    with serving(Mail()) as mail:
        world = World(tmp_path / "home", smtp=mail.url)
        world.bucket()
        world.schedules.create(REF, request(), actor="ada")
        add(world, kind="email", target="ops@example.com")
        settle(world, 1, X, endpoint="prices")
        assert send(world) is None
        world.close()
    [letter] = mail.letters
    assert "Subject: monthly: 1 violation violated" in letter
    assert "To: ops@example.com" in letter
    assert "- x: baseline_drift_check: far" in letter
    assert "clary monitor explain monthly" in letter


def test_mail_without_a_server_and_passwords_without_tls_are_refused():
    to = Channel("email", "ops@example.com")
    document = {"state": "violated", "count": 0, "violations": [], "schedule": "s", "type": "t"}
    document |= {"endpoint": "", "start": "", "end": "", "report": "", "execution": ""}
    with pytest.raises(NotSupported, match="set CLARY_SMTP"):
        Notices("").send(to, document, key="k")
    with serving(Mail()) as mail:
        secret = mail.url.replace("127.0.0.1", "me:hush@127.0.0.1")
        with pytest.raises(Unavailable) as caught:
            Notices(secret).send(to, document, key="k")
        assert "hush" not in str(caught.value)
        assert mail.letters == []
    with pytest.raises(Unavailable, match="UnicodeError"):
        Notices("smtp://a..b?from=clary@example.com").send(to, document, key="k")
    for wrong in (
        "imap://x?from=a@b",
        "smtp://x",
        "smtp://?from=a@b",
        "smtp://x?from=a@b%0d%0ac",
        "smtp://x:port?from=a@b",
        "smtp://x:99999?from=a@b",
        "smtp://[::1?from=a@b",
    ):
        with pytest.raises(InvalidInput, match="smtp"):
            Notices(wrong)


def test_a_schedule_that_is_made_anew_finds_anew(scheduled):
    add(scheduled)
    settle(scheduled, 1, X)
    scheduled.schedules.delete(REF, actor="ada")
    assert scheduled.platform.monitoring.channels.findings(REF).open == {}
    scheduled.schedules.create(REF, request(), actor="ada")
    settle(scheduled, 2, X)
    assert len(notices(scheduled)) == 2
