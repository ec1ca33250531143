"""The buffers of Arrow's arrays of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


def offsets_of(texts: pa.StringArray) -> NDArray[np.int64]:
    """Give where each text starts in the array's data, and where the last one ends."""
    offsets = np.frombuffer(texts.buffers()[1] or b"\0" * 4, dtype=np.int32)
    return offsets[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
