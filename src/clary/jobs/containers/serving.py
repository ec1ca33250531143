"""Answering inference requests: what every handler shares."""

from __future__ import annotations

import os

from job_files import MODEL, ROOT, JobError, extract

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
ANY = "*/*"
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_INFERENCE_ID = "x-amzn-sagemaker-inference-id"
_LONGEST_ATTRIBUTES = 1024


class Refused(Exception):
    """The request is answered with an HTTP status instead of a prediction."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Context:
    """What a script may know of a request beside its body, in the toolkits' words.

    Parameters
    ----------
    header
        The request as it came to the worker: ``attributes``, ``id``, ``type``, ``accept``.
    """

    def __init__(self, header=None):
        asked = header or {}
        self._headers = {
            "content-type": asked.get("type", ""),
            "accept": asked.get("accept", ""),
            _ATTRIBUTES: asked.get("attributes", ""),
            _INFERENCE_ID: asked.get("id", ""),
        }
        self.custom_attributes = asked.get("attributes", "")
        self.inference_id = asked.get("id", "")
        self.system_properties = {"model_dir": str(MODEL), "gpu_id": None}
        self.answered = ""

    def get_request_header(self, _index, name):
        """Return a header of the request; None when it has none of this name."""
        return self._headers.get(name.lower()) or None

    def get_all_request_header(self, _index=0):
        """Return the headers of the request."""
        return {name: value for name, value in self._headers.items() if value}

    def set_response_header(self, _index, name, value):
        """Answer with custom attributes; other headers do not leave the container."""
        if name.lower() == _ATTRIBUTES:
            self.answered = str(value)[:_LONGEST_ATTRIBUTES]


def media_type(text):
    """Return a content type without its parameters, lower case."""
    return (text or "").partition(";")[0].strip().lower()


def unpack_model():
    """Unpack the model archive into the model directory."""
    archive = ROOT / "input" / "model" / "model.tar.gz"
    if archive.exists():
        extract(archive, MODEL)


def load_handler(framework):
    """Load the model with the handler it calls for.

    Returns
    -------
    callable
        ``(body, content_type, accept, context=None) -> (body, content_type)``; raises Refused.
        The answer's body may be an iterator of pieces.
    """
    unpack_model()
    code = MODEL / "code"
    archive = ROOT / "input" / "code" / "sourcedir.tar.gz"
    if archive.exists():
        code = ROOT / "code"
        extract(archive, code)
    program = os.environ.get("SAGEMAKER_PROGRAM", "")
    if program or (code / "inference.py").exists():
        import script_serving  # noqa: PLC0415 - a handler brings its own dear imports

        return script_serving.load(code, program or "inference.py", framework)
    if (MODEL / "MLmodel").is_file():
        import mlflow_serving  # noqa: PLC0415 - a handler brings its own dear imports

        return mlflow_serving.load()
    if any(MODEL.rglob("*.onnx")):
        import onnx_serving  # noqa: PLC0415 - a handler brings its own dear imports

        return onnx_serving.load()
    if framework == "xgboost":
        import xgboost_serving  # noqa: PLC0415 - a handler brings its own dear imports

        return xgboost_serving.load()
    raise JobError(
        "the model has no inference script (SAGEMAKER_PROGRAM or code/inference.py), is no MLflow "
        "model (MLmodel) and no ONNX file"
    )
