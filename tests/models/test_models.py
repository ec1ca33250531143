import pytest
from tests.models.conftest import IMAGE, MODEL, NEAR, URI, container, package

from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.names import arn


def create(models, **request):
    return models.create_model(MODEL, {"ModelName": "abalone", **request}, actor="ada")


def test_a_model_is_described_as_it_was_made(models, store, lineage):
    request = {
        "ModelName": "abalone",
        "PrimaryContainer": container(Environment={"A": "1"}),
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/ClaryRole",
    }
    tagged = {**request, "Tags": [{"Key": "team", "Value": "sea"}]}
    models.create_model(MODEL, tagged, actor="ada", tags={"team": "sea"})
    document = models.describe_model(MODEL)
    assert document.items() >= request.items()
    assert document["ModelArn"] == arn(MODEL)
    assert "Tags" not in document
    assert store.tags(MODEL) == {"team": "sea"}
    (data,) = lineage.tree(MODEL).children
    assert (data.role, data.uri) == ("model", URI)
    with pytest.raises(AlreadyExists):
        create(models, PrimaryContainer=container())
    models.delete_model(MODEL, actor="ada")
    with pytest.raises(NotFound):
        models.describe_model(MODEL)
    assert [event.action for event in store.events()] == ["model.created", "model.deleted"]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({}, "PrimaryContainer: not exactly one of both is given"),
        ({"PrimaryContainer": {}, "Containers": [{}]}, "PrimaryContainer: not exactly one"),
        ({"PrimaryContainer": {}}, "PrimaryContainer: not exactly one.*Image or ModelPackageName"),
        ({"Containers": [container(), {"Image": 5}]}, r"Containers\[1\]\.Image: Expected"),
        (
            {"PrimaryContainer": container(ModelDataUrl="s3://data/none.tar.gz")},
            r"PrimaryContainer\.ModelDataUrl: s3://data/none\.tar\.gz does not exist",
        ),
        (
            {"Containers": [container(ModelDataUrl="s3://nowhere/x")]},
            r"Containers\[0\]\.ModelDataUrl: s3://nowhere/x does not exist",
        ),
        (
            {"PrimaryContainer": container(ModelDataUrl="https://x/y")},
            r"ModelDataUrl: 'https://x/y'; legal: s3://<bucket>/<key>",
        ),
        (
            {"PrimaryContainer": container(ModelDataUrl="s3://data/")},
            r"ModelDataUrl: 's3://data/'; legal",
        ),
    ],
)
def test_what_cannot_serve_is_refused_by_member(models, store, request_, problem):
    with pytest.raises(InvalidInput, match=problem):
        create(models, **request_)
    assert store.get(MODEL) is None


def test_a_model_may_lie_unpacked_below_a_prefix(models, objects, lineage):
    source = {
        "S3DataSource": {
            "S3Uri": "s3://data/unpacked/",
            "S3DataType": "S3Prefix",
            "CompressionType": "None",
        }
    }
    unpacked = {"Image": IMAGE, "ModelDataSource": source}
    with pytest.raises(InvalidInput, match=r"S3Uri: s3://data/unpacked/ does not exist"):
        create(models, PrimaryContainer=unpacked)
    objects.put("data", "unpacked/xgboost-model", [b"model"])
    create(models, PrimaryContainer=unpacked)
    (data,) = lineage.tree(MODEL).children
    assert lineage.artifact(data.ref).files[0].path == "xgboost-model"


def test_a_model_may_come_from_a_package(models, group, lineage):
    made = models.create_package(NEAR, package(), actor="ada")
    for name in (arn(made.ref), "abalone/1"):
        create(models, Containers=[{"ModelPackageName": name}])
        (found,) = lineage.tree(MODEL).children
        assert found.ref == made.ref
        assert found.children[0].uri == URI
        models.delete_model(MODEL, actor="ada")
    elsewhere = arn(made.ref).replace("123456789012", "210987654321")
    for name in ("abalone/2", "other", elsewhere):
        with pytest.raises(NotFound):
            create(models, Containers=[{"ModelPackageName": name}])
    with pytest.raises(InvalidInput, match=r"Containers\[0\]\.ModelPackageName: .* is a model"):
        create(models, Containers=[{"ModelPackageName": arn(MODEL)}])
