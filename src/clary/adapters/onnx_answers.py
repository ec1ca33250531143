"""Answers of compiled models: the built-in XGBoost's contract, in the server's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from msgspec import Struct

from clary.endpoints.invocations import CSV, LARGEST_BODY, Refused, Reply
from clary.endpoints.trees import Link
from clary.jobs.containers.tabular import Sparse, Unreadable, accepted, encoded, request
from clary.kernel.codec import build, from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

INPUT = "rows"
FACTS = "facts"
_PLAIN = b"0123456789.,-+eEnNaA\r\n"
"""What a request holds that is read without the care that all others need."""
_MOST_PLAIN = 1 << 16
_CSV_TYPES = {"", "text/csv", "csv", "text/csv; charset=utf-8"}
_CSV_ACCEPTS = {"", "text/csv", "csv", "*/*"}
_NAN = float("nan")
_LARGEST = 3.4028234663852886e38
_BLOCK = 1 << 22
"""Numbers of a sparse request that are filled in at once."""


class Facts(Struct, frozen=True):
    """What a compiled model's file says beside its trees: ``links`` has one entry a booster."""

    features: int
    outputs: int
    links: tuple[Link, ...]


def opened(content: bytes) -> OnnxModel:
    """Make a compiled model of the bytes of its file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it keeps what one large request took
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    return OnnxModel(session, build(Facts, from_json(said[FACTS])))


class OnnxModel:
    """A compiled model, ready to answer; any thread may ask it."""

    def __init__(self, session: Any, facts: Facts) -> None:
        self._run = session.run
        self._names = [one.name for one in session.get_outputs()]
        self._links = [_LINKS[link] for link in facts.links]
        self._features = facts.features
        self._single = facts.outputs == 1

    def answer(self, body: bytes, content_type: str = "", accept: str = "") -> Reply:
        """Answer one payload, an empty one with status 204.

        Raises
        ------
        Refused
            406 for an Accept that there is no writer for, 415 for a payload that cannot be read,
            400 for one that does not fit the model, 500 for an answer of more than 6 MiB.
        """
        if accept in _CSV_ACCEPTS and content_type in _CSV_TYPES:
            rows = _plain_rows(body, self._features)
            if rows is not None:
                return Reply(encoded(self.predict(rows).tolist(), CSV), CSV)
        return self._carefully(body, content_type, accept)

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer rows of as many columns as there are features; of one number each, or several."""
        margins = self._run(self._names, {INPUT: rows})
        answers: NDArray[np.float32]
        if len(margins) == 1:
            answers = self._links[0](margins[0])
        else:
            each = [link(one) for link, one in zip(self._links, margins, strict=True)]
            answers = np.mean(each, axis=0)
        return answers[:, 0] if self._single else answers

    def _carefully(self, content: bytes, content_type: str, accept: str) -> Reply:
        try:
            kind = accepted(accept)
            if not content.strip():
                return Reply(b"", status=204)
            rows = request(content, content_type, self._features)
        except Unreadable as error:
            raise Refused(error.status, error.message) from None
        if isinstance(rows, Sparse):
            predictions = [
                one
                for block in _filled(rows, self._features)
                for one in self.predict(block).tolist()
            ]
        else:
            predictions = self.predict(rows).tolist()
        body = encoded(predictions, kind)
        if len(body) > LARGEST_BODY:
            raise Refused(500, f"the answer has {len(body)} bytes, more than 6 MiB")
        return Reply(body, kind)


def _plain_rows(body: bytes, features: int) -> NDArray[np.float32] | None:
    """Read CSV of plain numbers, commas and line ends; None for what needs more care than that."""
    if len(body) > _MOST_PLAIN or body.translate(None, _PLAIN):
        return None
    lines = body.split()
    try:
        values = [float(one) if one else _NAN for line in lines for one in line.split(b",")]
    except ValueError:
        return None
    # behind a number, a NaN is neither the largest nor the least
    if not values or max(0.0, *values) > _LARGEST or min(0.0, *values) < -_LARGEST:
        return None
    if len(lines) == 1:
        return np.array([values], np.float32) if len(values) == features else None
    commas = features - 1
    if any(line.count(b",") != commas for line in lines):
        return None
    return np.array(values, np.float32).reshape(len(lines), features)


def _filled(rows: Sparse, features: int) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of rows, NaN where they say nothing."""
    starts = np.array(rows.starts)
    columns = np.array(rows.columns, np.int64)
    values = np.array(rows.values, np.float32)
    count = len(starts) - 1
    step = max(1, _BLOCK // max(features, 1))
    for at in range(0, count, step):
        ends = starts[at : at + step + 1]
        block = np.full((len(ends) - 1, features), np.nan, np.float32)
        inside = slice(ends[0], ends[-1])
        block[np.repeat(np.arange(len(block)), np.diff(ends)), columns[inside]] = values[inside]
        yield block


def _logistic(margins: NDArray[np.float32]) -> NDArray[np.float32]:
    one = np.float32(1)
    return one / (np.exp(np.minimum(-margins, np.float32(88.7))) + one)


def _softmax(margins: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    sums = powers.sum(axis=1, keepdims=True, dtype=np.float64)
    answers: NDArray[np.float32] = powers / sums.astype(np.float32)
    return answers


def _exp(margins: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        answers: NDArray[np.float32] = np.exp(margins)
    return answers


_LINKS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "identity": lambda margins: margins,
    "logistic": _logistic,
    "exp": _exp,
    "softmax": _softmax,
    "argmax": lambda margins: margins.argmax(axis=1, keepdims=True).astype(np.float32),
    "step": lambda margins: (margins > 0).astype(np.float32),
}
