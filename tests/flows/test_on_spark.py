"""Every transform on a local Spark: the cells that DuckDB gives, or a refusal by name."""

import on_spark
import pytest
import spark_cases

from clary.kernel.errors import NotSupported

pytestmark = [pytest.mark.long, pytest.mark.timeout(1700)]


@pytest.fixture(scope="module")
def session():
    found = on_spark.Spark(on_spark.python())
    yield found
    found.close()


@pytest.mark.parametrize(
    "operator", sorted({operator for operator, _ in spark_cases.CASES}), ids=str
)
def test_cells_are_the_same(session, operator):
    for one, with_ in spark_cases.CASES:
        if one != operator:
            continue
        try:
            on_spark.assert_same(
                session, spark_cases.document(one, with_), spark_cases.SOURCES, "made"
            )
        except NotSupported as error:
            assert "the node made" in error.message  # noqa: PT017 one of many cases
