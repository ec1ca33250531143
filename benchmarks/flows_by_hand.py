"""The same preparation as one query that somebody wrote; as a program, from file to file."""

import sys

import duckdb

BY_HAND = """
WITH low AS (SELECT * REPLACE (lower(city) AS city, 'p_' || plan AS plan) FROM rows),
often AS (SELECT city FROM low GROUP BY 1 HAVING count(*) >= 1000),
rare AS (SELECT * REPLACE (if(city IN (FROM often), city, 'other') AS city) FROM low),
average AS (SELECT avg(income) AS mean FROM rare),
whole AS (SELECT rare.* REPLACE (coalesce(income, mean) AS income) FROM rare, average),
bounds AS (SELECT avg(income) AS m, stddev_samp(income) AS d FROM whole),
clipped AS (SELECT whole.* REPLACE (greatest(least(income, m + 4 * d), m - 4 * d) AS income),
  greatest(least(income, m + 4 * d), m - 4 * d) / (age + 1) AS ratio FROM whole, bounds),
scales AS (SELECT avg(income) AS mi, stddev_samp(income) AS di, avg(ratio) AS mr,
  stddev_samp(ratio) AS dr FROM clipped),
plans AS (SELECT plan, row_number() OVER (ORDER BY count(*) DESC, plan) - 1 AS plan_number
  FROM clipped GROUP BY plan)
SELECT id, age, (income - mi) / di AS income, (ratio - mr) / dr AS ratio,
  plan_number::DOUBLE AS plan_number,
  {cities}, year(seen) AS year FROM clipped JOIN plans USING (plan), scales
"""


def query() -> str:
    """Give the query over a table called rows."""
    cities = (f"if(city = 'city{n}', 1, 0)::DOUBLE AS city_{n}" for n in range(12))
    return BY_HAND.format(cities=", ".join(cities))


if __name__ == "__main__":
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(f"CREATE VIEW rows AS FROM read_parquet('{sys.argv[1]}')")
        connection.execute(f"COPY ({query()}) TO '{sys.argv[2]}' (FORMAT parquet)")
