"""Models of Spark ML as their ``save`` leaves them: read without Spark, and written.

A ``.flow`` file holds each as text: base85 of a ZIP of ``metadata/part-00000`` (a line of JSON)
and ``data/part-….snappy.parquet`` (a row of what was learned).
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 16 << 20
"""Most bytes of a model: as text, of its files, and of a column in memory."""
MOST_FILES = 64
MOST_VALUES = 1 << 20
_CLASSES = "org.apache.spark.ml.feature."
_METADATA = "metadata/part-00000"
_UNIX_EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SparkModel:
    """A fitted model of Spark ML.

    Parameters
    ----------
    kind
        The name of its class without its package: ``StringIndexerModel``.
    data
        What it has learned, by the name of the column of its only row; vectors are lists.
    parameters
        Its parameters, the defaults of those that are not set among them.
    """

    kind: str
    data: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read(text: str) -> SparkModel:
    """Read a model from its text; nothing is unpacked to disk, no code of it runs.

    Raises
    ------
    InvalidInput
        It is no base85, no ZIP, or holds no model.
    LimitExceeded
        It is larger than 16 MiB, as text or unpacked.
    """
    files = _files(text)
    first = files.get(_METADATA, b"").partition(b"\n")[0]
    metadata = from_json(first, field=_METADATA)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("class"), str):
        raise InvalidInput(_METADATA, "names no class of Spark ML")
    parameters: dict[str, Any] = {}
    for one in ("defaultParamMap", "paramMap"):
        found = metadata.get(one, {})
        parameters |= found if isinstance(found, dict) else {}
    tables = [
        one
        for path, one in files.items()
        if path.startswith("data/part-") and path.endswith(".parquet")
    ]
    kind = metadata["class"].rpartition(".")[2]
    if len(tables) != 1:
        raise InvalidInput("data", f"the {kind} has {len(tables)} files of Parquet", legal="1")
    return SparkModel(kind, _row(tables[0]), parameters)


def _files(text: str) -> dict[str, bytes]:
    if len(text) > LARGEST:
        raise LimitExceeded(f"a trained model has at most {LARGEST} characters")
    try:
        archive = zipfile.ZipFile(io.BytesIO(base64.b85decode(text)))
        members = [one for one in archive.infolist() if not one.is_dir()]
        if len(members) > MOST_FILES:
            raise LimitExceeded(f"a trained model has at most {MOST_FILES} files")
        return _contents(archive, members)
    except (ValueError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError) as error:
        raise InvalidInput("", f"is no base85 of a ZIP: {error}") from None


def _contents(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> dict[str, bytes]:
    found, left = {}, LARGEST
    for one in members:
        with archive.open(one) as file:
            found[one.filename] = file.read(left + 1)  # its header only claims a size
        left -= len(found[one.filename])
        if left < 0:
            raise LimitExceeded(f"a trained model has at most {LARGEST} bytes")
    return found


def _row(data: bytes) -> dict[str, Any]:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        known = file.metadata
        groups = [known.row_group(one) for one in range(known.num_row_groups)]
        chunks = [one.column(place) for one in groups for place in range(one.num_columns)]
        if known.num_rows != 1:
            raise InvalidInput("data", f"has {known.num_rows} rows", legal="1")
        if any(
            one.num_values > MOST_VALUES or one.total_uncompressed_size > LARGEST for one in chunks
        ):
            raise LimitExceeded(f"a trained model has at most {MOST_VALUES} values")
        [row] = file.read().to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput("data", f"is no Parquet: {error}") from None
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """Make a list of a vector: Spark keeps it sparse or dense."""
    if not isinstance(value, dict) or not {"type", "indices", "values"} <= set(value):
        return value
    if value["type"] == 1:
        return value["values"]
    size = value.get("size") or 0
    if not 0 <= size <= MOST_VALUES:
        raise LimitExceeded(f"a vector has at most {MOST_VALUES} values; this {size}")
    found = [0.0] * size
    for place, one in zip(value["indices"] or (), value["values"] or (), strict=True):
        if not 0 <= place < size:
            raise InvalidInput("data", f"a vector of {size} values has one at {place}")
        found[place] = one
    return found


_VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        pa.field("size", pa.int32()),
        pa.field("indices", pa.list_(pa.int32())),
        pa.field("values", pa.list_(pa.float64())),
    ]
)
_TYPES: dict[str, tuple[pa.DataType, Any]] = {
    "labelsArray": (
        pa.list_(pa.list_(pa.string())),
        {
            "type": "array",
            "elementType": {"type": "array", "elementType": "string", "containsNull": True},
            "containsNull": True,
        },
    ),
    "categorySizes": (
        pa.list_(pa.int32()),
        {"type": "array", "elementType": "integer", "containsNull": False},
    ),
    "vocabulary": (
        pa.list_(pa.string()),
        {"type": "array", "elementType": "string", "containsNull": True},
    ),
}
_VECTOR_UDT = {
    "type": "udt",
    "class": "org.apache.spark.ml.linalg.VectorUDT",
    "pyClass": "pyspark.ml.linalg.VectorUDT",
    "sqlType": {
        "type": "struct",
        "fields": [
            {"name": name, "type": kind, "nullable": name != "type", "metadata": {}}
            for name, kind in (
                ("type", "byte"),
                ("size", "integer"),
                ("indices", {"type": "array", "elementType": "integer", "containsNull": False}),
                ("values", {"type": "array", "elementType": "double", "containsNull": False}),
            )
        ],
    },
}


def write(model: SparkModel) -> str:
    """Write a model as Spark would save it; the same model gives the same text."""
    schema, row, fields = [], {}, []
    for name, value in model.data.items():
        kind, told = _TYPES.get(name, (_VECTOR, _VECTOR_UDT))
        is_vector = kind is _VECTOR
        row[name] = [{"type": 1, "values": value} if is_vector else value]
        schema.append(pa.field(name, kind))
        fields.append({"name": name, "type": told, "nullable": True, "metadata": {}})
    notes = {
        "org.apache.spark.version": "3.0.0",
        "org.apache.spark.sql.parquet.row.metadata": json.dumps(
            {"type": "struct", "fields": fields}
        ),
    }
    table = io.BytesIO()
    columns = pa.table(row, schema=pa.schema(schema, metadata=notes))
    pq.write_table(columns, table, compression="snappy", store_schema=False)
    about = {
        "class": _CLASSES + model.kind,
        "timestamp": 0,
        "sparkVersion": "3.0.0",
        "uid": f"{model.kind.removesuffix('Model')}_000000000000",
        "paramMap": dict(model.parameters),
        "defaultParamMap": {},
    }
    files = {
        _METADATA: json.dumps(about).encode() + b"\n",
        "metadata/_SUCCESS": b"",
        "data/part-00000-c000.snappy.parquet": table.getvalue(),
        "data/_SUCCESS": b"",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _UNIX_EPOCH_OF_ZIP), content)
    return base64.b85encode(packed.getvalue()).decode()
