"""Values between steps: what a declared type admits, and how a value is stored in a folder.

Frames are Parquet, arrays NumPy's own format, models an archive ``model.tar.gz`` as serving
containers read it, files lie there as they are. Numbers, texts, lists and dicts are JSON, unless
they hold what JSON would not give back; that is pickled, as models are. This file is uploaded with
every step as ``clary_values.py``, so it imports nothing of clary, and other libraries only for
their values.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FRAME = "frame.parquet"
ARRAY = "array.npy"
MODEL = "model.tar.gz"
JSON = "value.json"
_BOOSTER = "xgboost-model"
_ARRAY_CLASS = "numpy.ndarray"
_PICKLE = "model.pkl"
_INFERENCE = b"""import pickle
from pathlib import Path


def model_fn(folder):
    return pickle.loads((Path(folder) / "model.pkl").read_bytes())
"""
_LIBRARIES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "Table"}
_TABLES = {
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "json"),
    ".parquet": "parquet",
}

Tree = Mapping[str, Any]
"""A declared type: ``{"is": name, "of": parts}``; or, to ``load``, how a value is stored."""


class StepError(Exception):
    """The step does not keep to what it declared, or cannot be run here."""


def matches(value: Any, kind: Tree) -> bool:
    """Whether a value is of a declared type."""
    name, parts = kind["is"], kind.get("of", [])
    match name:
        case "union":
            fits = any(matches(value, part) for part in parts)
        case "literal":
            fits = any(value == one and type(value) is type(one) for one in parts)
        case "path":
            fits = isinstance(value, str | os.PathLike)
        case "list":
            fits = isinstance(value, list | tuple) and all(matches(x, parts[0]) for x in value)
        case "dict":
            fits = isinstance(value, dict) and all(
                matches(key, parts[0]) and matches(one, parts[1]) for key, one in value.items()
            )
        case "int" | "float" | "str" | "bool":
            fits = _is_scalar(value, name)
        case _:
            fits = name == "anything" or name in _names(value)
    return fits


def _names(value: Any) -> list[str]:
    return ["None"] if value is None else class_names(type(value))


_SCALARS: Mapping[str, Any] = {"int": int, "float": int | float, "str": str, "bool": bool}


def _is_scalar(value: Any, name: str) -> bool:
    value = bare(value)
    return isinstance(value, _SCALARS[name]) and (name == "bool" or not isinstance(value, bool))


def bare(value: Any) -> Any:
    """Turn a NumPy scalar into Python's own."""
    item = getattr(value, "item", None)
    return item() if item is not None and getattr(value, "ndim", None) == 0 else value


def class_names(kind: type) -> list[str]:
    """Name a class and its bases by package and name; the modules between change by version."""
    return [f"{one.__module__.partition('.')[0]}.{one.__qualname__}" for one in kind.__mro__]


def described(kind: Tree) -> str:
    """Write a declared type as Python does.

    Examples
    --------
    >>> described({"is": "dict", "of": [{"is": "str"}, {"is": "float"}]})
    'dict[str, float]'
    """
    name, parts = kind["is"], kind.get("of", [])
    if name == "union":
        return " | ".join(map(described, parts))
    if name == "literal":
        return " | ".join(map(repr, parts))
    known = [part for part in parts if part["is"] != "anything"]
    inside = f"[{', '.join(map(described, parts))}]" if known else ""
    return ("the path of a file" if name == "path" else str(name)) + inside


def short(value: Any) -> str:
    """Say what a value is; with the value itself, when that is short."""
    if value is None:
        return "None"
    kind = type(value)
    if kind.__module__ != "builtins":
        return class_names(kind)[0]
    text = repr(value)
    return f"the {kind.__name__} {text}" if len(text) <= 60 else f"a {kind.__name__}"


def save(value: Any, form: str, folder: Path) -> None:
    """Write a value as ``form``: json, scalar, frame, array, file, model, or anything of these."""
    folder.mkdir(parents=True, exist_ok=True)
    match form_of(value) if form == "anything" else _keeping(value, form):
        case "frame":
            _save_frame(value, folder / FRAME)
        case "array":
            _save_array(value, folder / ARRAY)
        case "json":
            _save_json(value, folder / JSON)
        case "scalar":
            _save_json({"value": value}, folder / JSON)
        case "file":
            _save_file(Path(value), folder)
        case _:
            _save_model(value, folder / MODEL)


