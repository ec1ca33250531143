"""Values between steps: what a declared type admits, and how a value is stored in a folder.

Frames are Parquet, models an archive ``model.tar.gz`` as serving containers read it, files lie
there as they are, everything else is JSON. This file is uploaded with every step as
``clary_values.py``, so it imports nothing of clary, and other libraries only for their values.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FRAME = "frame.parquet"
MODEL = "model.tar.gz"
JSON = "value.json"
_BOOSTER = "xgboost-model"
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
    """Write a value as ``form``: json, scalar, frame, file, model, or anything of these."""
    folder.mkdir(parents=True, exist_ok=True)
    match form_of(value) if form == "anything" else form:
        case "frame":
            _save_frame(value, folder / FRAME)
        case "json":
            (folder / JSON).write_text(as_json(value), encoding="utf-8")
        case "scalar":
            (folder / JSON).write_text(as_json({"value": value}), encoding="utf-8")
        case "file":
            _save_file(Path(value), folder)
        case _:
            _save_model(value, folder / MODEL)


def form_of(value: Any) -> str:
    """Choose how to store a value of which nothing was declared."""
    if frame_library(type(value)):
        return "frame"
    if isinstance(value, os.PathLike):
        return "file"
    if value is None or isinstance(bare(value), str | int | float | bool):
        return "scalar"
    return "json" if isinstance(value, dict | list) else "model"


def frame_library(kind: type) -> str:
    """Name the library whose frame a class is; empty for other classes."""
    package = kind.__module__.partition(".")[0]
    return package if _LIBRARIES.get(package) == kind.__name__ else ""


def as_json(value: Any) -> str:
    """Write JSON that every reader takes. Raises StepError."""
    try:
        return json.dumps(value, default=_json_default, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise StepError(f"what it returned is no JSON: {error}") from None


def _json_default(value: Any) -> Any:
    found = bare(value)
    if found is value:
        raise TypeError(f"it holds a {class_names(type(value))[0]}")
    return found


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
    form = stored_form(folder) if tree["form"] == "anything" else tree["form"]
    match form:
        case "frame":
            return _load_frames([folder / FRAME], tree.get("as") or "pandas")
        case "model":
            return _load_model(folder / MODEL)
        case "file":
            return _load_file(folder, tree.get("as"))
    found = json.loads((folder / JSON).read_text("utf-8"))
    for key in (*(("value",) if form == "scalar" else ()), *tree.get("path", ())):
        found = found[key]
    return found


def stored_form(folder: Path) -> str:
    """Tell the form of a stored value of which nothing was declared."""
    for name, form in ((FRAME, "frame"), (MODEL, "model")):
        if (folder / name).exists():
            return form
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


def _load_model(archive: Path) -> Any:
    import tarfile  # noqa: PLC0415 - only for a model

    with tarfile.open(archive) as opened:
        name = _BOOSTER if _BOOSTER in opened.getnames() else _PICKLE
        found = opened.extractfile(name)
        data = found.read() if found else b""
    if name == _PICKLE:
        return pickle.loads(data)  # noqa: S301 - of another step, in the sandbox
    import xgboost  # noqa: PLC0415 - only for such a model

    booster = xgboost.Booster()
    booster.load_model(bytearray(data))
    return booster
