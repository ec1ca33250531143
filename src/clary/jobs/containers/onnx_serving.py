"""ONNX files without a script: rows in, one named list for each output."""

from __future__ import annotations

import io
import json

import numpy as np
from job_files import MODEL, JobError
from script_serving import NPY, decode, encode
from serving import ANY, CSV, JSON, Refused, media_type


def load():
    """Load the one ONNX file."""
    try:
        import onnxruntime  # noqa: PLC0415 - it may be missing
    except ImportError as error:
        raise JobError(f"the model needs the package onnxruntime: {error}") from None
    files = sorted(file for file in MODEL.rglob("*.onnx") if file.name[0] != ".")
    if len(files) != 1:
        raise JobError(f"the artifact has {len(files)} ONNX files; one can be served")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(files[0]), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the library has many of its own
        raise JobError(f"{files[0].name} cannot be loaded: {error}") from None
    return Model(session)


class Model:
    """A session, and how payloads fit its inputs."""

    def __init__(self, session):
        self.session = session
        self.inputs = session.get_inputs()
        self.outputs = [output.name for output in session.get_outputs()]

    def __call__(self, body, content_type, accept, _context=None):
        """Predict one payload."""
        kind = media_type(content_type) or JSON
        accept = media_type(accept) or (CSV if kind == CSV else JSON)
        feed = self.feed(self.read(body, kind))
        try:
            found = self.session.run(self.outputs, feed)
        except Exception as error:  # the library has many of its own
            raise Refused(400, f"the prediction failed: {error}") from None
        named = dict(zip(self.outputs, found))  # noqa: B905 - Python 3.9 has no strict
        return written(named, JSON if accept == ANY else accept)

    @staticmethod
    def read(body, kind):
        """Read a payload: an array, or arrays by the input's name."""
        if kind != JSON:
            return decode(body, kind)
        try:
            document = json.loads(body)
        except ValueError as error:
            raise Refused(400, f"the payload is no JSON: {error}") from None
        if isinstance(document, dict):
            document = document.get("inputs", document.get("instances", document))
        return document

    def feed(self, data):
        """Make an array of each input's type."""
        if not isinstance(data, dict):
            if len(self.inputs) != 1:
                names = ", ".join(one.name for one in self.inputs)
                raise Refused(400, f"the model has several inputs, give each by name: {names}")
            data = {self.inputs[0].name: data}
        try:
            return {one.name: np.asarray(data[one.name], _kind(one.type)) for one in self.inputs}
        except KeyError as error:
            raise Refused(400, f"the payload lacks the input {error}") from None
        except (ValueError, TypeError) as error:
            raise Refused(400, f"the payload does not fit the model's inputs: {error}") from None


def written(found, accept):
    """Write outputs: by name as JSON; the first of them as CSV or an array."""
    if accept == JSON:
        return json.dumps({name: _listed(value) for name, value in found.items()}).encode(), JSON
    first = np.asarray(next(iter(found.values())))
    if accept == NPY:
        data = io.BytesIO()
        np.save(data, first)
        return data.getvalue(), accept
    return encode(first, accept).encode(), accept


def _listed(value):
    """Turn an output into plain lists: an array, or a list of them or of mappings."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {str(name): _listed(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_listed(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _kind(text):
    """Translate an ONNX type (``tensor(float)``) to numpy's."""
    name = text.partition("(")[2].rstrip(")")
    return {"float": "float32", "double": "float64", "float16": "float16", "string": "object"}.get(
        name, name
    )
