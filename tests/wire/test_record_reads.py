"""Requests for records on the event loop: byte for byte what the ordinary way answers."""

from __future__ import annotations

import json
import math
import random
import socket
from contextlib import closing
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from clary.doors.wire.record_documents import RecordWriter, document
from clary.features.model import Feature, Schema
from clary.features.records import Group
from clary.kernel.names import Ref

FLOATS = st.floats() | st.sampled_from([1e16, 1e15, 1e-4, 9e-5, -0.0, 0.5, 123456.75])
ONE = {"Integral": st.integers(-(2**63), 2**63 - 1), "Fractional": FLOATS, "String": st.text()}
NAMES = [f"f{n}" for n in range(5)]


@st.composite
def cases(draw):
    """Draw features, some of their names, and records of some widths."""
    features = [
        Feature(name, draw(st.sampled_from(list(ONE))), draw(st.sampled_from([None, None, "List"])))
        for name in NAMES
    ]
    values = [
        st.none() | (st.lists(ONE[one.kind], max_size=3) if one.collection else ONE[one.kind])
        for one in features
    ]
    rows = draw(st.lists(st.tuples(*values), max_size=4))
    rows = [row[: draw(st.integers(0, len(NAMES)))] for row in rows]
    return Schema(tuple(features), "f0", "f1"), draw(st.lists(st.sampled_from(NAMES))), rows


@given(cases())
def test_records_are_written_as_their_documents_are(case):
    schema, names, rows = case
    chosen = list(dict.fromkeys(names or NAMES))
    expected = []
    for row in rows:
        found = dict(zip(NAMES, row, strict=False))
        known = [(name, found[name]) for name in chosen if found.get(name) is not None]
        expected.append(msgspec.json.encode([document(name, value) for name, value in known]))
    assert RecordWriter(schema, names).write(rows) == expected


@given(
    st.sampled_from(["Integral", "String"]),
    st.lists(st.text(), min_size=1)
    | st.lists(st.from_regex(r"[+-]?[0-9]{1,20}", fullmatch=True), min_size=1),
)
def test_keys_are_plain_only_if_they_are_filed_so(kind, keys):
    schema = Schema((Feature("id", kind), Feature("at", "Fractional")), "id", "at")
    ref = Ref("123456789012", "us-east-1", "feature-group", "g")
    group = Group(ref, "uid", schema, True, None, "", "")
    if group.are_filed(keys):
        assert [group.key(key) for key in keys] == keys


GROUP = {
    "RecordIdentifierFeatureName": "id",
    "EventTimeFeatureName": "at",
    "OnlineStoreConfig": {"EnableOnlineStore": True},
    "RoleArn": "arn:aws:iam::123456789012:role/features",
}
KINDS = {"id": "String", "at": "Fractional", "n": "Integral", "x": "Fractional", "word": "String"}


@pytest.fixture(scope="module")
def group(server):
    """Make a group with records of all sorts."""
    sagemaker = server.client("sagemaker")
    runtime = server.client("sagemaker-featurestore-runtime")
    definitions = [{"FeatureName": name, "FeatureType": kind} for name, kind in KINDS.items()]
    definitions.append({"FeatureName": "tags", "FeatureType": "String", "CollectionType": "List"})
    sagemaker.create_feature_group(
        FeatureGroupName="quick", FeatureDefinitions=definitions, **GROUP
    )
    draw = random.Random(7)
    odd = [math.nan, math.inf, 1e300, 1e-7, -0.0]
    for key in ["a", "b c", 'q"uote', "ü/x", "with+plus", "gone"]:
        values = {
            "id": key,
            "at": draw.random(),
            "n": draw.randrange(-(2**63), 2**63),
            "x": draw.choice([*odd, draw.random()]),
            "word": draw.choice(["", 'say "ü"\n', "plain"]),
        }
        if key == "b c":
            del values["word"]
        record = [{"FeatureName": name, "ValueAsString": str(one)} for name, one in values.items()]
        record.append({"FeatureName": "tags", "ValueAsStringList": ["x", 'y"']})
        runtime.put_record(FeatureGroupName="quick", Record=record)
    runtime.delete_record(
        FeatureGroupName="quick", RecordIdentifierValueAsString="gone", EventTime="5.0"
    )
    return "quick"


