"""Telling people and programs outside: webhooks over HTTP, and mail over SMTP."""

from __future__ import annotations

import hashlib
import hmac
import smtplib
import ssl
import urllib.error
import urllib.request
from contextlib import closing
from email.message import EmailMessage
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from clary.kernel.codec import to_json
from clary.kernel.errors import InvalidInput, NotSupported, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.monitoring.channels import Channel

_TIMEOUT_S = 10.0
_PORTS = {"smtp": 587, "smtps": 465}
LEGAL = "smtp://user:password@host:587?from=clary@example.com, or smtps://…"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A webhook goes where its owner said, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


class Notices:
    """Implements ``monitoring.alerts.Sender``.

    Parameters
    ----------
    smtp
        The mail server, as the setting ``smtp`` has it; empty: there is none.

    Raises
    ------
    InvalidInput
        That is no such URL.
    """

    def __init__(self, smtp: str) -> None:
        if smtp and not _is_server(smtp):
            raise InvalidInput("smtp", "is no URL of a mail server", legal=LEGAL)
        self._smtp = smtp
        self._web = urllib.request.build_opener(_NoRedirects)

    def send(self, to: Channel, document: Mapping[str, Any], *, key: str) -> None:
        """Send a document to a channel; see the port."""
        if to.kind == "webhook":
            self._post(to, to_json(dict(document)), key)
        elif not self._smtp:
            raise NotSupported("mail needs a server: set CLARY_SMTP", hint=LEGAL)
        else:
            self._mail(to.target, document, key)

    def _post(self, to: Channel, body: bytes, key: str) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if to.secret:
            digest = hmac.new(to.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["Clary-Signature"] = f"sha256={digest}"
        request = urllib.request.Request(to.target, body, headers, method="POST")  # noqa: S310 - http or https, as the channel was made
        try:
            with self._web.open(request, timeout=_TIMEOUT_S):
                return
        except urllib.error.HTTPError as error:
            with closing(error):
                raise Unavailable(f"the webhook answered {error.code}") from None
        except OSError as error:
            raise Unavailable(f"the webhook could not be reached: {error}") from None
        except (HTTPException, ValueError) as error:
            said = f"the webhook's address or answer is not HTTP: {type(error).__name__}"
            raise Unavailable(said) from None

    def _mail(self, address: str, document: Mapping[str, Any], key: str) -> None:
        parts = urlsplit(self._smtp)
        message = _written(document)
        message["From"], message["To"] = _sender(self._smtp), address
        message["Message-ID"] = f"<{key}@{parts.hostname}>"
        context = ssl.create_default_context()
        port = parts.port or _PORTS[parts.scheme]
        try:
            with self._opened(str(parts.hostname), port, context) as server:
                if parts.username:
                    server.login(unquote(parts.username), unquote(parts.password or ""))
                server.send_message(message)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            raise Unavailable(f"the mail could not be sent: {type(error).__name__}") from None

    def _opened(self, host: str, port: int, context: ssl.SSLContext) -> smtplib.SMTP:
        if self._smtp.startswith("smtps:"):
            return smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_S, context=context)
        server = smtplib.SMTP(host, port, timeout=_TIMEOUT_S)
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=context)
        elif urlsplit(self._smtp).username:
            server.close()
            raise smtplib.SMTPException("a password is not sent without TLS")
        return server


def _is_server(smtp: str) -> bool:
    try:
        parts = urlsplit(smtp)
        return parts.scheme in _PORTS and bool(parts.hostname and _sender(smtp)) and parts.port != 0
    except ValueError:  # of a port or an address that is none
        return False


def _sender(smtp: str) -> str:
    [address] = parse_qs(urlsplit(smtp).query).get("from", [""])[:1]
    return address if "@" in address and not set("\r\n") & set(address) else ""


def _written(document: Mapping[str, Any]) -> EmailMessage:
    message = EmailMessage()
    state, count = document["state"], document["count"]
    plural = "" if count == 1 else "s"
    message["Subject"] = f"{document['schedule']}: {count} violation{plural} {state}"
    watched = document["endpoint"] or "batches"
    lines = [
        f"Schedule {document['schedule']} ({document['type']}) of {watched}",
        f"looked at {document['start']} to {document['end']}.",
        "",
    ]
    for one in document["violations"]:
        name = one.get("feature_name") or one.get("metric_name") or one.get("facet") or ""
        check, said = one.get("constraint_check_type", ""), one.get("description", "")
        lines.append(f"- {name}: {check}: {said}")
    if count > len(document["violations"]):
        lines.append(f"- and {count - len(document['violations'])} more")
    lines += ["", f"Report: {document['report']}", f"Execution: {document['execution']}"]
    if state == "violated":
        lines.append(f"What is behind it: clary monitor explain {document['schedule']}")
    message.set_content("\n".join(lines))
    return message
