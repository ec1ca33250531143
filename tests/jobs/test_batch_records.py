"""Batches are cut, filtered, joined and written as a slow oracle does it, record by record."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.jobs.launch import CONTAINERS

sys.path.insert(0, str(CONTAINERS))
import batch_capture
import batch_transform
import job_files

FIELDS = st.text(st.sampled_from("ab1 ,\"'é;"), max_size=4)
ROWS = st.lists(st.lists(FIELDS, min_size=1, max_size=4), max_size=12)
CUTS = {
    "$": lambda row: row,
    "$[0]": lambda row: [row[0]],
    "$[-1]": lambda row: [row[-1]],
    "$[1:]": lambda row: row[1:],
    "$[:-1]": lambda row: row[:-1],
    "$[0,2]": lambda row: [row[0], row[2]],
    "$[0,1:]": lambda row: [row[0], *row[1:]],
    "$[1:2, -1]": lambda row: [*row[1:2], row[-1]],
}
DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(), "f": st.lists(st.integers(), max_size=3), "s": st.text(max_size=3)}
    ),
    max_size=8,
)
PARTS = {
    "$": lambda one: one,
    "$.f": lambda one: one["f"],
    "$.s": lambda one: one["s"],
    "$['id','f']": lambda one: {"id": one["id"], "f": one["f"]},
    "$.f[0]": lambda one: one["f"][0],
}
JOINED = {
    "$": lambda one: one,
    "$.SageMakerOutput": lambda one: one["SageMakerOutput"],
    "$['id', 'SageMakerOutput']": lambda one: {x: one[x] for x in ("id", "SageMakerOutput")},
}
STRATEGIES = st.sampled_from(["SingleRecord", "MultiRecord"])


def batch(handler, concurrent, **settings):
    base = {
        "ContentType": "text/csv",
        "Accept": "text/csv",
        "SplitType": "Line",
        "BatchStrategy": "MultiRecord",
        "AssembleWith": "None",
        "MaxPayloadInMB": 6,
        "InputFilter": "$",
        "OutputFilter": "$",
        "JoinSource": "None",
        "GenerateInferenceId": False,
    }
    return batch_transform.Batch({**base, **settings}, handler, concurrent)


@pytest.fixture(scope="module")
def concurrent():
    with ThreadPoolExecutor(3) as pool:
        yield lambda function, items: batch_transform.ahead(pool, 6, function, items)


def run(made, data):
    result = io.BytesIO()
    made.transform(io.BytesIO(data), result, "x")
    return result.getvalue().decode()


def lines_of(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def backwards(payload, _content_type, _accept):
    """Answer each row with its fields in the other order, and how many there are."""
    rows = csv.reader(io.StringIO(payload.decode(), newline=""))
    answered = [[*reversed(row), str(len(row))] for row in rows]
    return lines_of(answered).encode(), "text/csv; charset=utf-8"


@given(ROWS, st.sampled_from(list(CUTS)), st.sampled_from(list(CUTS)), st.booleans(), STRATEGIES)
def test_csv(concurrent, rows, before, after, joins, strategy):
    settings = {
        "InputFilter": before,
        "OutputFilter": after,
        "JoinSource": "Input" if joins else "None",
        "BatchStrategy": strategy,
    }
    made = batch(backwards, concurrent, **settings)
    expected = []
    try:
        for row in rows:
            asked = CUTS[before](row)
            predicted = [*reversed(asked), str(len(asked))]
            expected.append(CUTS[after]([*row, *predicted] if joins else predicted))
    except IndexError:
        with pytest.raises(job_files.JobError, match="names nothing"):
            run(made, lines_of(rows).encode())
        return
    assert run(made, lines_of(rows).encode()) == lines_of(expected)


def shouted(payload, content_type, _accept):
    """Answer each line's document with its JSON in capitals."""
    assert content_type == "application/jsonlines"
    lines = [json.loads(line) for line in payload.decode().split("\n") if line]
    answers = [json.dumps(json.dumps(one).upper()) for one in lines]
    return "".join(f"{one}\n" for one in answers).encode(), "application/jsonlines"


