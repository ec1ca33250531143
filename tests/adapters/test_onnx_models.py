"""Compiled models beside the container's own program: the same answers, byte for byte."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import xgboost
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clary.adapters.onnx_answers import OnnxModel
from clary.adapters.onnx_models import OnnxModels
from clary.endpoints.invocations import Refused
from clary.endpoints.trees import Sample, read
from clary.jobs.launch import CONTAINERS
from clary.kernel.errors import InvalidInput, NotFound, NotSupported

sys.path.append(str(CONTAINERS))
import serving
import xgboost_export
import xgboost_serving

KEY = "0" * 64
OBJECTIVES = {
    "reg:squarederror": lambda sums: sums,
    "reg:squaredlogerror": np.abs,
    "reg:pseudohubererror": lambda sums: sums,
    "reg:absoluteerror": lambda sums: sums,
    "reg:logistic": lambda sums: 1 / (1 + np.exp(-sums)),
    "binary:logistic": lambda sums: sums > 0,
    "binary:logitraw": lambda sums: sums > 0,
    "binary:hinge": lambda sums: sums > 0,
    "count:poisson": lambda sums: np.abs(sums).round(),
    "reg:gamma": lambda sums: np.abs(sums) + 0.1,
    "reg:tweedie": np.abs,
    "survival:cox": lambda sums: np.abs(sums) + 0.1,
    "rank:pairwise": lambda sums: sums > 0,
    "rank:ndcg": lambda sums: sums > 0,
    "multi:softprob": lambda sums: np.digitize(sums, [-1, 1]),
    "multi:softmax": lambda sums: np.digitize(sums, [-1, 1]),
    "reg:quantileerror": lambda sums: sums,
}
MORE = {
    "multi:softprob": {"num_class": 3},
    "multi:softmax": {"num_class": 3},
    "reg:quantileerror": {"quantile_alpha": [0.1, 0.5, 0.9]},
}


def trained(objective, features=3, rounds=5, seed=0, **parameters):
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(200, features)).astype(np.float32)
    rows[draw.random(rows.shape) < 0.15] = np.nan
    label = OBJECTIVES[objective](np.nan_to_num(rows).sum(axis=1))
    matrix = xgboost.DMatrix(rows, label=np.asarray(label, float))
    if objective.startswith("rank"):
        matrix.set_group([50] * 4)
    given = {"objective": objective, "nthread": 1, "seed": seed, **MORE.get(objective, {})}
    return xgboost.train(given | parameters, matrix, rounds)


def compiled(folder, *boosters, rows=None):
    """Compile boosters, verified by the rows that the export program makes, and load them."""
    documents = [bytes(booster.save_raw("json")) for booster in boosters]
    forests = [tree for one in documents for tree in xgboost_export._trees(json.loads(one))]
    if rows is None:
        rows = xgboost_export.made_rows(forests, boosters[0].num_features(), 600)
    native = xgboost_serving.mean_prediction(boosters, xgboost.DMatrix(rows, nthread=1))
    outputs = 1 if native.ndim == 1 else native.shape[1]
    sample = Sample(rows.tobytes(), native.astype("<f4").tobytes(), outputs)
    models = OnnxModels(folder)
    evidence = models.compile(KEY, [read(one) for one in documents], sample)
    model = models.load(KEY)
    assert isinstance(model, OnnxModel)
    return model, evidence, native


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_answers_as_natively(tmp_path, objective, booster):
    more = {"rate_drop": 0.3, "skip_drop": 0.2} if booster == "dart" else {}
    _, evidence, native = compiled(tmp_path, trained(objective, booster=booster, **more))
    assert evidence.rows == 600
    assert evidence.relative < 1e-6
    assert evidence.outputs == (1 if native.ndim == 1 else 3)


PARAMETERS = st.fixed_dictionaries(
    {
        "max_depth": st.integers(1, 7),
        "eta": st.floats(0.01, 3),
        "subsample": st.floats(0.2, 1),
        "gamma": st.sampled_from([0, 0.1, 1.5]),
        "num_parallel_tree": st.integers(1, 3),
        "base_score": st.none() | st.floats(0.05, 0.95),
        "tree_method": st.sampled_from(["hist", "exact", "approx"]),
        "grow_policy": st.sampled_from(["depthwise", "lossguide"]),
    }
)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(OBJECTIVES)),
    PARAMETERS,
    st.integers(1, 6),
    st.lists(st.integers(0, 9), min_size=1, max_size=3),
)
def test_random_boosters_answer_as_natively(tmp_path_factory, objective, given_, features, seeds):
    parameters = {name: value for name, value in given_.items() if value is not None}
    if parameters["tree_method"] == "exact":
        parameters["grow_policy"] = "depthwise"
    if objective.endswith("quantileerror") or objective == "reg:absoluteerror":
        parameters["tree_method"] = "hist"
    boosters = [trained(objective, features, 4, seed, **parameters) for seed in seeds]
    model, evidence, native = compiled(tmp_path_factory.mktemp("models"), *boosters)
    assert evidence.relative < 1e-5
    one_by_one = [model.predict(np.zeros((1, features), np.float32))[0] for _ in "ab"]
    assert np.array_equal(*one_by_one)
    if len(seeds) == 1 and native.ndim == 1 and objective.startswith(("reg:sq", "rank")):
        assert evidence.difference == 0


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """Give the same models twice: compiled, and as the container's program has them."""
    made = {}
    for objective in ("reg:squarederror", "multi:softprob"):
        booster = trained(objective, features=2, max_depth=3)
        model, _, _ = compiled(tmp_path_factory.mktemp("models"), booster)
        made[objective] = model, [booster]
    return made


