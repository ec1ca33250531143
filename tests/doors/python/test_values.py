"""What a step may return, and that it comes back as it was."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from clary.doors.python import values
from clary.doors.python.declared import File, declared, returned

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]}, index=[5, 6, 7])


class Split(NamedTuple):
    train: pd.DataFrame
    size: int


class Report(TypedDict):
    mse: float


def through(value, kind, folder):
    """Store a value and load it as the next step would."""
    found = declared(kind)
    values.save(value, found.form, folder)
    return values.load(folder, {"form": found.form, "as": found.library})


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (int, "scalar"),
        (float | None, "scalar"),
        (Literal["a", "b"], "scalar"),
        (dict, "json"),
        (dict[str, float], "json"),
        (list[int] | None, "json"),
        (Report, "json"),
        (tuple[int, ...], "json"),
        (pd.DataFrame, "frame"),
        (pa.Table, "frame"),
        (Path, "file"),
        (File, "file"),
        (None, "none"),
        (Any, "anything"),
        (int | dict, "anything"),
        (xgboost.Booster, "model"),
        (np.ndarray, "array"),
        (set[int], "anything"),
        (dict[int, float], "anything"),
        (dict[str, pd.DataFrame], "anything"),
        (list[xgboost.Booster | None], "anything"),
        (list[dict[str, int | None]], "json"),
    ],
)
def test_a_declared_type_has_a_form(kind, form):
    assert declared(kind).form == form


def test_a_tuple_of_known_length_is_several_results():
    assert [name for name, _ in returned(tuple[int, pd.DataFrame]).results] == [
        "result-1",
        "result-2",
    ]
    split = returned(Split)
    assert [name for name, _ in split.results] == ["train", "size"]
    assert split.make([1, 2]) == Split(1, 2)
    assert not returned(tuple[int, ...]).several
    assert returned(None).results == ()


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        (1, int, True),
        (True, int, False),
        (1, float, True),
        (np.float32(1), float, True),
        (np.int64(1), int, True),
        ("1", int, False),
        (None, int | None, True),
        ("a", Literal["a"], True),
        ("c", Literal["a"], False),
        ({"a": 1}, dict[str, float], True),
        ({"a": "1"}, dict[str, float], False),
        ([1, "a"], list[int | str], True),
        (FRAME, pd.DataFrame, True),
        ({"a": 1}, pd.DataFrame, False),
        ("x.csv", Path, True),
        (LinearRegression(), LinearRegression, True),
        (LinearRegression(), xgboost.Booster, False),
        (object(), Any, True),
    ],
)
def test_a_value_is_compared_with_its_type(value, kind, fits):
    assert values.matches(value, declared(kind).tree) is fits


@given(value=JSON)
def test_json_comes_back(value, tmp_path_factory):
    folder = tmp_path_factory.mktemp("value")
    kind = dict if isinstance(value, dict) else list if isinstance(value, list) else Any
    assert through(value, kind, folder) == value


@given(value=JSON)
def test_what_fits_json_is_what_python_says(value):
    def is_numbers(found):
        return isinstance(found, dict) and all(
            isinstance(x, int | float) and not isinstance(x, bool) for x in found.values()
        )

    assert values.matches(value, declared(dict[str, float]).tree) == is_numbers(value)


def test_numpy_numbers_are_plain_json(tmp_path):
    found = through({"mse": np.float32(0.5), "rows": np.int64(3)}, dict, tmp_path)
    assert found == {"mse": 0.5, "rows": 3}


@pytest.mark.parametrize(
    "value",
    [
        {"value": 1},
        {"model": LinearRegression().set_params(positive=True), "auc": 0.5},
        {1: {2: {3}}},
        [{"frame": FRAME}],
        [dt.date(2026, 1, 2), (3, b"4"), {"none": None}],
    ],
)
@pytest.mark.parametrize("is_declared", [True, False])
def test_lists_and_dicts_come_back_with_all_that_is_in_them(value, is_declared, tmp_path):
    again = through(value, type(value) if is_declared else Any, tmp_path)
    assert repr(again) == repr(value)


def test_members_are_found_in_what_is_pickled_too(tmp_path):
    values.save({"best": {"model": LinearRegression(), "auc": 0.5}}, "json", tmp_path)
    assert values.load(tmp_path, {"form": "json", "path": ["best", "auc"]}) == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_metrics_may_be_no_numbers(value, tmp_path):
    assert repr(through(value, float, tmp_path / "one")) == repr(value)
    assert repr(through({"mse": [value]}, dict, tmp_path / "two")) == repr({"mse": [value]})


@pytest.mark.parametrize(
    "array",
    [np.arange(6).reshape(2, 3), np.array(2.5), np.array(["a", None]), np.array(["2026"], "M8[D]")],
)
@pytest.mark.parametrize("kind", [np.ndarray, NDArray, Any])
def test_arrays_come_back_with_their_types(array, kind, tmp_path):
    again = through(array, kind, tmp_path)
    assert again.dtype == array.dtype
    assert again.tolist() == array.tolist()
    assert (tmp_path / values.ARRAY).exists() is not array.dtype.hasobject


@pytest.mark.parametrize("value", [[Path("a.csv")], {"report": Path("a.html")}])
def test_a_path_inside_of_others_is_refused(value, tmp_path):
    with pytest.raises(values.StepError, match="only a path alone is a file"):
        through(value, type(value), tmp_path)


def test_what_holds_itself_is_refused(tmp_path):
    value = []
    value.append(value)
    with pytest.raises(values.StepError, match="in itself"):
        through(value, list, tmp_path)


def test_frames_come_back_whole(tmp_path):
    pd.testing.assert_frame_equal(through(FRAME, pd.DataFrame, tmp_path), FRAME)
    table = pa.table({"a": [1, 2]})
    assert through(table, pa.Table, tmp_path / "arrow") == table


def test_a_frame_is_read_by_the_library_that_is_wanted(tmp_path):
    values.save(FRAME, "frame", tmp_path)
    found = values.load(tmp_path, {"form": "frame", "as": "pyarrow"})
    assert found.column("a").to_pylist() == [1, 2, 3]


def test_equal_values_are_equal_bytes(tmp_path):
    model = LinearRegression().fit([[1], [2]], [1, 2])
    for folder, value in (("a", FRAME), ("b", FRAME), ("c", model), ("d", model)):
        values.save(value, values.form_of(value), tmp_path / folder)
    contents = [next((tmp_path / name).iterdir()).read_bytes() for name in "abcd"]
    assert contents[0] == contents[1]
    assert contents[2] == contents[3]


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.csv", "x,y\n1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("a.tsv", "x\ty\n1\t2\n", [[1, 2]]),
        ("a.jsonl", '{"x": 1, "y": 2}\n', [[1, 2]]),
    ],
)
@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_a_table_is_read_by_its_suffix(name, text, rows, library, tmp_path):
    (tmp_path / name).write_text(text)
    frame = values.load(tmp_path, {"form": "file", "as": library})
    frame = frame.to_pandas() if library == "pyarrow" else frame
    assert frame.to_numpy().tolist() == rows


def test_a_folder_of_tables_is_one_frame(tmp_path):
    for number in (1, 2):
        (tmp_path / f"{number}.csv").write_text(f"x\n{number}\n")
    assert values.load(tmp_path, {"form": "file", "as": "pandas"})["x"].tolist() == [1, 2]


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(values.StepError, match=r"notes.txt is read as a table.*legal: .csv"):
        values.load(tmp_path, {"form": "file", "as": "pandas"})


def test_files_and_folders_keep_their_names(tmp_path):
    made = tmp_path / "plots"
    made.mkdir()
    (made / "a.png").write_text("png")
    one = through(made / "a.png", Path, tmp_path / "one")
    whole = through(str(made), Path, tmp_path / "two")
    assert (one.name, whole.name) == ("a.png", "plots")
    assert (whole / "a.png").read_text() == "png"
    with pytest.raises(values.StepError, match="there is no such file"):
        through(tmp_path / "gone", Path, tmp_path / "three")


def test_a_booster_is_stored_in_its_own_format(tmp_path):
    rows = xgboost.DMatrix(np.array([[1.0], [2.0]]), np.array([1.0, 2.0]))
    booster = xgboost.train({"max_depth": 1}, rows, 2)
    again = through(booster, xgboost.Booster, tmp_path)
    assert again.predict(rows).tolist() == booster.predict(rows).tolist()
    assert values.is_booster(tmp_path / values.MODEL)
    values.save(LinearRegression(), "model", tmp_path)
    assert not values.is_booster(tmp_path / values.MODEL)


def test_what_cannot_be_pickled_is_refused(tmp_path):
    with pytest.raises(values.StepError, match=r"generator.* cannot be pickled"):
        through((x for x in ()), object, tmp_path)


@pytest.mark.parametrize("value", [1, None, "x", [1], {"a": 1}, FRAME, LinearRegression()])
def test_of_an_undeclared_value_the_form_is_found_again(value, tmp_path):
    values.save(value, "anything", tmp_path)
    again = values.load(tmp_path, {"form": "anything"})
    assert type(again) is type(value)
    if isinstance(value, int | str | list | dict | None):
        assert again == value
