"""Answering inference requests: what every handler shares."""

from __future__ import annotations

import os

from job_files import MODEL, ROOT, JobError, extract

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
ANY = "*/*"


class Refused(Exception):
    """The request is answered with an HTTP status instead of a prediction."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


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
        ``(body, content_type, accept) -> (body, content_type)``; raises Refused.
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

        return script_serving.load(code, program or "inference.py")
    if framework == "xgboost":
        import xgboost_serving  # noqa: PLC0415 - a handler brings its own dear imports

        return xgboost_serving.load()
    raise JobError("the model has no inference script: SAGEMAKER_PROGRAM or code/inference.py")
