"""Queries over offline records, as boto3 sees them."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/features"
PLACE = "s3://athena-results/here/"
ROWS = [
    ("1", "2024-01-01T00:00:00Z", "10.5", "a"),
    ("1", "2024-01-02T00:00:00Z", "11.5", 'b,"c" d'),
    ("2", "2024-01-01T12:00:00Z", None, ""),
]
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


@pytest.fixture(scope="module")
def athena(server):
    return server.client("athena")


@pytest.fixture(scope="module")
def table(server):
    """The table of a group with three records."""
    sagemaker = server.client("sagemaker")
    records = server.client("sagemaker-featurestore-runtime")
    server.client("s3").create_bucket(Bucket="athena-results")
    kinds = {"id": "Integral", "at": "String", "income": "Fractional", "City": "String"}
    sagemaker.create_feature_group(
        FeatureGroupName="asked",
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": name, "FeatureType": kind} for name, kind in kinds.items()
        ],
        RoleArn=ROLE,
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": "s3://athena-results/groups"}},
    )
    for row in ROWS:
        records.put_record(
            FeatureGroupName="asked",
            Record=[
                {"FeatureName": name, "ValueAsString": value}
                for name, value in zip(kinds, row, strict=True)
                if value is not None
            ],
        )
    found = sagemaker.describe_feature_group(FeatureGroupName="asked")
    return found["OfflineStoreConfig"]["DataCatalogConfig"]["TableName"]


def start(athena, text, place=PLACE, **more):
    return athena.start_query_execution(
        QueryString=text,
        QueryExecutionContext={"Catalog": "AwsDataCatalog", "Database": "sagemaker_featurestore"},
        ResultConfiguration={"OutputLocation": place},
        **more,
    )["QueryExecutionId"]


def end(athena, name):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]
        if found["Status"]["State"] in ENDED:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def run(athena, text):
    name = start(athena, text)
    found = end(athena, name)
    assert found["Status"]["State"] == "SUCCEEDED", found["Status"]
    return name


def rows(answer):
    return [[one.get("VarCharValue") for one in row["Data"]] for row in answer["ResultSet"]["Rows"]]


def test_all_records_are_asked_in_trinos_sql(server, athena, table):
    name = run(
        athena,
        f'SELECT id, at, income, city, is_deleted, id / 2 AS half, "write_time" > from_unixtime(0)'
        f' AS is_new FROM "AwsDataCatalog"."sagemaker_featurestore"."{table}" WHERE'
        " from_iso8601_timestamp(at) >= from_unixtime(0) AND"
        " write_time > to_timestamp('2024-01-01 00:00:00', 'yyyy-mm-dd hh24:mi:ss')"
        " ORDER BY id, at",
    )
    answer = athena.get_query_results(QueryExecutionId=name)
    assert rows(answer) == [
        ["id", "at", "income", "City", "is_deleted", "half", "is_new"],
        *[[*row, "false", {"1": "0", "2": "1"}[row[0]], "true"] for row in ROWS],
    ]
    kinds = [one["Type"] for one in answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]]
    assert kinds == ["bigint", "varchar", "double", "varchar", "boolean", "bigint", "boolean"]
    found = athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]
    place = found["ResultConfiguration"]["OutputLocation"]
    assert place == f"{PLACE}{name}.csv"
    body = server.client("s3").get_object(Bucket="athena-results", Key=f"here/{name}.csv")["Body"]
    assert body.read().startswith(b'"id","at","income","City",')


def test_results_come_in_pages(athena, table):
    name = run(athena, f"SELECT id, at FROM {table} ORDER BY at")
    pages = athena.get_paginator("get_query_results").paginate(
        QueryExecutionId=name, PaginationConfig={"PageSize": 2}
    )
    found = [rows(page) for page in pages]
    assert [len(page) for page in found] == [2, 2]
    assert [row[0] for page in found for row in page] == ["id", "1", "2", "1"]


def test_csv_files_are_tables_until_they_are_dropped(server, athena, table):
    s3 = server.client("s3")
    s3.put_object(Bucket="athena-results", Key="base/1.csv", Body=b"1,2024-01-03,0.5\n")
    s3.put_object(Bucket="athena-results", Key="base/2.csv", Body=b"2,,x\n")
    s3.put_object(Bucket="athena-results", Key="basement.csv", Body=b"3,,\n")
    text = (
        "CREATE EXTERNAL TABLE base_1 (id INT, day STRING, weight DOUBLE) ROW FORMAT SERDE"
        " 'org.apache.hadoop.hive.serde2.OpenCSVSerde' WITH SERDEPROPERTIES"
        ' ("separatorChar" = ",", "quoteChar" = "`", "escapeChar" = "\\\\")'
        " LOCATION 's3://athena-results/base';"
    )
    run(athena, text)
    joined = f"SELECT b.*, count(*) AS n FROM base_1 b JOIN {table} t ON b.id = t.id GROUP BY ALL"
    answer = athena.get_query_results(QueryExecutionId=run(athena, f"{joined} ORDER BY b.id"))
    assert rows(answer)[1:] == [["1", "2024-01-03", "0.5", "2"], ["2", "", None, "1"]]
    again = end(athena, start(athena, text))
    assert again["Status"]["State"] == "FAILED"
    assert "base_1 already exists" in again["Status"]["StateChangeReason"]
    run(athena, "DROP TABLE base_1")
    run(athena, "DROP TABLE IF EXISTS base_1")
    assert end(athena, start(athena, joined))["Status"]["State"] == "FAILED"


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("SELECT nothing FROM {table}", PLACE, "nothing"),
        ("SELECT 1 FROM elsewhere.people", PLACE, "elsewhere"),
        ("SELECT FROM WHERE", PLACE, "query"),
        ("SELECT 1; SELECT 2", PLACE, "2 statements"),
        ("DELETE FROM {table}", PLACE, "DELETE is not offered"),
        ("SELECT * FROM read_csv('/etc/passwd')", PLACE, "not offered as a table"),
        ('SELECT * FROM "/etc/passwd"', PLACE, "etc/passwd"),
        ("SELECT 1", "s3://no-such-bucket/x", "bucket no-such-bucket"),
        ("CREATE TABLE x AS SELECT 1", PLACE, "this CREATE is not offered"),
        ("SELECT date_parse('soon', '%Y') AS x", PLACE, "soon"),
    ],
)
def test_what_cannot_be_answered_fails_with_its_reason(athena, table, text, place, says):
    status = end(athena, start(athena, text.format(table=table), place))["Status"]
    assert status["State"] == "FAILED"
    assert says in status["StateChangeReason"]


def test_a_token_starts_one_query(athena):
    token = "t" * 32
    name = start(athena, "SELECT 1 AS one", ClientRequestToken=token)
    assert start(athena, "SELECT 1 AS one", ClientRequestToken=token) == name
    with pytest.raises(ClientError, match="was used for another query"):
        start(athena, "SELECT 2 AS two", ClientRequestToken=token)
    assert name in athena.list_query_executions()["QueryExecutionIds"]


def test_a_long_query_is_stopped(athena):
    name = start(
        athena,
        "SELECT count(*) FROM UNNEST(sequence(1, 100000)) a(x), "
        "UNNEST(sequence(1, 100000)) b(y), UNNEST(sequence(1, 1000)) c(z) WHERE x*y*z = 7",
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]["Status"]
        if found["State"] == "RUNNING":
            break
        time.sleep(0.01)
    athena.stop_query_execution(QueryExecutionId=name)
    assert end(athena, name)["Status"]["State"] == "CANCELLED"
    run(athena, "SELECT 1 AS one")
    with pytest.raises(ClientError, match="is CANCELLED"):
        athena.get_query_results(QueryExecutionId=name)


def test_unknown_queries_are_said_to_be_so(athena):
    with pytest.raises(ClientError, match=r"InvalidRequestException.*was not found"):
        athena.get_query_execution(QueryExecutionId="no-such")
    found = athena.batch_get_query_execution(QueryExecutionIds=["no-such"])
    assert found["UnprocessedQueryExecutionIds"][0]["QueryExecutionId"] == "no-such"
    with pytest.raises(ClientError, match="names nothing that can be read"):
        start(athena, "SELECT 1", "somewhere")
