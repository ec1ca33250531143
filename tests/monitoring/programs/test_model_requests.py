"""Rows as a model's requests and its answers as rows, in each form that the settings have."""

from __future__ import annotations

import json

import pytest

from clary.kernel.errors import InvalidInput
from clary.monitoring.programs.clarify_config import Predictor
from clary.monitoring.programs.model_requests import Exchange
from clary.monitoring.programs.predictor import prediction

ROWS = [[1, "a,b"], [None, 'say "x"']]


def body(**settings):
    return Exchange(Predictor(**settings), ["A", "B"]).body(ROWS)


def test_csv():
    assert body() == b'1,"a,b"\n,"say ""x"""\n'


def test_lines():
    content = '{"instances": $features}'
    found = body(content_type="application/jsonlines", content_template=content)
    assert [json.loads(line) for line in found.splitlines()] == [
        {"instances": [1, "a,b"]},
        {"instances": [None, 'say "x"']},
    ]


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ("$features", ROWS),
        ("$features_kvp", [{"A": 1, "B": "a,b"}, {"A": None, "B": 'say "x"'}]),
        ('{"A": "${A}", "b": ["${B}"]}', [{"A": 1, "b": ["a,b"]}, {"A": None, "b": ['say "x"']}]),
        ('{"n": $feature_names}', [{"n": ["A", "B"]}] * 2),
    ],
)
def test_documents(record, wanted):
    settings = {"content_type": "application/json", "record_template": record}
    many = Exchange(Predictor(content_template='{"all": $records}', **settings), ["A", "B"])
    assert json.loads(many.body(ROWS)) == {"all": wanted}
    one = Exchange(Predictor(content_template="$record", **settings), ["A", "B"])
    assert not one.takes_many
    assert json.loads(one.body(ROWS[:1])) == wanted[0]


@pytest.mark.parametrize(
    ("accept", "answer", "wanted"),
    [
        ("text/csv", b"0.5\n1\n", [[0.5], [1]]),
        ("text/csv", b"0.5,1", [[0.5], [1]]),
        ("text/csv", b"yes,0.9\nno,0.2\n", [["yes", 0.9], ["no", 0.2]]),
        ("application/jsonlines", b'{"s": 1}\n\n{"s": 2}\n', [{"s": 1}, {"s": 2}]),
        ("application/json", b'{"predictions": [{"score": 1}, {"score": 2}]}', None),
        ("application/json", b'{"labels": ["a", "b"], "scores": [1, 2]}', None),
    ],
)
def test_answers(accept, answer, wanted):
    found = Exchange(Predictor(accept_type=accept), ["A"]).answers(answer, 2)
    if wanted is None:
        columns = [{"labels": "a", "scores": 1}, {"labels": "b", "scores": 2}]
        wanted = columns if b"labels" in answer else [{"score": 1}, {"score": 2}]
    assert found == wanted


@pytest.mark.parametrize(
    ("answer", "settings", "wanted"),
    [
        ([0.7], {}, 0.7),
        ([0.7], {"label_headers": "yes"}, "yes"),
        ([0.2], {"label_headers": ["yes"]}, "not yes"),
        ([0.2, 0.7, 0.1], {"label_headers": ["cat", "dog", "fish"]}, "dog"),
        (["x", 0.9], {"label": 0}, "x"),
        ({"out": {"score": 0.4}}, {"label": "out.score"}, 0.4),
        ({"l": ["a", "b"], "p": [0.1, 0.9]}, {"label": "l", "probability": "p"}, "b"),
        ({"l": "a", "p": [0.1, 0.9]}, {"label": "l", "probability": "p"}, "a"),
    ],
)
def test_predictions(answer, settings, wanted):
    assert prediction(answer, Predictor(**settings), 0.5) == wanted


@pytest.mark.parametrize(
    ("answer", "settings", "message"),
    [
        ([0.1, 0.9], {}, "predictor.label_headers: names 0 labels"),
        ({"a": 1}, {"label": "b"}, "predictor.label: 'b' finds nothing"),
        ([1], {"label": 3}, "predictor.label: an answer has 1 values"),
        ({"a": 1, "b": 2}, {}, "which member of"),
    ],
)
def test_answers_that_say_nothing(answer, settings, message):
    with pytest.raises(InvalidInput, match=message):
        prediction(answer, Predictor(**settings), 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"content_type": "image/png"}, "predictor.content_type: 'image/png' is not offered"),
        ({"content_type": "application/jsonlines"}, "has no \\$features"),
        ({"content_type": "application/json"}, "neither \\$records nor \\$record"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(InvalidInput, match=message):
        Exchange(Predictor(**settings), ["A"])


def test_answers_too_few():
    with pytest.raises(InvalidInput, match="has 1 predictions for 2 rows"):
        Exchange(Predictor(), ["A"]).answers(b"1\n", 2)
