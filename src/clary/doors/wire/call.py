"""What an operation is given: who asks, where, and for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clary.governance.model import Identity
    from clary.kernel.ports import JsonObject
    from clary.platform import Platform


@dataclass(frozen=True, slots=True)
class Call:
    """One validated request.

    Parameters
    ----------
    platform
        The services.
    account, region
        Where the call acts: the caller's account, and the region it signed for.
    actor
        Who asks, as the journal writes it.
    params
        The members of the operation's input shape that were sent, under the shape's own names:
        timestamps are datetimes, blobs bytes, a streaming ``Body`` an ``Iterable[bytes]`` that
        raises before its end when a signature or checksum of it is wrong. Null members are absent.
    request_id
        Names the request in answers and in the server's log.
    identity
        The credential behind the request.
    trace
        Its ``traceparent``, if it is part of a trace.
    """

    platform: Platform
    account: str
    region: str
    actor: str
    params: JsonObject
    request_id: str
    identity: Identity
    trace: str = ""
