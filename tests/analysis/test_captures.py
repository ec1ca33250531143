"""Captures of our own endpoints and of AWS's, labels that come late, lines that are none."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clary.analysis import captures as module
from clary.analysis.attributes import MISSING, attribute
from clary.analysis.batch_answers import batch_answers
from clary.analysis.captures import Faults, Window, captures
from clary.analysis.ground_truth import read_labels
from clary.analysis.payloads import Payload
from clary.endpoints.capture_records import Format
from clary.endpoints.invocations import Invocation
from clary.endpoints.model import CaptureConfig
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref

EXAMPLES = Path(__file__).parents[3] / "shared" / "examples" / "monitoring"
needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not here")


def line(event, answer="0.5", **more):
    return json.dumps(
        {
            "captureData": {
                "endpointOutput": {"mode": "OUTPUT", "data": answer, "encoding": "CSV"}
            },
            "eventMetadata": {"eventId": event, **more},
            "eventVersion": "0",
        }
    )


def truth(event, label, **more):
    return json.dumps(
        {
            "groundTruthData": {"data": label, "encoding": "CSV"},
            "eventMetadata": {"eventId": event, **more},
        }
    )


def write(folder, name, *lines):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return file


def values(payload, place=None):
    return payload.values(attribute(place, field="inference_attribute") if place else None)


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [("text/csv", "CSV"), ("application/json", "JSON"), ("application/x-other", "BASE64")],
)
def test_what_our_endpoints_write_is_read(tmp_path, content_type, encoding):
    answer = b'{"predictions": [{"score": 0.25}]}' if encoding == "JSON" else b"0.25\n"
    given = Invocation(
        Ref("1" * 12, "us-east-1", "endpoint", "e"),
        b"1,2",
        content_type=content_type,
        accept="",
        inference_id="mine",
        custom_attributes="x",
    )
    written = Format(CaptureConfig("s3://b/p")).line(
        given, answer, content_type, "event-1", 1_700_000_000.5
    )
    (tmp_path / "a.jsonl").write_bytes(written)
    faults = Faults()
    (found,) = captures(tmp_path, faults)
    assert found.capture.ids == ("mine", "event-1")
    assert found.capture.event_metadata.at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    sides = found.capture.capture_data
    assert sides.endpoint_output.encoding == encoding
    assert [float(one) for one in values(sides.endpoint_output)] == [0.25]
    assert sides.endpoint_input.observed_content_type == content_type
    assert faults.count == 0


@needs_examples
def test_captures_and_labels_that_people_have_are_merged():
    faults = Faults()
    labels = read_labels(EXAMPLES / "monitor__actuals.jsonl", faults)
    merged = list(labels.of(captures(EXAMPLES / "monitor__capture.jsonl", faults)))
    assert len(merged) == 44
    assert all(label is not None and label.values(None)[0] in "01" for _, label in merged)
    first = merged[0][0].capture.capture_data
    assert first.endpoint_input.rows() == [["9", "45", "45", "42", "7", "5", "0"]]
    assert values(first.endpoint_output, "0") == ["0.302709460258"]
    assert (labels.unmatched, labels.unlabelled, faults.count) == (0, 0, 0)


@needs_examples
def test_rows_of_a_json_answer_are_its_predictions():
    first, _ = captures(EXAMPLES / "monitor__captured-data.jsonl", Faults())
    sides = first.capture.capture_data
    assert values(sides.endpoint_output) == [3.5, 4.0, 5.5]
    assert values(sides.endpoint_output, "predictions") == [3.5, 4.0, 5.5]
    assert sides.endpoint_input.rows() == [1.0, 2.0, 5.0]


@pytest.mark.parametrize(
    ("data", "encoding", "place", "expected"),
    [
        ("1,0.9\n0,0.2\n", "CSV", "1", ["0.9", "0.2"]),
        ("1,0.9\n0,0.2", "CSV", None, ["1", "0"]),
        ('"a, b",2', "CSV", None, ["a, b"]),
        ("", "CSV", None, []),
        ('{"score": 0.9}', "JSON", "score", [0.9]),
        ('{"score": 0.9}', "JSON", None, [0.9]),
        ('{"score": 0.9}\n{"score": 0.1}\n', "JSON", "$.score", [0.9, 0.1]),
        ('{"predictions": [{"score": 0.9, "label": 1}]}', "JSON", "score", [0.9]),
        ('{"predictions": [{"score": 0.9}]}', "JSON", "$.predictions[0].score", [0.9]),
        ('{"predictions": [{"score": 0.9}]}', "JSON", "predictions[*].score", [0.9]),
        ('{"predictions": [{"s": {"a b": 1}}, {"s": {"a b": 2}}]}', "JSON", "s['a b']", [1, 2]),
        ("[[1, 0.9], [0, 0.2]]", "JSON", "1", [0.9, 0.2]),
        ("[0.9, 0.2]", "JSON", "0", [0.9, 0.2]),
        ("0.9", "JSON", "0", [0.9]),
        ("MC45Cg==", "BASE64", "0", ["0.9"]),
        ("eyJzY29yZSI6IDAuOX0=", "BASE64", "score", [0.9]),
    ],
)
def test_values_are_found_by_index_name_and_path(data, encoding, place, expected):
    assert values(Payload(data, encoding), place) == expected


@pytest.mark.parametrize(
    ("data", "encoding", "place", "said"),
    [
        ("0.9", "CSV", "1", "has nothing at '1'; it has 1 cells"),
        ("0.9", "CSV", "score", "has nothing at 'score'; it has 1 cells without names"),
        ('{"a": 1, "b": 2}', "JSON", "score", "it has a, b"),
        ('{"a": 1, "b": 2}', "JSON", None, "an attribute has to name one"),
        ('{"predictions": [3.5', "JSON", None, "is no JSON"),
        ("[" * 100_000, "JSON", None, "is no JSON"),
        ("AAECA///", "BASE64", None, "is no text in base64"),
        ("%%", "BASE64", None, "is no text in base64"),
        ('1\n{"a":', "JSON", None, "is no JSON"),
        ('"a', "CSV", None, "is no CSV"),
    ],
)
def test_answers_without_the_value_are_refused(data, encoding, place, said):
    with pytest.raises(InvalidInput, match=said):
        values(Payload(data, encoding), place)


@pytest.mark.parametrize("text", ["", "$", "a..", "a[", "a[-1]", "[*", "x" * 2000])
def test_attributes_that_name_no_place_are_refused(text):
    with pytest.raises(InvalidInput, match="legal: an index"):
        attribute(text, field="probability_attribute")


def test_a_place_that_is_not_there_is_no_value():
    assert attribute("a[*].b", field="").find({"a": [{"b": None}]}) == [None]
    assert attribute("a[*].b", field="").find({"a": [{}]}) is MISSING
    assert attribute("a[*]", field="").find({"a": 3}) is MISSING
    assert attribute("a[1]", field="").find({"a": [3]}) is MISSING


def test_lines_that_cannot_be_read_are_counted_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_LINE_BYTES", 300)
    whole = line("a")
    file = write(tmp_path, "2026/01/02/03/x.jsonl", whole, "", "[]", "y" * 1000, whole[:50])
    (tmp_path / ".hidden").write_text("nothing")
    (tmp_path / "_SUCCESS").write_text("nothing")
    faults = Faults()
    assert len(list(captures(tmp_path, faults))) == 1
    assert faults.count == 3
    assert [one.partition(": ")[0] for one in faults.named] == [
        f"{file}, line {number}" for number in (3, 4, 5)
    ]
    assert "longer than 300 bytes" in faults.named[1]
    assert "truncated" in faults.named[2]


def test_only_so_many_faults_are_named(tmp_path):
    write(tmp_path, "x.jsonl", *["{"] * 50)
    faults = Faults()
    assert list(captures(tmp_path, faults)) == []
    assert (faults.count, len(faults.named)) == (50, 20)


def test_a_window_chooses_hours_and_moments(tmp_path):
    write(
        tmp_path,
        "e/v/2026/01/02/03/x.jsonl",
        *(line(f"{m}", inferenceTime=f"2026-01-02T03:{m:02}:00Z") for m in range(0, 60, 10)),
        line("unknown", inferenceTime="{%s}"),
    )
    write(tmp_path, "e/v/2026/01/02/04/x.jsonl", "never read")
    write(tmp_path, "e/v/2026/01/02/02/x.jsonl", "never read")
    day = datetime(2026, 1, 2, 3, tzinfo=UTC)
    window = Window(day.replace(minute=20), day.replace(minute=50))
    faults = Faults()
    found = [one.capture.ids[0] for one in captures(tmp_path, faults, window=window)]
    assert found == ["20", "30", "40", "unknown"]
    assert faults.count == 0


def test_labels_come_late_twice_and_for_nobody(tmp_path):
    requests = write(
        tmp_path, "c/x.jsonl", line("a", inferenceId="7"), line("b"), line("c"), line("d")
    )
    truths = tmp_path / "t"
    write(truths, "2026/01/02/05/x.jsonl", truth("b", "1"), truth("7", "0"), truth("nobody", "1"))
    faults = Faults()
    labels = read_labels(truths, faults)
    merged = {one.capture.ids[-1]: label for one, label in labels.of(captures(requests, faults))}
    assert {name: label.data for name, label in merged.items() if label} == {"a": "0", "b": "1"}
    assert (labels.unmatched, labels.unlabelled, labels.repeated) == (1, 2, 0)
    write(truths, "2026/01/03/00/x.jsonl", truth("b", "0"), truth("x", "1", inferenceId="c"))
    write(truths, "2026/01/03/00/y.jsonl", line("d"), '{"groundTruthData": {"data": "1"}}')
    later = read_labels(truths, faults)
    merged = {one.capture.ids[-1]: label for one, label in later.of(captures(requests, faults))}
    assert {name: label.data for name, label in merged.items() if label} == {
        "a": "0",
        "b": "0",
        "c": "1",
    }
    assert (later.unmatched, later.unlabelled, later.repeated) == (1, 1, 1)
    assert [one.rpartition(": ")[2] for one in faults.named] == [
        "has no groundTruthData",
        "Object missing required field `eventMetadata`",
    ]


def test_lines_that_were_merged_before_have_their_label(tmp_path):
    both = json.loads(line("a")) | {"groundTruthData": {"data": "1", "encoding": "CSV"}}
    write(tmp_path, "x.jsonl", json.dumps(both))
    labels = read_labels(write(tmp_path, "t/x.jsonl", truth("a", "0")), Faults())
    ((_, label),) = labels.of(captures(tmp_path / "x.jsonl", Faults()))
    assert label.data == "1"


def test_answers_of_batch_transforms_have_their_ids_in_the_rows(tmp_path):
    write(tmp_path, "a.csv.out", "4,0.7,id-1,2026-01-02T03:04:05Z", "0.7", '"')
    write(
        tmp_path,
        "b.jsonl.out",
        '{"score": 0.2, "SageMakerInferenceId": "id-2", "SageMakerInferenceTime": "x"}',
        '{"score": 0.2}',
        '{"score"',
    )
    faults = Faults()
    first, second = batch_answers(tmp_path, faults)
    assert first.capture.ids == ("id-1",)
    assert first.capture.event_metadata.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert values(first.capture.capture_data.endpoint_output, "1") == ["0.7"]
    assert second.capture.ids == ("id-2",)
    assert values(second.capture.capture_data.endpoint_output, "score") == [0.2]
    assert [one.partition(": ")[2][:20] for one in faults.named] == [
        "row: has 1 cells, to",
        "unexpected end of da",
        "row: has no SageMake",
        "Input data was trunc",
    ]


def test_headers_of_batch_answers_name_the_cells(tmp_path):
    write(
        tmp_path, "a.csv", "x,score,SageMakerInferenceId,SageMakerInferenceTime", "4,0.7,i,t", "1"
    )
    faults = Faults()
    (found,) = batch_answers(tmp_path, faults, has_header=True)
    assert values(found.capture.capture_data.endpoint_output, "score") == ["0.7"]
    assert found.capture.ids == ("i",)
    assert faults.count == 1
