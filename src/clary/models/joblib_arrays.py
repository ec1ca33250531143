"""Arrays that joblib writes between the opcodes of a pickle: how many bytes each takes."""

from __future__ import annotations

import math
import re
from typing import Any

from clary.models.stand_ins import Made

WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
"""The class whose state describes the array that stands behind it."""
_TYPE = re.compile(r"([?bBhHiIlLqQefdgFDGSUVOMmuca])(\d*)")
_LETTERS = {"U": 4}
"""Bytes a unit, where it is not one."""
_DEEPEST = 16


def array_bytes(state: Any) -> int | None:
    """Return the size of the array that a wrapper's state describes; None where it is not told."""
    if not isinstance(state, dict):
        return None
    shape, item = state.get("shape"), _item_bytes(state.get("dtype"))
    if item is None or not isinstance(shape, tuple):
        return None
    if not all(isinstance(one, int) and one >= 0 for one in shape):
        return None
    return math.prod(shape) * item


def holds_objects(state: Any) -> bool:
    """Say whether the array is one of Python objects, which joblib pickles once more."""
    return isinstance(state, dict) and _has_objects(state.get("dtype"), 0)


def _item_bytes(dtype: Any) -> int | None:
    match = _TYPE.fullmatch(_code(dtype))
    if match is None or not match[2]:
        return None
    return int(match[2]) * _LETTERS.get(match[1], 1)


def _has_objects(value: Any, depth: int) -> bool:
    """Look through a type, its fields and the types of their elements."""
    if depth > _DEEPEST:
        return True
    if isinstance(value, Made):
        if _code(value).startswith("O"):
            return True
        value = value.state
    inner = value.values() if isinstance(value, dict) else value
    return isinstance(value, tuple | dict) and any(_has_objects(one, depth + 1) for one in inner)


def _code(dtype: Any) -> str:
    code = dtype.arguments[0] if isinstance(dtype, Made) and dtype.arguments else ""
    return code.lstrip("<>=|") if isinstance(code, str) else ""