TYPES = ["text/csv", "", "csv", "TEXT/CSV; header=absent", "text/libsvm", "application/json"]
TYPES += ["text/csv; charset=utf-8", "application/x-parquet", "text/x-libsvm"]
ACCEPTS = ["", "text/csv", "*/*", "csv", "application/json", "application/jsonlines", "image/png"]
ACCEPTS += ["Text/CSV; q=1"]
NUMBER = st.one_of(
    st.floats(width=32).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["", " ", "nan", "NaN", "-nan", "inf", "-Infinity", "1e400", "3.4028236e38"]),
    st.sampled_from(["1_0", "0x1", "+1", "1.", ".5", "1e", '"2"', "'2'", "\u0661", "1 2", "na"]),
    st.sampled_from(["1e-400", "00", "-0", "3.40282356e38", "1E5", "e", "E", "-", "a"]),
    st.integers().map(str),
)
LINE_ENDS = ["\n", "\r\n", "\r", "\n\n", "\n \n", "\x0b", "\x1c", "\u2028", "\x85", "\n\t\n", " \n"]
DELIMITED = st.builds(
    lambda rows, delimiter, end, last: end.join(delimiter.join(row) for row in rows) + last,
    st.lists(st.lists(NUMBER, min_size=1, max_size=3), max_size=4)
    | st.lists(st.lists(NUMBER, min_size=2, max_size=2), min_size=1, max_size=4),
    st.sampled_from([",", ",", ",", ";", "\t", "|", ", ", " "]),
    st.sampled_from(LINE_ENDS),
    st.sampled_from(["", "\n", "\r\n", "\n\n", " "]),
)
LIBSVM = st.builds(
    "\n".join,
    st.lists(
        st.builds(
            lambda label, pairs: " ".join([label, *pairs]),
            NUMBER,
            st.lists(
                st.builds(lambda column, value: f"{column}:{value}", st.integers(-1, 3), NUMBER)
                | st.sampled_from(["qid:1", "0:", ":", "0:1:2", "99999999999:1", "#", "1:5 1:6"]),
                max_size=3,
            ),
        ),
        max_size=3,
    ),
)
BODIES = st.one_of(
    DELIMITED.map(str.encode),
    LIBSVM.map(str.encode),
    st.text(alphabet='0123456789.,;\t| \n\r"eE+-naif_:#\x0b\x1c\u2028é\0', max_size=30).map(
        str.encode
    ),
    st.binary(max_size=20),
)


def outcome(answer, *asked):
    """Say what came of a request: status, and the answer or the message."""
    try:
        found = answer(*asked)
    except (Refused, serving.Refused) as refused:
        if refused.status == 204:
            return 204, b"", ""
        return refused.status, str(refused)
    if isinstance(found, tuple):
        return 200, *found
    return found.status, found.body, found.content_type


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(["reg:squarederror", "multi:softprob"]),
    BODIES,
    st.sampled_from(TYPES),
    st.sampled_from(ACCEPTS),
)
@example("reg:squarederror", b"1,2", "text/csv", "")
@example("reg:squarederror", b",", "text/csv", "")
@example("reg:squarederror", b"1\n2", "text/csv", "")
@example("reg:squarederror", b"1,2\n3", "text/csv", "")
@example("reg:squarederror", b"1\n2,3", "text/csv", "")
@example("reg:squarederror", b"1,\x1c2", "text/csv", "")
@example("reg:squarederror", b"1e39,-1e39", "text/csv", "")
@example("reg:squarederror", b"nan,1e39", "text/csv", "")
@example("reg:squarederror", b" ", "text/csv", "image/png")
@example("reg:squarederror", b"0 1:2 1:3", "text/libsvm", "")
@example("reg:squarederror", b"# nothing", "text/libsvm", "application/json")
@example("multi:softprob", b"# nothing", "text/libsvm", "application/json")
def test_compiled_and_native_answer_the_same(beside, objective, body, content_type, accept):
    model, boosters = beside[objective]
    native = outcome(lambda *x: xgboost_serving.answer(boosters, *x), body, content_type, accept)
    found = outcome(model.answer, body, content_type, accept)
    if found[0] == 200 and objective == "multi:softprob":
        assert (found[0], found[2]) == (native[0], native[2])
        assert numbers(found[1]) == pytest.approx(numbers(native[1]), rel=1e-6)
    else:
        assert found == native