def ask(server, method, target, body=b"", *, secret="", **more):
    """Send a signed request; return the head and the body of the answer."""
    url = server.endpoint + target
    headers = {"Content-Type": "application/json"} if body else {}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    request = AWSRequest(method, url, headers, body)
    keys = server.keys
    credentials = Credentials(keys["access_key_id"], secret or keys["secret_access_key"])
    SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(request)
    sent = {"Host": urlsplit(url).netloc, **dict(request.headers.items())}
    if body:
        sent["Content-Length"] = str(len(body))
    head = "".join(f"{key}: {value}\r\n" for key, value in sent.items())
    with closing(socket.create_connection(urlsplit(url)[1].split(":"), timeout=30)) as line:
        line.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return answer_of(line.makefile("rb"))


def answer_of(stream):
    """Read the head and the body of an answer."""
    found = b"".join(iter(stream.readline, b"\r\n"))
    length = int(found.lower().partition(b"content-length:")[2].split()[0])
    body = b""
    while len(body) < length:
        body += stream.read(length - len(body))
    return found, body


def is_quick(head):
    return head.split(b"\r\n")[1].startswith(b"x-amzn-requestid")  # else the date comes first


def both_ways(server, method, target, body=b""):
    """Ask until the quick way answers, and the ordinary way; give both bodies."""
    for _ in range(100):
        ordinary, expected = ask(server, method, target, body, Content_Encoding="identity")
        head, found = ask(server, method, target, body)
        assert not is_quick(ordinary)
        if is_quick(head):
            assert head.split(b"\r\n")[0] == ordinary.split(b"\r\n")[0]
            assert b"content-type: application/json" in head.lower()
            return found, expected
    raise AssertionError("nothing was answered on the event loop")


def one(key, names=(), group="quick"):
    asked = [("RecordIdentifierValueAsString", key), *(("FeatureName", name) for name in names)]
    return f"/FeatureGroup/{group}?{urlencode(asked, quote_via=quote)}"


@pytest.mark.parametrize("key", ["a", "b c", 'q"uote', "ü/x", "with+plus", "gone", "nobody"])
def test_a_record_is_the_same_both_ways(server, group, key):
    for names in ((), ("x", "n"), ("word", "tags", "word")):
        found, expected = both_ways(server, "GET", one(key, names))
        assert found == expected


def test_many_records_are_the_same_both_ways(server, group):
    asked = [
        {
            "FeatureGroupName": group,
            "RecordIdentifiersValueAsString": ["a", "nobody", "ü/x", "gone", 'q"uote', "a"],
        },
        {
            "FeatureGroupName": group,
            "RecordIdentifiersValueAsString": ["b c", "a"],
            "FeatureNames": ["n", "word"],
        },
    ]
    body = json.dumps({"Identifiers": asked}).encode()
    found, expected = both_ways(server, "POST", "/BatchGetRecord", body)
    assert found == expected
    assert len(json.loads(found)["Records"]) == 6


