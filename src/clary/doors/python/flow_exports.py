"""What a flow is written as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from clary.flows import local, spark
from clary.flows.differences import of_flows, of_learned
from clary.flows.exports import sql
from clary.flows.exports.python import program
from clary.flows.origins import told
from clary.flows.plans import ready
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.flows.differences import Difference
    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow


class Exports:
    """A flow as queries and programs, and where its columns come from."""

    document: Flow
    fitted: Fitted
    _node: str

    def origins(self) -> dict[str, list[str]]:
        """Tell of each column which columns of the sources it is computed from.

        Raises
        ------
        InvalidInput
            The flow has not been fitted.
        """
        return told(local.set_values(self.document, {}), self._node, self.fitted)

    def differences(self, other: Exports) -> list[Difference]:
        """Say what another flow has different, in its nodes and in what it has learned.

        Raises
        ------
        InvalidInput
            It is no flow.
        """
        if not isinstance(other, Exports):
            raise InvalidInput("other", f"{type(other).__name__}", legal="a Flow")
        found = of_flows(self.document, other.document)
        return found + of_learned(self.fitted, other.fitted)

    def to_sql(self, dialect: Literal["duckdb", "spark"] = "duckdb") -> str:
        """Write what was fitted as one query over tables that are called as the sources.

        Raises
        ------
        NotSupported
            A node has code of its own, or a function that Spark has not; names it.
        InvalidInput
            The flow has not been fitted.
        """
        write_query = spark.query if dialect == "spark" else sql.query
        return write_query(ready(local.set_values(self.document, {}), self._node, self.fitted))

    def to_python(self, title: str = "") -> str:
        """Write a program that makes this flow."""
        return program(self.document, title=title)
