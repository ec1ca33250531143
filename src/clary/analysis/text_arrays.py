"""The buffers of Arrow's arrays of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_OTHERS = np.array([chr(byte) not in "0123456789+-" for byte in range(256)])


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