REFUSED = {
    "feature": ("GET", one("a", ["other"]), b"", b"other"),
    "group": ("GET", one("a", group="nowhere"), b"", b"nowhere"),
    "no key": ("GET", "/FeatureGroup/quick?FeatureName=x", b"", b""),
    "not JSON": ("POST", "/BatchGetRecord", b"{", b"JSON"),
    "no groups": ("POST", "/BatchGetRecord", b'{"Identifiers":[]}', b"length"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said_the_ordinary_way(server, group, case):
    method, target, body, words = REFUSED[case]
    ask(server, "GET", one("a"))
    head, answer = ask(server, method, target, body)
    assert not is_quick(head)
    assert head.split()[1] in (b"400", b"404")
    assert words in answer


def test_a_wrong_signature_reads_nothing(server, group):
    for _ in range(3):
        ask(server, "GET", one("a"))
        head, answer = ask(server, "GET", one("a"), secret="x" * 40)
        assert head.split()[1] in (b"400", b"403")
        assert b"signature" in answer


def test_a_get_with_a_body_takes_the_ordinary_way(server, group):
    ask(server, "GET", one("a"))
    head, _ = ask(server, "GET", one("a"), b"{}")
    assert not is_quick(head)


def test_requests_in_a_row_are_answered_in_their_order(server, group):
    targets = [one("a", ["n"]), one("a", ["other"]), one("nobody"), one("a", ["x"])]
    host = urlsplit(server.endpoint).netloc
    whole = b""
    for target in targets:
        request = AWSRequest("GET", server.endpoint + target)
        keys = server.keys
        credentials = Credentials(keys["access_key_id"], keys["secret_access_key"])
        SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(request)
        lines = "".join(f"{key}: {value}\r\n" for key, value in request.headers.items())
        whole += f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode()
    for _ in range(3):
        with closing(socket.create_connection(host.split(":"), timeout=30)) as line:
            line.sendall(whole)
            answers = [answer_of(line.makefile("rb", 0)) for _ in targets]
        assert [head.split()[1] for head, _ in answers] == [b"200", b"400", b"200", b"200"]
        assert b'"n"' in answers[0][1]
        assert answers[2][1] == b"{}"
        assert b'"x"' in answers[3][1]


def test_what_is_written_is_read_at_once(server, group):
    runtime = server.client("sagemaker-featurestore-runtime")
    for number in range(30):
        record = [
            {"FeatureName": "id", "ValueAsString": "fresh"},
            {"FeatureName": "at", "ValueAsString": str(number)},
            {"FeatureName": "n", "ValueAsString": str(number)},
        ]
        runtime.put_record(FeatureGroupName=group, Record=record)
        _, answer = ask(server, "GET", one("fresh", ["n"]))
        assert json.loads(answer)["Record"][0]["ValueAsString"] == str(number)


def again(call):
    for _ in range(50):
        call()


def test_capacity_is_enforced_and_can_be_given_up(server, sagemaker, name):
    definitions = [{"FeatureName": one, "FeatureType": kind} for one, kind in KINDS.items()]
    capacity = {"ProvisionedReadCapacityUnits": 2, "ProvisionedWriteCapacityUnits": 1}
    sagemaker.create_feature_group(
        FeatureGroupName=name,
        FeatureDefinitions=definitions,
        ThroughputConfig={"ThroughputMode": "Provisioned", **capacity},
        **GROUP,
    )
    runtime = server.client("sagemaker-featurestore-runtime")
    record = [
        {"FeatureName": "id", "ValueAsString": "a"},
        {"FeatureName": "at", "ValueAsString": "1.0"},
    ]
    runtime.put_record(FeatureGroupName=name, Record=record)
    with pytest.raises(ClientError) as error:
        again(lambda: runtime.put_record(FeatureGroupName=name, Record=record))
    answer = error.value.response
    assert answer["Error"]["Code"] == "ThrottlingException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert int(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1
    entries = [{"FeatureGroupName": name, "Record": record}]
    with pytest.raises(ClientError, match="ThrottlingException"):
        again(lambda: runtime.batch_write_record(Entries=entries * 20))
    many = {"FeatureGroupName": name, "RecordIdentifiersValueAsString": ["a", "b", "c", "d"]}
    free = {"FeatureGroupName": "quick", "RecordIdentifiersValueAsString": ["a"]}
    answers = [runtime.batch_get_record(Identifiers=[many, free]) for _ in range(3)]
    assert answers[-1]["UnprocessedIdentifiers"] == [many]
    assert [one["FeatureGroupName"] for one in answers[-1]["Records"]] == ["quick"]
    sagemaker.update_feature_group(
        FeatureGroupName=name, ThroughputConfig={"ThroughputMode": "OnDemand"}
    )
    for _ in range(5):
        runtime.put_record(FeatureGroupName=name, Record=record)
        runtime.batch_get_record(Identifiers=[many])
