"""Studies by Optuna, in memory: nothing of it is stored, so that our tables stay the only truth."""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import NotSupported
from clary.tuning.ranges import Choices, Integers, drawn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.tuning.ports import Sampling
    from clary.tuning.ranges import Range

_importing = threading.Lock()


class OptunaStudies:
    """Opens Optuna's studies."""

    def require(self) -> None:
        """Refuse when Optuna is not installed."""
        if importlib.util.find_spec("optuna") is None:
            raise NotSupported(
                "hyperparameter tuning needs Optuna, which is not installed beside the server",
                hint="pip install 'clary[tuning]'",
            )

    def open(
        self, ranges: Sequence[Range], sampling: Sampling, *, maximize: bool, seed: int
    ) -> OptunaStudy:
        """Begin a study that knows nothing yet. Raises NotSupported."""
        self.require()
        return OptunaStudy(ranges, sampling, maximize=maximize, seed=seed)


class OptunaStudy:
    """A study by Optuna's ask and tell.

    A sampler is made for each draw, seeded by the study's seed and the trial's number: so a
    process that takes over goes on as the one that died would have.
    """

    def __init__(
        self, ranges: Sequence[Range], sampling: Sampling, *, maximize: bool, seed: int
    ) -> None:
        with _importing:
            import optuna  # noqa: PLC0415 - half a second, and only who tunes has it

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._ranges = list(ranges)
        self._sampling = sampling
        self._seed = seed
        self._space = {one.name: _distribution(optuna, one) for one in ranges}
        self._study = optuna.create_study(direction="maximize" if maximize else "minimize")
        self._places: dict[int, int] = {}

    def ask(self, number: int) -> Mapping[str, str]:
        """Propose values for the next trial, and count it as running."""
        self._study.sampler = self._sampler(number)
        trial = self._study.ask(self._space)
        values = {one.name: one.text(trial.params[one.name]) for one in self._ranges}
        if drawn(self._ranges, values) == trial.params:
            self._places[number] = trial.number
        else:  # rounded on the way to its text: learn from what is tried, as after a restart
            self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
            self.add(number, values)
        return values

    def add(self, number: int, values: Mapping[str, str]) -> None:
        """Count a trial as running whose values came from elsewhere."""
        known = drawn(self._ranges, values)
        if known is None:
            return
        state = self._optuna.trial.TrialState.RUNNING
        self._places[number] = len(self._study.get_trials(deepcopy=False))
        self._study.add_trial(
            self._optuna.trial.create_trial(state=state, params=known, distributions=self._space)
        )

    def tell(self, number: int, value: float | None) -> None:
        """Say what a running trial gave; None when it failed."""
        place = self._places.get(number)
        if place is None:
            return
        state = self._optuna.trial.TrialState
        if value is None:
            self._study.tell(place, state=state.FAIL)
        else:
            self._study.tell(place, value, state=state.COMPLETE)

    def _sampler(self, number: int) -> Any:
        digest = hashlib.sha256(f"{self._seed}/{number}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        samplers = self._optuna.samplers
        if self._sampling == "Random":
            return samplers.RandomSampler(seed=seed)
        return samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _distribution(optuna: Any, one: Range) -> Any:
    kinds = optuna.distributions
    if isinstance(one, Choices):
        return kinds.CategoricalDistribution(one.values)
    log = one.scale != "Linear"
    if isinstance(one, Integers):
        return kinds.IntDistribution(one.low, one.high, log=log)
    return kinds.FloatDistribution(*one.interval, log=log)
