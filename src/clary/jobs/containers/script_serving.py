"""A user's inference script: model_fn, and transform_fn or input_fn, predict_fn, output_fn."""

from __future__ import annotations

import importlib.util
import inspect
import io
import json
import sys

import numpy as np
from job_files import MODEL, JobError
from serving import ANY, CSV, JSON, Refused, media_type

_NPY = "application/x-npy"
_NPZ = "application/x-npz"


def load(code, program):
    """Import the script and load its model."""
    path = code / program
    if not path.is_file():
        raise JobError(f"the inference script {program} is not in the model's code directory")
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
    model = _call(functions["model"], str(MODEL))
    return lambda body, content_type, accept: answer(functions, model, body, content_type, accept)


def answer(functions, model, body, content_type, accept):
    """Predict one payload by the script's functions, with defaults for those it lacks."""
    content_type = media_type(content_type) or JSON
    accept = media_type(accept) or JSON
    accept = JSON if accept == ANY else accept
    if functions["transform"]:
        result = _call(
            functions["transform"], model, _text(body, content_type), content_type, accept
        )
    else:
        data = _call(functions["input"] or decode, _text(body, content_type), content_type)
        prediction = _call(functions["predict"] or _predict, data, model)
        result = _call(functions["output"] or encode, prediction, accept)
    if isinstance(result, tuple):
        result, accept = result
    return result.encode() if isinstance(result, str) else bytes(result), accept


def decode(body, content_type):
    """Read a payload as an array."""
    data = body.encode() if isinstance(body, str) else body
    try:
        if content_type == JSON:
            return np.array(json.loads(data))
        if content_type == CSV:
            return np.genfromtxt(io.BytesIO(data), delimiter=",", ndmin=2)
        if content_type in {_NPY, _NPZ}:
            return np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise Refused(415, f"the payload is not {content_type}: {error}") from None
    raise Refused(415, f"the content type {content_type} has no decoder here; define input_fn")


def encode(prediction, accept):
    """Write predictions as the accepted type."""
    array = np.asarray(prediction)
    if accept == JSON:
        return json.dumps(array.tolist())
    if accept == CSV:
        text = io.StringIO()
        np.savetxt(text, array, delimiter=",", fmt="%s")
        return text.getvalue()
    if accept == _NPY:
        data = io.BytesIO()
        np.save(data, array)
        return data.getvalue()
    raise Refused(406, f"the accept type {accept} has no encoder here; define output_fn")


def _predict(data, model):
    return model.predict(data)


def _call(function, *arguments):
    """Call a function with as many arguments as it takes; a context argument is left out."""
    taken = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    return function(*arguments, *[None] * (len(taken) - len(arguments)))


def _text(body, content_type):
    """Give text to scripts as text, as the toolkits do."""
    if content_type.startswith("text/") or content_type in {JSON, "application/jsonlines"}:
        return body.decode("utf-8")
    return body