def numbers(text):
    for word in (b"predictions", b"score", b'"', b"{", b"}", b"[", b"]", b":", b","):
        text = text.replace(word, b" ")
    return [float(one) for one in text.split()]


def test_large_requests_are_answered_like_small_ones(beside):
    model, boosters = beside["reg:squarederror"]
    draw = np.random.default_rng(1)
    lines = [f"{a:.4f},{b:.4f}" for a, b in draw.normal(size=(9000, 2))]
    lines[5000] = ",7"
    body = "\n".join(lines).encode()
    assert len(body) > 1 << 16
    assert outcome(model.answer, body, "text/csv", "") == outcome(
        lambda *x: xgboost_serving.answer(boosters, *x), body, "text/csv", ""
    )
    lines[8000] = "1,2,3"
    with pytest.raises(Refused, match="row 8001 has 3 columns, the first has 2"):
        model.answer("\n".join(lines).encode(), "text/csv")
    sparse = "\n".join(f"0 {n % 2}:{n / 100}" for n in range(9000)).encode()
    assert outcome(model.answer, sparse, "text/libsvm", "") == outcome(
        lambda *x: xgboost_serving.answer(boosters, *x), sparse, "text/libsvm", ""
    )


def test_what_is_too_wide_or_answers_too_much_is_refused(beside):
    model, boosters = beside["reg:squarederror"]
    wide = b"," * 100_000
    refusal = 400, "the request has 100001 features a row, the model 2"
    assert outcome(model.answer, wide, "text/csv", "") == refusal
    assert outcome(model.answer, wide, "text/csv", "") == outcome(
        lambda *x: xgboost_serving.answer(boosters, *x), wide, "text/csv", ""
    )
    with pytest.raises(Refused, match="bytes, more than 6 MiB") as refused:
        model.answer(b"1\n" * 400_000, "text/libsvm")
    assert refused.value.status == 500


def test_a_model_that_answers_otherwise_is_not_kept(tmp_path):
    booster = trained("reg:squarederror")
    ensemble = read(bytes(booster.save_raw("json")))
    rows = np.array([[0, 0, 0], [1, 2, 3]], "<f4")
    native = booster.predict(xgboost.DMatrix(rows)) + np.array([0, 1e-3], "<f4")
    models = OnnxModels(tmp_path / "models")
    sample = Sample(rows.tobytes(), native.tobytes(), 1)
    with pytest.raises(NotSupported, match=r"in row 1: \[.*\] instead of \[.*\] for 1.0,2.0,3.0"):
        models.compile(KEY, [ensemble], sample)
    for broken in (Sample(b"", b"", 1), Sample(sample.rows, b"", 1), Sample(*sample_of(sample), 2)):
        with pytest.raises(InvalidInput, match="rows of 3 numbers"):
            models.compile(KEY, [ensemble], broken)
    other = read(bytes(trained("reg:squarederror", features=2).save_raw("json")))
    with pytest.raises(NotSupported, match="2 boosters, which differ in features or outputs"):
        models.compile(KEY, [ensemble, other], sample)
    for key in (KEY, "../../etc/passwd"):
        with pytest.raises(NotFound):
            models.load(key)
    assert not (tmp_path / "models").exists()


def sample_of(sample):
    return sample.rows, sample.answers


def test_the_least_recently_loaded_model_goes_first(tmp_path):
    booster = trained("reg:squarederror")
    compiled(tmp_path, booster)
    content = (tmp_path / f"{KEY}.onnx").read_bytes()
    for name in "12":
        (tmp_path / f"{name * 64}.onnx").write_bytes(content)
    models = OnnxModels(tmp_path, most_loaded=2)
    one, two = models.load("0" * 64), models.load("1" * 64)
    assert models.load("0" * 64) is one
    models.load("2" * 64)
    assert models.load("0" * 64) is one
    assert models.load("1" * 64) is not two
