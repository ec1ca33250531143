"""A model's predictions from inside a job: by an endpoint that is there, or one of its own.

The endpoint of a job's own (``predictor.model_name``) is made when it starts to ask, and deleted
when it has ended, however it ends.
"""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from clary.kernel.errors import ClaryError, InvalidInput
from clary.monitoring.leftovers import mark
from clary.monitoring.programs.model_requests import Exchange, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from clary.monitoring.programs.clarify_config import Predictor

ROWS_A_REQUEST = 1_000
_MOST_BYTES = 1 << 20
_PATIENCE_S = 900.0
_PREFIX = "sm-clarify"


class Endpoint:
    """An endpoint that answers.

    Parameters
    ----------
    settings
        How to ask, and how to read answers.
    features
        The features' names, in the order of rows.
    """

    def __init__(self, name: str, settings: Predictor, features: Sequence[str]) -> None:
        self.name = name
        self._settings = settings
        self._exchange = Exchange(settings, features)
        self._runtime = client("sagemaker-runtime")

    def answers(self, rows: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """Ask for rows in order, many a request: one value, list or object a row.

        Raises
        ------
        ClaryError
            The model refuses a request; says why.
        InvalidInput
            It gives not one answer a row.
        """
        most = ROWS_A_REQUEST if self._exchange.takes_many else 1
        batch: list[Sequence[Any]] = []
        size = 0
        for row in rows:
            batch.append(row)
            size += sum(len(str(one)) + 1 for one in row)
            if len(batch) >= most or size >= _MOST_BYTES:
                yield from self._ask(batch)
                batch, size = [], 0
        if batch:
            yield from self._ask(batch)

    def _ask(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        more = {}
        if self._settings.custom_attributes:
            more["CustomAttributes"] = self._settings.custom_attributes
        if self._settings.target_model:
            more["TargetModel"] = self._settings.target_model
        try:
            reply = self._runtime.invoke_endpoint(
                EndpointName=self.name,
                ContentType=self._exchange.content_type,
                Accept=self._exchange.accept,
                Body=self._exchange.body(rows),
                **more,
            )
            body = reply["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise ClaryError(f"the model did not answer: {error}") from error
        return self._exchange.answers(body, len(rows))


def prediction(answer: Any, settings: Predictor, threshold: float) -> Any:
    """Read what a model predicts for one row: its label, its score, or its amount.

    With ``label`` and ``probability`` it is the label of the highest score; a list of scores with
    ``label_headers`` gives the header of the highest; one score with one header, that header or
    ``not`` that header, by the threshold.

    Raises
    ------
    InvalidInput
        The answer has nothing where the settings say.
    """
    labels: Any = list(settings.labels)
    value = answer
    if settings.label is not None:
        value = find(answer, settings.label, field="predictor.label")
    if settings.probability is not None:
        scores = find(answer, settings.probability, field="predictor.probability")
        labels = value if settings.label is not None and isinstance(value, list) else labels
        value = value if settings.label is not None and not isinstance(value, list) else scores
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if isinstance(value, list):
        return _highest(value, labels, answer)
    if isinstance(value, dict):
        raise InvalidInput("predictor.label", f"which member of {answer!r:.200} is the label?")
    if len(labels) == 1 and isinstance(value, (int, float)):
        return labels[0] if value > threshold else f"not {labels[0]}"
    return value


def _highest(scores: list[Any], labels: list[Any], answer: Any) -> Any:
    if len(labels) != len(scores):
        problem = f"names {len(labels)} labels, and the answer {answer!r:.200} has {len(scores)}"
        raise InvalidInput("predictor.label_headers", problem)
    return labels[max(range(len(scores)), key=lambda place: float(scores[place]))]


def scores(answer: Any, settings: Predictor) -> list[float]:
    """Read the numbers that a model gives one row: its scores, or its amount.

    Raises
    ------
    InvalidInput
        There are none where the settings say.
    """
    value, place = answer, settings.probability
    place = settings.label if place is None else place
    if place is not None:
        value = find(answer, place, field="predictor.label or probability")
    try:
        return [float(one) for one in (value if isinstance(value, list) else [value])]
    except (TypeError, ValueError):
        problem = f"the answer {answer!r:.200} has no numbers to explain"
        legal = "predictor.probability: where in an answer they are"
        raise InvalidInput("predictor", problem, legal=legal) from None


@contextmanager
def endpoint(settings: Predictor, features: Sequence[str]) -> Iterator[Endpoint]:
    """Give the endpoint of the settings; one for their model is deleted at the end.

    Raises
    ------
    InvalidInput
        They name neither a model nor an endpoint.
    ClaryError
        The endpoint does not come into service; says why.
    """
    if settings.endpoint_name:
        yield Endpoint(settings.endpoint_name, settings, features)
        return
    if not settings.model_name:
        raise InvalidInput("predictor", "names neither model_name nor endpoint_name")
    name = _name(settings)
    sagemaker = client("sagemaker")
    with _ending_on_sigterm():
        try:
            _make(sagemaker, name, settings)
            yield Endpoint(name, settings, features)
        except (BotoCoreError, ClientError) as error:
            raise ClaryError(f"the model {settings.model_name} cannot be asked: {error}") from error
        finally:
            _delete(sagemaker, name)


def _name(settings: Predictor) -> str:
    """Name the endpoint after the job: an attempt that died before left one of the same name."""
    job = os.environ.get("PROCESSING_JOB_NAME", "") or str(os.getpid())
    prefix = re.sub(r"[^a-zA-Z0-9-]", "-", settings.endpoint_name_prefix or _PREFIX)[:40].strip("-")
    return f"{prefix or _PREFIX}-{mark(job)}"


def _make(sagemaker: Any, name: str, settings: Predictor) -> None:
    _delete(sagemaker, name)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": settings.model_name,
        "InitialInstanceCount": settings.initial_instance_count,
        "InstanceType": settings.instance_type,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    until = time.monotonic() + _PATIENCE_S
    pause_s = 0.05
    while True:
        found = sagemaker.describe_endpoint(EndpointName=name)
        if found["EndpointStatus"] == "InService":
            return
        if found["EndpointStatus"] != "Creating":
            reason = found.get("FailureReason", found["EndpointStatus"])
            raise ClaryError(f"the model {settings.model_name} cannot be served: {reason}")
        if time.monotonic() > until:
            raise ClaryError(f"the model {settings.model_name} is not in service after 15 minutes")
        time.sleep(pause_s)
        pause_s = min(2.0, 1.5 * pause_s)


def _delete(sagemaker: Any, name: str) -> None:
    """Delete what there is of an endpoint and its configuration."""
    for delete, named in (
        (sagemaker.delete_endpoint, {"EndpointName": name}),
        (sagemaker.delete_endpoint_config, {"EndpointConfigName": name}),
    ):
        try:
            delete(**named)
        except ClientError as error:
            if "ould not find" not in str(error):
                raise


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let a job that is stopped run through its ``finally``."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def download(uri: str, folder: Path) -> Sequence[Path]:
    """Copy the objects of an S3 prefix into a folder, which is made; return the files in order.

    Raises
    ------
    InvalidInput
        It is no S3 URI, or there is nothing.
    ClaryError
        It cannot be read; says why.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise InvalidInput(
            "uri", f"{uri!r} names nothing that can be read", legal="s3://bucket/key"
        )
    folder.mkdir(parents=True)
    s3, found = client("s3"), []
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        for number, key in enumerate(key for key in keys if not key.endswith("/")):
            file = folder / f"{number:06}"
            with file.open("wb") as target:
                body = s3.get_object(Bucket=bucket, Key=key)["Body"]
                for part in body.iter_chunks(1 << 20):
                    target.write(part)
            found.append(file)
    except (BotoCoreError, ClientError) as error:
        raise ClaryError(f"{uri} cannot be read: {error}") from error
    if not found:
        raise InvalidInput("uri", f"there is nothing at {uri}")
    return found


def client(service: str) -> Any:
    """Make a client of the platform that runs the job."""
    retries = {"max_attempts": 5, "mode": "standard"}
    return get_session().create_client(service, config=Config(retries=retries, read_timeout=300))
