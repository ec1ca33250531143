"""A fitted flow as a container of a model: it comes before the one that predicts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clary.doors.python.artifacts import FLOW

if TYPE_CHECKING:
    from clary.doors.python.session import Session
    from clary.flows.serving import Served
    from clary.kernel.ports import JsonObject

_PROGRAM = Path(__file__).with_name("flow_program.py")


class Inference:
    """A flow and what it has learned, ready to come before a model; ``Flow.inference`` makes it."""

    def __init__(self, served: Served, accept: str) -> None:
        served.open()
        self._served = served
        self._accept = accept

    def __repr__(self) -> str:
        return f"<Inference of {self._served.node}>"

    def container(self, session: Session) -> JsonObject:
        """Pack it as a container, as ``Containers`` of CreateModel has them; uploads it."""
        settings = {
            "node": self._served.node,
            "absent": list(self._served.absent),
            "accept": self._accept,
        }
        members = {
            "flow.json": self._served.document.encode(),
            "fitted.json": self._served.state.encode(),
            "settings.json": json.dumps(settings).encode(),
            "code/inference.py": _PROGRAM.read_bytes(),
        }
        made = session.platform.sources.packed(members, session.ref("model", ""))
        image = f"python:{sys.version_info[0]}.{sys.version_info[1]}"
        return {**made, "Image": image, "Environment": {FLOW: self._served.node}}
