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
    """Counts the requests of one variant: a microsecond each.

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
        self._lock = threading.Lock()

        def series(name: str, unit: str = "Count") -> Series:
            return recorder.series(NAMESPACE, name, where, unit, near=endpoint)

        self._invocations = series("Invocations")
        self._per_instance = series("InvocationsPerInstance")
        self._client_errors = series("Invocation4XXErrors")
        self._server_errors = series("Invocation5XXErrors")
        self._model_errors = series("InvocationModelErrors")
        self._model = series("ModelLatency", "Microseconds")
        self._overhead = series("OverheadLatency", "Microseconds")
        self._concurrent = recorder.gauge(
            INSTANCES, "ConcurrentRequestsPerModel", where, "Count", near=endpoint, read=self._peak
        )

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
        self._invocations.add(1.0)
        self._per_instance.add(1.0 / self.instances)
        self._client_errors.add(1.0 if 400 <= status < 500 else 0.0)
        self._server_errors.add(1.0 if status >= 500 else 0.0)
        self._model_errors.add(1.0 if status >= 400 else 0.0)
        self._model.add(model_s * 1e6)
        self._overhead.add(overhead_s * 1e6)

    def refused(self) -> None:
        """Count one that no instance could take."""
        with self._lock:
            self._under_way -= 1
        self._invocations.add(1.0)
        self._client_errors.add(0.0)
        self._server_errors.add(1.0)

    def _peak(self) -> float:
        """Say how many requests were under way at once, at most, since it was last asked."""
        with self._lock:
            most, self._most = self._most, self._under_way
        return float(most)


class Meters:
    """The meters of this process, one a variant."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._meters: dict[tuple[Ref, str], Meter] = {}
        self._lock = threading.Lock()

    def meter(self, endpoint: Ref, variant: str) -> Meter:
        """Give the meter of a variant."""
        with self._lock:
            key = (endpoint, variant)
            if key not in self._meters:
                self._meters[key] = Meter(self._recorder, endpoint, variant)
            return self._meters[key]

    def forget(self, endpoint: Ref) -> None:
        """Let the meters of an endpoint that nobody uses go."""
        with self._lock:
            for key in [key for key in self._meters if key[0] == endpoint]:
                del self._meters[key]
