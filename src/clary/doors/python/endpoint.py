"""An endpoint for the jobs of a session: a bound port, and a server once somebody connects."""

from __future__ import annotations

import importlib
import logging
import os
import select
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.governance.presence import Presence, announce, hold
from clary.kernel.clock import now
from clary.kernel.errors import Conflict

if TYPE_CHECKING:
    from clary.platform import Platform

_SERVER = "clary.doors.wire.server"
"""Imported when the first client connects; most sessions have none."""
_TRY_AGAIN_S = 1.0
_LOOK_S = 0.5
_BACKLOG = 128
_log = logging.getLogger(__name__)


class Endpoint:
    """Answers for a home for as long as no server does; costs a thread that sleeps."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stopping = threading.Event()
        self._settled = threading.Event()
        self._server: Any = None
        self._thread = threading.Thread(target=self._run, name="clary-endpoint", daemon=True)

    def start(self) -> None:
        """Announce an address, unless a server runs; returns when one of both can be found."""
        self._thread.start()
        self._settled.wait()

    def stop(self) -> None:
        """Let go of the address; what is being answered is answered first."""
        self._stopping.set()
        if self._server is not None:
            self._server.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        """Take the home's place of a server whenever it is free."""
        home = self._platform.config.home
        while not self._stopping.is_set():
            try:
                with hold(home):
                    self._answer()
            except Conflict:
                self._settled.set()
                self._stopping.wait(_TRY_AGAIN_S)
            except Exception:
                _log.exception("the endpoint of %s has ended", home)
                self._settled.set()
                return

    def _answer(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            bound.listen(_BACKLOG)
            endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"
            announce(self._platform.config.home, Presence(endpoint, os.getpid(), now()))
            self._settled.set()
            visitors = select.poll()  # not select(), which knows no file above 1023
            visitors.register(bound, select.POLLIN)
            while not self._stopping.is_set():
                if visitors.poll(_LOOK_S * 1000):
                    self._serve(bound)

    def _serve(self, bound: socket.socket) -> None:
        config = replace(self._platform.config, host="127.0.0.1")
        server = importlib.import_module(_SERVER)
        self._server = server.Server(replace(self._platform, config=config), bound=bound.dup())
        if not self._stopping.is_set():
            self._server.run()
