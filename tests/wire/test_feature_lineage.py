"""From a feature group to what a query made of it, through the public lineage API."""

from __future__ import annotations

import time

from tests.wire.test_features import record, request


def until(found, wanted):
    deadline = time.monotonic() + 30
    while not wanted(answer := found()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    return answer


def test_a_query_s_result_goes_back_to_the_group(server, sagemaker, s3, name):
    s3.create_bucket(Bucket="features")
    group = sagemaker.create_feature_group(**request(name))["FeatureGroupArn"]
    runtime, athena = server.client("sagemaker-featurestore-runtime"), server.client("athena")
    runtime.put_record(FeatureGroupName=name, Record=record("7", income="1.5"))
    described = sagemaker.describe_feature_group(FeatureGroupName=name)
    table = described["OfflineStoreConfig"]["DataCatalogConfig"]["TableName"]
    query = athena.start_query_execution(
        QueryString=f'SELECT id, income FROM "sagemaker_featurestore"."{table}"',
        ResultConfiguration={"OutputLocation": "s3://features/answers"},
    )["QueryExecutionId"]
    until(
        lambda: athena.get_query_execution(QueryExecutionId=query),
        lambda said: said["QueryExecution"]["Status"]["State"] == "SUCCEEDED",
    )
    place = f"s3://features/answers/{query}.csv"
    [made] = sagemaker.list_artifacts(SourceUri=place)["ArtifactSummaries"]

    def above():
        return sagemaker.query_lineage(
            StartArns=[made["ArtifactArn"]], Direction="Ascendants", IncludeEdges=True
        )

    found = until(above, lambda said: {"FeatureGroup", "Query"} <= types(said))
    [shown] = [one["Arn"] for one in found["Vertices"] if one["Type"] == "FeatureGroup"]
    assert sagemaker.describe_artifact(ArtifactArn=shown)["Source"]["SourceUri"] == group
    assert {"ContributedTo", "Produced"} <= {one["AssociationType"] for one in found["Edges"]}
    [known] = sagemaker.list_artifacts(SourceUri=group)["ArtifactSummaries"]
    below = sagemaker.query_lineage(
        StartArns=[known["ArtifactArn"]], Direction="Descendants", Filters={"Types": ["DataSet"]}
    )
    assert made["ArtifactArn"] in {one["Arn"] for one in below["Vertices"]}


def types(said):
    return {one.get("Type") for one in said["Vertices"]}
