"""The buffers of Arrow's arrays as numpy's.

Arrow's own ways between the two import pandas where it is installed: a quarter of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OTHERS = np.array([chr(byte) not in "0123456789+-" for byte in range(256)])


def numbers_of(array: pa.Array) -> NDArray[Any]:
    """Show the numbers or truths of an array without nulls."""
    if pa.types.is_boolean(array.type):
        return numbers_of(array.cast(pa.uint8())).view(np.bool_)
    dtype = "float64" if pa.types.is_float64(array.type) else str(array.type)
    return np.frombuffer(array.buffers()[1] or b"", dtype)[array.offset :][: len(array)]


def offsets_of(texts: pa.StringArray) -> NDArray[np.int64]:
    """Give where each text starts in the array's data, and where the last one ends."""
    offsets = np.frombuffer(texts.buffers()[1] or b"\0" * 4, dtype=np.int32)
    return offsets[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)


def are_digits(texts: pa.StringArray) -> NDArray[np.bool_]:
    """Say which texts, none of them empty, are of digits and signs alone."""
    offsets = offsets_of(texts)
    data = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    found: NDArray[np.bool_] = ~np.logical_or.reduceat(_OTHERS[data], offsets[:-1] - offsets[0])
    return found


def taken(texts: pa.StringArray, places: NDArray[np.int64]) -> pa.StringArray:
    """Take texts by their places."""
    indices = pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)])
    return texts.take(indices)