def _keeping(value: Any, form: str) -> str:
    """Return the declared form of a value, or the one that keeps all of it."""
    loses = (form == "json" and not _survives(value)) or (form == "array" and not _is_array(value))
    return "model" if loses else form


def form_of(value: Any) -> str:
    """Choose how to store a value of which nothing was declared."""
    if frame_library(type(value)):
        return "frame"
    if isinstance(value, os.PathLike):
        return "file"
    if _is_array(value):
        return "array"
    if value is None or isinstance(bare(value), str | int | float | bool):
        return "scalar"
    if not isinstance(value, dict | list) or not _survives(value):
        return "model"
    return "scalar" if isinstance(value, dict) and value.keys() == {"value"} else "json"


def _is_array(value: Any) -> bool:
    return class_names(type(value))[0] == _ARRAY_CLASS and not value.dtype.hasobject


def _survives(value: Any) -> bool:
    """Whether JSON gives a value back; a tuple comes back as a list. Raises StepError."""
    if isinstance(value, os.PathLike):
        problem = f"it holds the path {os.fspath(value)!r}, and only a path alone is a file"
        raise StepError(f"{problem}; return it as a result of its own: -> tuple[Path, Path]")
    try:
        if isinstance(value, dict):
            return all(isinstance(key, str) and _survives(one) for key, one in value.items())
        if isinstance(value, list | tuple):
            return all(map(_survives, value))
    except RecursionError:
        raise StepError("what it returned is nested too deeply, or in itself") from None
    return value is None or isinstance(bare(value), str | int | float | bool)


def frame_library(kind: type) -> str:
    """Name the library whose frame a class is; empty for other classes."""
    package = kind.__module__.partition(".")[0]
    return package if _LIBRARIES.get(package) == kind.__name__ else ""


def _save_array(array: Any, path: Path) -> None:
    import numpy as np  # noqa: PLC0415 - only for an array

    np.save(path, array, allow_pickle=False)


def _save_json(value: Any, path: Path) -> None:
    """Write JSON; of numbers that it does not know it has Python's names, NaN and Infinity."""
    path.write_text(json.dumps(value, default=bare), encoding="utf-8")


def _save_frame(frame: Any, path: Path) -> None:
    if frame_library(type(frame)) == "polars":
        frame.write_parquet(path)
        return
    import pyarrow.parquet  # noqa: PLC0415 - only for a frame

    try:
        is_table = frame_library(type(frame)) == "pyarrow"
        table = frame if is_table else pyarrow.Table.from_pandas(frame)
        pyarrow.parquet.write_table(table, path)
    except (pyarrow.ArrowException, ValueError, TypeError) as error:
        raise StepError(f"the frame cannot be stored as Parquet: {error}") from None


def _save_file(path: Path, folder: Path) -> None:
    if not path.exists():
        raise StepError(f"it returned {path}, but there is no such file")
    import shutil  # noqa: PLC0415 - only for a file

    if path.is_dir():
        shutil.copytree(path, folder / path.name)
    else:
        shutil.copyfile(path, folder / path.name)


def _save_model(model: Any, path: Path) -> None:
    """Pack a model as serving containers expect it; equal models are equal bytes."""
    if "xgboost.Booster" in class_names(type(model)):
        members = {_BOOSTER: bytes(model.save_raw("ubj"))}
    else:
        import cloudpickle  # noqa: PLC0415 - only for a model

        try:
            members = {_PICKLE: cloudpickle.dumps(model)}
        except Exception as error:  # reducers raise anything
            raise StepError(f"{short(model)} cannot be pickled: {error}") from None
        if callable(getattr(model, "predict", None)):
            members["code/inference.py"] = _INFERENCE
    _pack(members, path)


