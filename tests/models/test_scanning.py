"""What scanning reports is what loading would import."""

from __future__ import annotations

import builtins
import collections
import copyreg
import datetime as dt
import decimal
import fractions
import gzip
import io
import os
import pickle
import struct
import tarfile
import uuid
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.models import opcodes, scanning
from clary.models.scanning import Scan
from clary.models.verdicts import judge

joblib = pytest.importorskip("joblib")


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


def scanned(data, name="model.pkl"):
    scan = Scan()
    scan.look(name, io.BytesIO(data))
    return scan.report


def found(data, name="model.pkl"):
    return {use.what: use.verdict for use in scanned(data, name).uses}


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(max_size=300),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.fractions(),
    st.uuids(),
    st.complex_numbers(allow_nan=False),
    st.sampled_from([len, dict, os.path.join, np.float64, np.ndarray, dt.date, uuid.UUID]),
    st.builds(np.arange, st.integers(0, 5)),
    st.builds(np.array, st.lists(st.text(max_size=3), max_size=3)),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
        st.dictionaries(st.text(max_size=4), inner, max_size=4).map(collections.OrderedDict),
        st.sets(st.integers(), max_size=3),
        st.frozensets(st.text(max_size=3), max_size=3),
        inner.map(lambda one: [one, one]),
        inner.map(lambda one: np.array([one, None], dtype=object)),
    ),
    max_leaves=12,
)


class Recording(pickle._Unpickler):
    """The loader itself, noting what it imports."""

    def __init__(self, file):
        super().__init__(file)
        self.imported = set()

    def find_class(self, module, name):
        made = super().find_class(module, name)
        key = (module, name)
        if self.proto < 3:
            key = opcodes._translated(module, name)
        self.imported.add(key)
        return made


@given(values, st.integers(0, 5), st.booleans())
@settings(max_examples=300, deadline=None)
def test_all_that_is_imported_is_reported(value, protocol, python):
    file = io.BytesIO()
    pickler = pickle._Pickler if python else pickle.Pickler
    pickler(file, protocol).dump(value)
    file.seek(0)
    oracle = Recording(file)
    oracle.load()
    file.seek(0)
    walked = opcodes.walk(file)
    assert not walked.problem
    assert set(walked.globals) == oracle.imported


