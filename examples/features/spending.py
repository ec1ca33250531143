"""Who buys again? Groups, a view, a training set, a model, an online vector, and no skew."""

from datetime import UTC, datetime, timedelta

import pandas as pd
from sklearn.linear_model import LogisticRegression

import clary

PEOPLE = [f"person {n}" for n in range(40)]
FEATURES = ["share", "orders_30d"]


@clary.step
def train(rows: pd.DataFrame) -> LogisticRegression:
    return LogisticRegression().fit(rows[FEATURES].fillna(0), rows["bought_again"])


@clary.pipeline
def churn(rows: clary.File) -> None:
    clary.register(train(rows), group="Churn")


def main() -> None:
    session, now = clary.connect(), datetime.now(UTC).replace(microsecond=0)
    days = [now - timedelta(days=90 - n) for n in range(90)]

    # two groups: what is known of people, and what they bought
    key = {"identifier": "id", "event_time": "at"}
    people = clary.FeatureGroup("people", **key, features={"income": float})
    orders = clary.FeatureGroup("orders", **key, features={"amount": float})
    incomes = [1_000.0 + 50 * n for n in range(len(PEOPLE))]
    people.ingest(pd.DataFrame({"id": PEOPLE, "at": days[0], "income": incomes}))
    bought = [
        (who, day, 5.0 + n % 17)
        for n, who in enumerate(PEOPLE)
        for at, day in enumerate(days)
        if (n + at) % (3 + n % 20) == 0
    ]
    orders.ingest(pd.DataFrame(bought, columns=["id", "at", "amount"]))

    # one definition, for training and for serving
    window = {"group": "orders", "of": "amount", "window": "30d"}
    spending = session.views.define(
        "spending",
        {"share": "spent_30d / income", "orders_30d": "orders_30d"},
        sources={"people": ["income"]},
        aggregates={
            "spent_30d": {**window, "function": "sum"},
            "orders_30d": {**window, "function": "count"},
        },
    ).wait()

    # what was true at the time of each label, written down for a pipeline
    again = [int(n % 20 < 8) for n in range(len(PEOPLE))]
    labels = pd.DataFrame({"id": PEOPLE, "event_time": days[60], "bought_again": again})
    place = f"s3://{session.bucket}/spending/{now:%Y%m%dT%H%M%S}.parquet"
    print(spending.training_set(labels, to=place).head(3))
    churn.start(rows=place).wait()

    # what is true now; what was served is what a batch computes
    print(spending.vector({"id": "person 7"}, logged=True))
    report = spending.skew()
    print(f"{len(report.differences)} differences in {report.cells} cells")
    for use in people.usage("income"):
        print(use["kind"], use["name"])


if __name__ == "__main__":
    main()