def _pack(members: Mapping[str, bytes], path: Path) -> None:
    import gzip  # noqa: PLC0415 - only for a model
    import io  # noqa: PLC0415 - only for a model
    import tarfile  # noqa: PLC0415 - only for a model

    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", 1, file, 0) as zipped,
        tarfile.open(mode="w", fileobj=zipped, format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def load(folder: Path, tree: Tree) -> Any:
    """Read a stored value.

    Parameters
    ----------
    folder
        Where it lies.
    tree
        Its ``form``; ``as``, the library of a frame; ``path`` into its JSON.
    """
    form = stored_form(folder, tree["form"])
    match form:
        case "frame":
            return _load_frames([folder / FRAME], tree.get("as") or "pandas")
        case "array":
            import numpy as np  # noqa: PLC0415 - only for an array

            return np.load(folder / ARRAY, allow_pickle=False)
        case "file":
            return _load_file(folder, tree.get("as"))
        case "model":
            found = _load_model(folder / MODEL)
        case _:
            found = json.loads((folder / JSON).read_text("utf-8"))
    for key in (*(("value",) if form == "scalar" else ()), *tree.get("path", ())):
        found = found[key]
    return found


def stored_form(folder: Path, form: str) -> str:
    """Tell the form of a stored value: the declared one, or a model where that kept more of it."""
    if form in ("json", "array"):
        return "model" if (folder / MODEL).exists() else form
    if form != "anything":
        return form
    for name, found in ((FRAME, "frame"), (ARRAY, "array"), (MODEL, "model")):
        if (folder / name).exists():
            return found
    if not (folder / JSON).exists():
        return "file"
    found = json.loads((folder / JSON).read_text("utf-8"))
    return "scalar" if isinstance(found, dict) and found.keys() == {"value"} else "json"


def _load_file(folder: Path, library: str | None) -> Any:
    """Give the path of a file or folder, or the frame that it holds."""
    entries = sorted(folder.iterdir())
    path = entries[0] if len(entries) == 1 else folder
    if not library:
        return path
    files = sorted(x for x in path.rglob("*") if x.is_file()) if path.is_dir() else [path]
    return _load_frames(files, library)


def _load_frames(files: Sequence[Path], library: str) -> Any:
    frames = [_load_frame(file, library) for file in files]
    if len(frames) == 1:
        return frames[0]
    module = __import__(library)
    if library == "pandas":
        return module.concat(frames, ignore_index=True)
    return (module.concat_tables if library == "pyarrow" else module.concat)(frames)


def _load_frame(file: Path, library: str) -> Any:
    """Read one table by its suffix."""
    suffix = next((one for one in reversed(file.suffixes) if one in _TABLES), "")
    kind = _TABLES.get(suffix)
    if kind is None:
        legal = ", ".join(sorted(_TABLES))
        raise StepError(f"{file.name} is read as a table, and is none; legal: {legal}")
    if library == "pyarrow" or (library == "pandas" and kind == "parquet"):
        table = _arrow_table(file, kind, suffix)
        return table.to_pandas() if library == "pandas" else table
    module = __import__(library)
    if kind == "parquet":
        return module.read_parquet(file)
    if kind == "csv":
        name = "sep" if library == "pandas" else "separator"
        return module.read_csv(file, **{name: "\t" if suffix == ".tsv" else ","})
    return module.read_json(file, lines=True) if library == "pandas" else module.read_ndjson(file)


def _arrow_table(file: Path, kind: str, suffix: str) -> Any:
    import pyarrow.csv  # noqa: PLC0415 - only for a frame
    import pyarrow.json  # noqa: PLC0415 - only for a frame
    import pyarrow.parquet  # noqa: PLC0415 - only for a frame

    if kind == "parquet":
        return pyarrow.parquet.read_table(file)
    if kind == "json":
        return pyarrow.json.read_json(file)
    options = pyarrow.csv.ParseOptions(delimiter="\t" if suffix == ".tsv" else ",")
    return pyarrow.csv.read_csv(file, parse_options=options)


def is_booster(archive: Path) -> bool:
    """Whether a stored model is one that nothing has to be unpickled for."""
    import tarfile  # noqa: PLC0415 - only for a model

    with tarfile.open(archive) as opened:
        return _BOOSTER in opened.getnames()


def _load_model(archive: Path) -> Any:
    import tarfile  # noqa: PLC0415 - only for a model

    name = _BOOSTER if is_booster(archive) else _PICKLE
    with tarfile.open(archive) as opened:
        found = opened.extractfile(name)
        data = found.read() if found else b""
    if name == _PICKLE:
        return pickle.loads(data)  # noqa: S301 - of another step, in the sandbox
    import xgboost  # noqa: PLC0415 - only for such a model

    booster = xgboost.Booster()
    booster.load_model(bytearray(data))
    return booster
