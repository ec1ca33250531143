"""Answers the payloads of a transform job that has several containers, or several at once."""

from __future__ import annotations

import json
import os
import sys
import traceback
from multiprocessing.connection import Connection

from job_files import JobError
from serving import Refused, load_handler


def main():
    """Load the model below ``SAGEMAKER_BASE_DIR`` and answer until the other side closes."""
    connection = Connection(int(sys.argv[1]))
    try:
        handler = load_handler(os.environ.get("CLARY_FRAMEWORK", ""))
    except Exception as error:
        tell(connection, failure(error))
        return
    tell(connection, {})
    while True:
        try:
            header = json.loads(connection.recv_bytes())
            payload = connection.recv_bytes()
        except EOFError:
            return
        try:
            answer, kind = handler(payload, header["type"], header["accept"])
            body = answer if isinstance(answer, bytes) else b"".join(answer)
        except Refused as refusal:
            tell(connection, {"status": refusal.status, "message": str(refusal)})
        except Exception as error:
            tell(connection, failure(error))
        else:
            tell(connection, {"type": kind}, body)


def tell(connection, header, body=b""):
    """Send an answer."""
    connection.send_bytes(json.dumps(header).encode())
    connection.send_bytes(body)


def failure(error):
    """Say what went wrong with the model itself; where, goes to the log."""
    if isinstance(error, JobError):
        return {"failed": str(error), "kind": error.kind}
    traceback.print_exception(type(error), error, error.__traceback__)
    return {"failed": f"{type(error).__name__}: {error}", "kind": "AlgorithmError"}


if __name__ == "__main__":
    main()
