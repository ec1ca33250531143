"""The limit of the server's figures: an ASGI application that does nothing, under the same uvicorn.

``python bare.py PORT ANSWER_BYTES``
"""

from __future__ import annotations

import sys

import uvicorn


def application(size):
    """Make an application that reads the body and answers ``size`` bytes."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(size).encode())]
    body = b" " * size

    async def answer(scope, receive, send):
        assert scope["type"] == "http"
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


if __name__ == "__main__":
    uvicorn.run(
        application(int(sys.argv[2])),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        lifespan="off",
        log_config=None,
        access_log=False,
    )
