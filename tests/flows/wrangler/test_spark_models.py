"""Saved models of Spark ML: read, written, and hostile ones refused."""

from __future__ import annotations

import base64
import io
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.flows.wrangler import spark_models
from clary.flows.wrangler.spark_models import SparkModel
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded

NUMBERS = st.lists(st.floats(allow_nan=False), max_size=5)
TEXTS = st.lists(st.text(), max_size=9)


def packed(files: dict[str, bytes]) -> str:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return base64.b85encode(made.getvalue()).decode()


def saved(table: pa.Table, **metadata) -> str:
    """Lay a model out as Spark does, sums of its files included."""
    data = io.BytesIO()
    pq.write_table(table, data, compression="snappy")
    about = {"class": "org.apache.spark.ml.feature.StandardScalerModel", **metadata}
    return packed(
        {
            "metadata/part-00000": json.dumps(about).encode() + b"\n",
            "metadata/.part-00000.crc": b"crc\0\0\0\2\0",
            "metadata/_SUCCESS": b"",
            "data/part-00000-5c0c80f4-c000.snappy.parquet": data.getvalue(),
            "data/.part-00000-5c0c80f4-c000.snappy.parquet.crc": b"crc\0\0\0\2\0",
        }
    )


@settings(deadline=None, max_examples=40)
@given(st.lists(TEXTS, max_size=3), st.booleans())
def test_labels_come_back(labels, keeps):
    model = SparkModel("StringIndexerModel", {"labelsArray": labels}, {"keeps": keeps})
    assert spark_models.read(spark_models.write(model)) == model
    assert spark_models.write(model) == spark_models.write(model)


@settings(deadline=None, max_examples=40)
@given(NUMBERS, NUMBERS)
def test_vectors_come_back(deviations, means):
    model = SparkModel("StandardScalerModel", {"std": deviations, "mean": means})
    assert spark_models.read(spark_models.write(model)) == model


def test_sparse_vectors_are_read_and_parameters_go_before_defaults():
    vector = pa.StructArray.from_arrays(
        [
            pa.array([0], pa.int8()),
            pa.array([4], pa.int32()),
            pa.array([[1, 3]], pa.list_(pa.int32())),
            pa.array([[2.5, 7.0]], pa.list_(pa.float64())),
        ],
        names=["type", "size", "indices", "values"],
    )
    text = saved(
        pa.table({"std": vector}),
        defaultParamMap={"withMean": False, "withStd": True},
        paramMap={"withMean": True},
    )
    model = spark_models.read(text)
    assert model.data == {"std": [0.0, 2.5, 0.0, 7.0]}
    assert model.parameters == {"withMean": True, "withStd": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not base85 \x00", "base85"),
        (base64.b85encode(b"no zip").decode(), "ZIP"),
        (packed({"other": b""}), "metadata/part-00000"),
        (packed({"metadata/part-00000": b"[" * 9000}), "JSON"),
        (packed({"metadata/part-00000": b'{"class": 1}'}), "no class"),
        (packed({"metadata/part-00000": b'{"class": "a.B"}'}), "0 files of Parquet"),
        (
            packed({"metadata/part-00000": b'{"class": "B"}', "data/part-0.parquet": b"PAR1"}),
            "Parquet",
        ),
        (saved(pa.table({"std": [1.0, 2.0]})), "2 rows"),
    ],
)
def test_what_is_no_model_is_refused(text, message):
    with pytest.raises(InvalidInput, match=message):
        spark_models.read(text)


def test_bombs_are_refused_before_they_unfold():
    with pytest.raises(LimitExceeded, match="bytes"):
        spark_models.read(packed({"metadata/part-00000": bytes(spark_models.LARGEST + 1)}))
    with pytest.raises(LimitExceeded, match="64 files"):
        spark_models.read(packed({f"{one}": b"" for one in range(65)}))
    many = pa.table({"labelsArray": [[["x"] * (spark_models.MOST_VALUES + 1)]]})
    with pytest.raises(LimitExceeded, match="values"):
        spark_models.read(saved(many))
    with pytest.raises(LimitExceeded, match="characters"):
        spark_models.read("0" * (spark_models.LARGEST + 1))


def test_paths_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClaryError):
        spark_models.read(packed({"../../evil": b"1", "/evil": b"2"}))
    assert list(tmp_path.iterdir()) == []
