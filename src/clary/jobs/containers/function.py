"""Calls a function's handler once, with an event: the part that Lambda's own runtime has."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
from types import SimpleNamespace

from job_files import ROOT, read_json

LARGEST_RESULT = 6 << 20
RESULT = ROOT / "output" / "result.json"
_lock = threading.Lock()


class Context:
    """What a handler is given beside its event."""

    def __init__(self, facts, until):
        self._until = until
        self.function_name = facts["function_name"]
        self.function_version = "$LATEST"
        self.invoked_function_arn = facts["function_arn"]
        self.memory_limit_in_mb = str(facts["memory_mb"])
        self.aws_request_id = facts["request_id"]
        self.log_group_name = facts["log_group"]
        self.log_stream_name = facts["log_stream"]
        self.identity = None
        client = facts.get("client")
        self.client_context = SimpleNamespace(**client) if client else None

    def get_remaining_time_in_millis(self):
        """Return how long the handler may still run."""
        return max(0, round((self._until - time.monotonic()) * 1000))

    def log(self, message):
        """Write to the log."""
        print(message)


def leave(result):
    """Write the result down, once, and end: threads that still run end too."""
    with _lock:
        draft = RESULT.with_suffix(".draft")
        draft.write_text(json.dumps(result), encoding="utf-8")
        draft.replace(RESULT)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def failure(error, request_id, kind=""):
    """Describe what was raised, without the frames of this file."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename != __file__]
    return {
        "errorMessage": str(error),
        "errorType": kind or type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_list(frames),
    }


def find(name):
    """Import the handler's file and return the handler, or what is wrong with it."""
    module, _, function = name.rpartition(".")
    try:
        found = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        return None, (error, "Runtime.ImportModuleError", f"Unable to import module '{module}'")
    except SyntaxError as error:
        return None, (error, "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}'")
    except Exception as error:
        return None, (error, "", "")
    if not callable(getattr(found, function, None)):
        missing = AttributeError(f"Handler '{function}' missing on module '{module}'")
        return None, (missing, "Runtime.HandlerNotFound", "")
    return getattr(found, function), None


def call(handler, event, facts):
    """Call the handler under its time limit; returns what to write down."""
    request_id, timeout_s = facts["request_id"], facts["timeout_s"]
    late = {
        "errorMessage": f"{request_id} Task timed out after {timeout_s:.2f} seconds",
        "errorType": "Sandbox.Timedout",
    }
    clock = threading.Timer(timeout_s, leave, [{"failure": late}])
    clock.daemon = True
    clock.start()
    try:
        value = handler(event, Context(facts, time.monotonic() + timeout_s))
    except BaseException as error:
        traceback.print_exception(error)
        kind = "Runtime.ExitError" if isinstance(error, SystemExit) else ""
        return {"failure": failure(error, request_id, kind)}
    try:
        text = json.dumps(value, ensure_ascii=False)
        size = len(text.encode())
    except (TypeError, ValueError) as error:
        error = TypeError(f"Unable to marshal response: {error}")
        return {"failure": failure(error, request_id, "Runtime.MarshalError")}
    if size > LARGEST_RESULT:
        large = ValueError(f"Response payload size ({size} bytes) exceeded {LARGEST_RESULT} bytes")
        return {"failure": failure(large, request_id, "Function.ResponseSizeTooLarge")}
    return {"result": text}


def main():
    """Run one invocation."""
    facts = read_json("input/context.json")
    request_id = facts["request_id"]
    print(f"START RequestId: {request_id} Version: $LATEST", flush=True)
    sys.path.insert(0, str(ROOT / "function"))
    os.chdir(ROOT / "function")
    began = time.monotonic()
    handler, wrong = find(facts["handler"])
    if wrong:
        error, kind, what = wrong
        traceback.print_exception(error)
        told = failure(error, request_id, kind)
        if what:
            told["errorMessage"] = f"{what}: {error}"
        outcome = {"failure": told}
    else:
        outcome = call(handler, read_json("input/event.json"), facts)
    took_ms = (time.monotonic() - began) * 1000
    print(f"END RequestId: {request_id}")
    print(
        f"REPORT RequestId: {request_id}\tDuration: {took_ms:.2f} ms\t"
        f"Memory Size: {facts['memory_mb']} MB",
        flush=True,
    )
    leave(outcome)


if __name__ == "__main__":
    main()
