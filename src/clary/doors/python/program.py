"""The program of a step: fetch the arguments of one function, call it, store what it returns.

This file is uploaded with every function as ``run.py``, beside ``function.pkl`` and what is
``values.py`` here, so it imports nothing of clary. The first word of its command is the call: a
JSON document, or the path of one below ``/opt/ml``; the others are parameters' values.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import clary_values as values  # type: ignore[import-not-found]  # is values.py, where this runs

Tree = Mapping[str, Any]
"""A part of the call."""
_LONGEST = 900


def main(words: Sequence[str]) -> None:
    """Run the function of the call in ``words``."""
    root = Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    text = words[0]
    call = json.loads(text if text.startswith("{") else (root / text).read_text("utf-8"))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if version != call["python"]:
        raise values.StepError(
            f"it was defined with Python {call['python']} and cannot run on {version}"
        )
    with (Path(__file__).parent / "function.pkl").open("rb") as file:
        function = Unpickler(file).load()
    inputs = root / "processing" / "input"
    arguments = [argument(one, words, inputs) for one in call["args"]]
    named = {name: argument(one, words, inputs) for name, one in call["kwargs"].items()}
    store(call, function(*arguments, **named), root / "processing" / "output")


class Unpickler(pickle.Unpickler):
    """Reads a pickled function: its sets were sorted, so that equal functions are equal bytes."""

    def persistent_load(self, pid: Any) -> Any:
        """Make the set again."""
        kind, items = pid
        return frozenset(items) if kind == "frozenset" else set(items)


def argument(tree: Tree, words: Sequence[str], inputs: Path) -> Any:
    """Make the argument that a part of the call stands for."""
    match tree:
        case {"json": value}:
            return value
        case {"pickle": text}:
            import base64  # noqa: PLC0415 - only for such an argument
            import io  # noqa: PLC0415 - only for such an argument

            return Unpickler(io.BytesIO(base64.b64decode(text))).load()
        case {"word": place, "type": kind}:
            return parameter(words[place], kind)
        case {"input": name}:
            return values.load(inputs / name, tree)
        case {"dict": members}:
            return {name: argument(one, words, inputs) for name, one in members.items()}
        case {"items": items}:
            found = [argument(one, words, inputs) for one in items]
            return collected(tree, found, words, inputs)
    raise TypeError(f"the call has an argument of no known kind: {sorted(tree)}")


def collected(tree: Tree, found: Sequence[Any], words: Sequence[str], inputs: Path) -> Any:
    """Make a NamedTuple, a tuple or a list of items."""
    if "make" in tree:
        return argument(tree["make"], words, inputs)._make(found)
    return tuple(found) if tree["tuple"] else found


def parameter(word: str, kind: str) -> Any:
    """Read the value of a pipeline's parameter."""
    if kind == "Boolean":
        return word.lower() == "true"
    return {"Integer": int, "Float": float, "String": str}[kind](word)


def store(call: Tree, returned: Any, folder: Path) -> None:
    """Check what the function returned against its declaration, and write it."""
    outputs = call["outputs"]
    found = [returned] if not call["several"] else list(as_tuple(returned, len(outputs)))
    if not outputs and returned is not None:
        raise values.StepError(f"it declares to return None, but returned {values.short(returned)}")
    for output, value in zip(outputs, found, strict=False):
        place = f"{output['name']}: " if call["several"] else ""
        if not values.matches(value, output["type"]):
            raise values.StepError(
                f"{place}it declares to return {values.described(output['type'])}, "
                f"but returned {values.short(value)}"
            )
        try:
            values.save(value, output["form"], folder / output["name"])
        except values.StepError as error:
            raise values.StepError(f"{place}{error}") from None


def as_tuple(value: Any, count: int) -> Any:
    """Return a tuple of so many values, or refuse."""
    if isinstance(value, tuple) and len(value) == count:
        return value
    found = f"{len(value)}" if isinstance(value, tuple) else values.short(value)
    raise values.StepError(f"it declares to return {count} values, but returned {found}")


def explain(error: BaseException) -> str:
    """Print the traceback from the function's own code on, and sum it up in a line."""
    if isinstance(error, values.StepError):
        sys.stderr.write(f"{error}\n")
        return str(error)
    import traceback  # noqa: PLC0415 - only for an error

    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    traceback.print_exception(error.with_traceback(frames or error.__traceback__))
    return "".join(traceback.format_exception_only(error)).strip()


def run(words: Sequence[str]) -> int:
    """Run a step; returns the exit code, and leaves what went wrong as the job's last words."""
    try:
        main(words)
    except (Exception, SystemExit) as error:
        text = explain(error)
        folder = Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml") / "output"
        folder.mkdir(exist_ok=True)
        (folder / "message").write_text(text[:_LONGEST], encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