@given(
    DOCUMENTS,
    st.sampled_from(list(PARTS)),
    st.sampled_from(list(JOINED)),
    st.booleans(),
    STRATEGIES,
)
def test_json_lines(concurrent, documents, before, after, joins, strategy):
    settings = {
        "ContentType": "application/jsonlines",
        "InputFilter": before,
        "OutputFilter": after if joins else "$",
        "JoinSource": "Input" if joins else "None",
        "BatchStrategy": strategy,
    }
    made = batch(shouted, concurrent, **settings)
    data = "".join(json.dumps(one) + "\r\n" for one in documents).encode()
    expected = []
    try:
        for one in documents:
            predicted = json.dumps(PARTS[before](one)).upper()
            expected.append(
                JOINED[after]({**one, "SageMakerOutput": predicted}) if joins else predicted
            )
    except IndexError:
        with pytest.raises(job_files.JobError, match="names nothing"):
            run(made, data)
        return
    if made.processes:
        found = [json.loads(line) for line in run(made, data).splitlines()]
    else:
        found = [json.loads(line) for line in run(made, data).split("\n") if line]
    assert found == expected


@given(st.lists(st.binary(max_size=300_000), max_size=8), st.integers(1, 2), STRATEGIES)
def test_payloads_hold_all_records_in_order_and_no_more_than_fits(records, most, strategy):
    clean = [record.replace(b"\r", b"").replace(b"\n", b"") for record in records]
    made = batch(None, map, MaxPayloadInMB=most, BatchStrategy=strategy)
    found = list(made.payloads(io.BytesIO(b"\n".join(clean)), "x"))
    assert [record for payload in found for record in payload] == [one for one in clean if one]
    for payload, following in itertools.zip_longest(found, found[1:]):
        size = len(made.joined(payload))
        assert size <= most << 20
        if strategy == "SingleRecord":
            assert len(payload) == 1
        elif following is not None:
            assert size + len(following[0]) + 1 > most << 20


@pytest.mark.parametrize(
    ("content", "answer", "kind", "joins", "expected"),
    [
        (
            '["a","b"]',
            '["c"]',
            "json",
            True,
            {"SageMakerInput": ["a", "b"], "SageMakerOutput": "c"},
        ),
        ('{"a": 1}', "[2, 3]", "json", True, {"a": 1, "SageMakerOutput": [2, 3]}),
        ('{"a": 1}', '{"predictions": [{"score": 2}]}', "json", False, {"score": 2}),
        ("1", '"x"', "jsonlines", False, {"SageMakerOutput": "x"}),
    ],
)
def test_ids_are_members_of_json_records(content, answer, kind, joins, expected):
    made = batch(
        lambda *_: (answer.encode(), f"application/{kind}"),
        map,
        ContentType="application/jsonlines",
        JoinSource="Input" if joins else "None",
        GenerateInferenceId=True,
    )
    [line] = run(made, content.encode()).splitlines()
    found = json.loads(line)
    assert len(found.pop("SageMakerInferenceId")) == 36
    assert found.pop("SageMakerInferenceTime").endswith("Z")
    assert found == expected


def test_a_whole_json_object_is_one_record():
    def predict(payload, *_):
        assert json.loads(payload) == [1, 2]
        return b"[3, 4]", "application/json"

    made = batch(
        predict,
        map,
        ContentType="application/json",
        SplitType="None",
        InputFilter="$.rows",
        JoinSource="Input",
    )
    found = run(made, b'{\n "rows": [1, 2]\n}')
    assert json.loads(found) == {"rows": [1, 2], "SageMakerOutput": [3, 4]}


@pytest.mark.parametrize("data", [b"\xff\xfe", b'{"a":', b"[" * 100_000])
def test_a_record_that_is_none_is_refused(data):
    made = batch(shouted, map, ContentType="application/jsonlines", InputFilter="$.a")
    with pytest.raises(job_files.JobError, match="a record is not application/jsonlines"):
        run(made, data)


KEYS = st.lists(
    st.text("ab/-", min_size=1, max_size=6).filter(lambda key: not key.endswith("/")),
    min_size=1,
    unique=True,
)


@given(KEYS)
def test_manifests_name_every_object(keys):
    uris = [f"s3://bucket/{key}" for key in keys]
    first, *names = batch_capture.manifest(uris)
    assert [first["prefix"] + name for name in names] == uris
    assert first["prefix"].endswith("/")
    assert all(names)
