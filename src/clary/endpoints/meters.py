"""What the requests of a variant come to: counts and latencies, in CloudWatch's names."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clary.kernel.names import Ref
    from clary.metrics.recorder import Recorder, Series

NAMESPACE = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"


class Meter:
    """Counts the requests of one variant; a request costs a microsecond, ``flush`` the rest.

    Attributes
    ----------
    requests
        How many there were.
    instances
        How many share them.
    """

    def __init__(self, recorder: Recorder, endpoint: Ref, variant: str) -> None:
        where = {"EndpointName": endpoint.name, "VariantName": variant}
        self.requests = 0
        self.instances = 1
        self._under_way = 0
        self._most = 0
        self._ended: list[tuple[float, float, int]] = []
        self._lock = threading.Lock()

        def series(name: str, unit: str = "Count", namespace: str = NAMESPACE) -> Series:
            return recorder.series(namespace, name, where, unit, near=endpoint)

        self._invocations = series("Invocations")
        self._per_instance = series("InvocationsPerInstance")
        self._client_errors = series("Invocation4XXErrors")
        self._server_errors = series("Invocation5XXErrors")
        self._model_errors = series("InvocationModelErrors")
        self._model = series("ModelLatency", "Microseconds")
        self._overhead = series("OverheadLatency", "Microseconds")
        self._concurrent = series("ConcurrentRequestsPerModel", namespace=INSTANCES)

    def enter(self) -> None:
        """Count a request that begins."""
        with self._lock:
            self.requests += 1
            self._under_way += 1
            self._most = max(self._most, self._under_way)

    def leave(self, model_s: float, overhead_s: float, status: int) -> None:
        """Count its end: what the model took, what everything else took, and the HTTP status."""
        with self._lock:
            self._under_way -= 1
            self._ended.append((model_s, overhead_s, status))

    def refused(self) -> None:
        """Count one that no instance could take."""
        with self._lock:
            self._under_way -= 1
        self._invocations.add(1.0)
        self._client_errors.add(0.0)
        self._server_errors.add(1.0)

    def flush(self) -> None:
        """Hand over what has ended since the last time."""
        with self._lock:
            ended, self._ended = self._ended, []
            most, self._most = self._most, self._under_way
        self._concurrent.add(float(most))
        if not ended:
            return
        total = len(ended)
        client = sum(400 <= status < 500 for _, _, status in ended)
        server = sum(status >= 500 for _, _, status in ended)
        self._invocations.add(1.0, total)
        self._per_instance.add(1.0 / self.instances, total)
        for series, count in (
            (self._client_errors, client),
            (self._server_errors, server),
            (self._model_errors, client + server),
        ):
            series.add(1.0, count)
            series.add(0.0, total - count)
        for model_s, overhead_s, _ in ended:
            self._model.add(model_s * 1e6)
            self._overhead.add(overhead_s * 1e6)


class Meters:
    """The meters of this process, one a variant."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._meters: dict[tuple[Ref, str], Meter] = {}
        self._lock = threading.Lock()
        self._is_polled = False

    def meter(self, endpoint: Ref, variant: str) -> Meter:
        """Give the meter of a variant."""
        with self._lock:
            if not self._is_polled:
                self._recorder.poll(self._flush)
                self._is_polled = True
            key = (endpoint, variant)
            if key not in self._meters:
                self._meters[key] = Meter(self._recorder, endpoint, variant)
            return self._meters[key]

    def _flush(self) -> None:
        for meter in list(self._meters.values()):
            meter.flush()

    def forget(self, endpoint: Ref) -> None:
        """Let the meters of an endpoint that nobody uses go."""
        with self._lock:
            for key in [key for key in self._meters if key[0] == endpoint]:
                self._meters.pop(key).flush()