@given(st.lists(st.builds(np.arange, st.integers(0, 40)), max_size=4), values, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_joblib_files_are_followed_across_their_arrays(arrays, value, compress):
    file = io.BytesIO()
    joblib.dump([arrays, value, Runs()], file, compress=compress)
    report = scanned(file.getvalue(), "model.joblib")
    assert not report.problems
    assert "posix.system" in {use.what for use in report.uses}


@given(st.binary(max_size=400), st.sampled_from(["a.pkl", "a", "a.onnx", "a.npy", "a.tar.gz"]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_answered(data, name):
    for head in (b"", b"\x80\x04", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"\x1f\x8b"):
        assert scanned(head + data, name).verdict in {"clean", "dangerous", "unreadable"}


def test_every_cut_of_a_pickle_is_a_problem_and_still_tells_what_it_imports():
    whole = pickle.dumps([Runs(), "text"], 4)
    for length in range(len(whole)):
        report = scanned(whole[:length])
        assert report.problems
    assert scanned(whole[:-1]).verdict == "dangerous"


STOP = b"."
DISGUISES = {
    "GLOBAL": b"cos\nsystem\n.",
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'true'\no.",
    "STACK_GLOBAL of texts": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "STACK_GLOBAL of escapes": b"\x80\x04V\\u006fs\nS'sys\\x74em'\n\x93.",
    "memo": b"\x80\x04\x8c\x06system\x94\x8c\x02os\x940h\x01h\x00\x93.",
    "memo with gaps": b"\x80\x04\x8c\x02osr\xff\0\0\x000\x8c\x06systemq\x070j\xff\0\0\0h\x07\x93.",
    "duplicate and drop": b"\x80\x04\x8c\x06system\x8c\x02os2\x8c\x01x0(0\x8c\x06system\x93.",
    "two pickles": pickle.dumps(1, 4) + b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "Python 2's name": b"c__builtin__\neval\n.",
    "a name that reaches through": b"\x80\x04\x8c\x07sklearn\x8c\x09os.system\x93.",
    "computed": b"\x80\x04cbuiltins\nstr\n\x8c\x02os\x85R\x8c\x06system\x93.",
    "behind a stop of torch": pickle.dumps(119547037146038801333356, 2) + b"cos\nsystem\n.",
    "not a whole pickle": b"cos\nsystem\n(tR",
}


@pytest.mark.parametrize("how", DISGUISES)
def test_disguises_are_seen_through(how):
    for name in ("model.pkl", "xgboost-model"):
        assert scanned(DISGUISES[how], name).verdict == "dangerous"


def test_an_extension_code_is_unknown():
    copyreg.add_extension("collections", "OrderedDict", 243)
    try:
        data = pickle.dumps(collections.OrderedDict, 2)
    finally:
        copyreg.remove_extension("collections", "OrderedDict", 243)
    assert found(data) == {"(extension registry).243": "unknown"}


def test_a_pickle_hidden_in_what_joblib_takes_for_an_array_is_found():
    file = io.BytesIO()
    joblib.dump(np.frombuffer(b"0cos\nsystem\n.---", dtype="u1"), file)
    data = file.getvalue()
    start = data.index(b"0cos")
    assert data[start - 1] == 255 or data[start - 2 : start]  # padding, as joblib writes it
    hidden = data[: data.rindex(b"b", 0, start) + 1] + b"cos\nsystem\n."
    assert scanned(hidden).verdict == "dangerous"


def test_archives_are_looked_through(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Runs()))
    outer = io.BytesIO()
    with tarfile.open(fileobj=outer, mode="w:gz") as archive:
        member = tarfile.TarInfo("./deep/model.pt")
        member.size = len(inner.getvalue())
        archive.addfile(member, io.BytesIO(inner.getvalue()))
    report = scanned(outer.getvalue(), "model.tar.gz")
    [use] = report.uses
    assert (use.file, use.what) == ("model.tar.gz!deep/model.pt!archive/data.pkl", "posix.system")
    assert scanned(outer.getvalue()[:-30], "model.tar.gz").problems


def test_nesting_and_sizes_are_bounded(monkeypatch):
    data = b"x"
    for _ in range(8):
        data = gzip.compress(data)
    assert "nest deeper" in next(iter(scanned(data, "a.gz").problems.values()))
    monkeypatch.setattr(scanning, "MOST_BYTES", 1 << 20)
    bomb = gzip.compress(bytes(4 << 20))
    assert "larger than" in scanned(bomb, "a.gz").problems["a.gz"]
    monkeypatch.setattr(opcodes, "MOST_OPCODES", 1000)
    assert "opcodes" in scanned(b"\x80\x04" + b"N0" * 1000 + b"N.").problems["model.pkl"]
    monkeypatch.undo()
    monkeypatch.setattr(opcodes, "MOST_HELD", 1000)
    for many in (b"(", b"N", b"}", b"N\x94"):
        assert "values at once" in scanned(b"\x80\x04" + many * 3000).problems["model.pkl"]
    monkeypatch.setattr(scanning, "MOST_FILES", 10)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number in range(30):
            archive.addfile(tarfile.TarInfo(f"{number}.txt"), io.BytesIO())
    report = scanned(packed.getvalue(), "many.tar")
    assert len(report.files) == 10
    assert report.verdict == "unreadable"
    huge = b"\x80\x04\x8e" + (1 << 62).to_bytes(8, "little") + b"N."
    assert "cut off" in scanned(huge).problems["model.pkl"]


def test_a_file_of_two_kinds_is_seen_as_both():
    member = tarfile.TarInfo("cposix\nsystem\n(S'true'\ntR.")
    archive = member.tobuf() + bytes(1024)
    assert pickle.loads(archive) == 0
    report = scanned(archive, "model.tar")
    assert report.files["model.tar"] == "tar and pickle"
    assert report.verdict == "dangerous"


def test_arrays_of_objects_are_pickles():
    file = io.BytesIO()
    np.save(file, np.array([Runs()], dtype=object))
    assert found(file.getvalue(), "a.npy")["posix.system"] == "dangerous"
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    assert scanned(file.getvalue(), "a.npy").uses == []


def proto(number, value):
    """Write one field of a protobuf message: a text, bytes or a number."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    data = value.encode() if isinstance(value, str) else value
    key = number << 3 | 2
    size = len(data)
    head = bytes([key & 0x7F | 0x80, key >> 7]) if key > 127 else bytes([key])
    while size > 127:
        head += bytes([size & 0x7F | 0x80])
        size >>= 7
    return head + bytes([size]) + data


def test_onnx_tells_operators_of_others_and_external_data():
    standard = proto(1, proto(4, "Relu"))
    custom = proto(1, proto(4, "Steal") + proto(7, "evil"))
    outside = proto(5, proto(13, proto(1, "location") + proto(2, "../secret")))
    beside = proto(5, proto(13, proto(1, "location") + proto(2, "weights.bin")))
    inner = proto(1, proto(5, proto(6, custom)))  # a node whose attribute is a graph
    model = proto(1, 8) + proto(7, standard + outside + beside + inner)
    assert found(model, "model.onnx") == {
        "evil.Steal": "unknown",
        "external data ../secret": "dangerous",
        "external data weights.bin": "unknown",
    }
    assert found(proto(7, standard), "model.onnx") == {}
    assert scanned(model[:-4], "model.onnx").verdict == "unreadable"


def test_skops_and_mlflow_files_name_what_they_import():
    file = io.BytesIO()
    inner = '{"__class__": "system", "__module__": "os"}'
    with zipfile.ZipFile(file, "w") as archive:
        schema = '{"__class__": "Ridge", "__module__": "sklearn.linear_model", "content": %s}'
        archive.writestr("schema.json", schema % inner)
        archive.writestr(
            "MLmodel", "flavors:\n  python_function:\n    loader_module: evil.loader\n"
        )
        archive.writestr("code/inference.py", "print()")
    assert found(file.getvalue(), "model.skops") == {
        "sklearn.linear_model.Ridge": "safe",
        "os.system": "dangerous",
        "evil.loader": "unknown",
        "inference.py": "unknown",
    }


def test_data_is_no_pickle():
    for name, data in {
        "data.csv": b"c\nd\ne\n1,2\n",
        "notes.txt": b"code\nis here\n",
        "x": b"import os\nprint(1)\n",
        "model.json": b'{"learner": {}}',
        "weights.bin": struct.pack("100d", *range(100)),
    }.items():
        report = scanned(data, name)
        assert report.verdict == "clean", name
        assert report.uses == [], name


def test_verdicts():
    for module, name, verdict in (
        ("sklearn.ensemble._forest", "RandomForestClassifier", "safe"),
        ("sklearn.metrics._regression", "mean_squared_error", "safe"),
        ("numpy._core.multiarray", "_reconstruct", "safe"),
        ("numpy.testing._private.utils", "runstring", "dangerous"),
        ("numpy.core", "_ufunc_reconstruct", "dangerous"),
        ("numpy.f2py.crackfortran", "Thing", "unknown"),
        ("pandas", "read_pickle", "dangerous"),
        ("sklearn.base", "os.system", "dangerous"),
        ("sklearn.externals.thing", "Estimator", "unknown"),
        ("builtins", "eval", "dangerous"),
        ("builtins", "set", "safe"),
        ("cloudpickle.cloudpickle", "_make_function", "dangerous"),
        ("mine", "Model", "unknown"),
        ("xgboost.sklearn", "XGBClassifier", "safe"),
    ):
        assert judge(module, name)[0] == verdict, (module, name)
    assert all(
        judge("builtins", name)[0] != "safe"
        for name in dir(builtins)
        if callable(getattr(builtins, name)) and name in {"eval", "exec", "getattr", "open", "map"}
    )
    assert judge("decimal", decimal.Decimal.__name__)[0] == "safe"
    assert judge("fractions", fractions.Fraction.__name__)[0] == "safe"
