"""A user's inference script: model_fn, and transform_fn or input_fn, predict_fn, output_fn."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import io
import json
import os
import sys
from pathlib import Path
from zipfile import BadZipFile

from job_files import MODEL, JobError
from serving import ANY, CSV, JSON, Context, Refused, media_type

try:
    import numpy as np
except ImportError:  # then scripts read and write for themselves
    np = None

NPY = "application/x-npy"
_NPZ = "application/x-npz"


def load(code, program, framework=""):
    """Import the script and load its model."""
    path = code / program
    if not path.is_file():
        raise JobError(f"the inference script {program} is not in the model's code directory")
    defaults = _defaults(framework)
    _step_aside()
    sys.path.insert(0, str(code))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    functions = {
        name: getattr(module, f"{name}_fn", None)
        for name in ("model", "transform", "input", "predict", "output")
    }
    if functions["model"] is None:
        raise JobError(f"{program} defines no model_fn")
    mixed = [name for name in ("input", "predict", "output") if functions[name]]
    if functions["transform"] and mixed:
        raise JobError(
            f"{program} defines transform_fn and also {mixed[0]}_fn; use one or the other"
        )
    model = _call(functions["model"], [str(MODEL)], Context())
    steps = {**defaults, **{name: one for name, one in functions.items() if one}}

    def handler(body, content_type, accept, context=None):
        try:
            return answer(steps, model, (body, content_type, accept), context or Context())
        except Exception as error:
            refused = _refusal(error)
            if refused is None:
                raise
            raise refused from None

    return handler


def _refusal(error):
    """Give what a script refused with a status of its own, as the errors of the toolkits have it.

    Those have a ``status_code`` and its ``phrase``; of a client's mistake it is 400 to 499.
    """
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and 400 <= status < 500 and hasattr(error, "phrase"):
        return Refused(status, str(error))
    return None


def answer(steps, model, asked, context):
    """Predict one payload by the script's functions, with defaults for those it lacks."""
    body, content_type, accept = asked
    content_type = media_type(content_type) or JSON
    usual = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or JSON
    accept = media_type(accept) or usual
    accept = usual if accept == ANY else accept
    given = _text(body, content_type)
    if "transform" in steps:
        result = _call(steps["transform"], [model, given, content_type, accept], context)
    else:
        data = _call(steps["input"], [given, content_type], context)
        prediction = _call(steps["predict"], [data, model], context)
        result = _call(steps["output"], [prediction, accept], context)
    if isinstance(result, tuple):
        result, accept = result
    if isinstance(result, str):
        return result.encode(), accept
    if isinstance(result, (bytes, bytearray, memoryview)):
        return bytes(result), accept
    if hasattr(result, "__next__"):
        return result, accept
    raise TypeError(f"the script answered with a {type(result).__name__}, legal: text or bytes")


def decode(body, content_type):
    """Read a payload as an array."""
    if np is None:
        raise Refused(415, "reading arrays needs the package numpy; install it or define input_fn")
    data = body.encode() if isinstance(body, str) else body
    try:
        if content_type == JSON:
            return np.array(json.loads(data))
        if content_type == CSV:
            return np.genfromtxt(io.BytesIO(data), delimiter=",", ndmin=2)
        if content_type == NPY:
            return np.load(io.BytesIO(data), allow_pickle=False)
        if content_type == _NPZ:
            from scipy import sparse  # noqa: PLC0415 - few requests are sparse

            return sparse.load_npz(io.BytesIO(data))
    except (ValueError, OSError, EOFError, KeyError, BadZipFile) as error:
        raise Refused(415, f"the payload is not {content_type}: {error}") from None
    raise Refused(415, f"the content type {content_type} has no decoder here; define input_fn")


def encode(prediction, accept):
    """Write predictions as the accepted type."""
    if np is None:
        raise Refused(406, "writing arrays needs the package numpy; install it or define output_fn")
    array = np.asarray(prediction)
    if accept == JSON:
        return json.dumps(array.tolist())
    if accept == CSV:
        text = io.StringIO()
        np.savetxt(text, array, delimiter=",", fmt="%s")
        return text.getvalue()
    if accept == NPY:
        data = io.BytesIO()
        np.save(data, array)
        return data.getvalue()
    raise Refused(406, f"the accept type {accept} has no encoder here; define output_fn")


def _defaults(framework):
    """Return what is done where a script says nothing."""
    steps = {"input": decode, "predict": lambda data, model: model.predict(data), "output": encode}
    if framework == "xgboost":
        import xgboost  # noqa: F401, PLC0415 - whole, as scripts know it, before the next line
        import xgboost_serving  # noqa: PLC0415 - only its image has the library

        steps["input"] = xgboost_serving.decode
        steps["predict"] = xgboost_serving.predict
    return steps


def _step_aside():
    """Let the script's own modules have the names of the container's, which are all loaded."""
    here = str(Path(__file__).parent)
    sys.path[:] = [folder for folder in sys.path if folder != here]
    for name, module in list(sys.modules.items()):
        if name != "__main__" and str(getattr(module, "__file__", None) or "").startswith(here):
            del sys.modules[name]


def _call(function, arguments, context):
    """Call a function, with the context if it takes one more argument than there are."""
    if _taken(function) > len(arguments):
        return function(*arguments, context)
    return function(*arguments)


@functools.lru_cache(maxsize=64)
def _taken(function):
    parameters = inspect.signature(function).parameters.values()
    return sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)


def _text(body, content_type):
    """Give text to scripts as text, as the toolkits do."""
    if content_type.startswith("text/") or content_type in {JSON, "application/jsonlines"}:
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refused(400, f"the payload is no UTF-8: {error}") from None
    return body
