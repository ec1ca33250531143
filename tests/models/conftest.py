import pytest

from clary.adapters.files import FileObjects
from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket
from clary.lineage.service import Lineage
from clary.models.service import Models

ACCOUNT, REGION = "123456789012", "us-east-1"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3"
URI = "s3://data/model.tar.gz"
GROUP = Ref(ACCOUNT, REGION, "model-package-group", "abalone")
MODEL = Ref(ACCOUNT, REGION, "model", "abalone")
NEAR = Ref(ACCOUNT, REGION, "model-package", "")


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    yield store
    store.close()


@pytest.fixture
def objects(tmp_path):
    objects = FileObjects(tmp_path / "buckets")
    objects.create_bucket(Bucket("data", ACCOUNT, REGION, now()))
    objects.put("data", "model.tar.gz", [b"model"])
    return objects


@pytest.fixture
def lineage(store):
    return Lineage(store)


@pytest.fixture
def models(store, objects, lineage):
    return Models(store, objects, lineage)


@pytest.fixture
def group(models):
    models.create_group(GROUP, {"ModelPackageGroupName": "abalone"}, actor="ada")
    return GROUP


def container(**more):
    return {"Image": IMAGE, "ModelDataUrl": URI, **more}


def package(**more):
    specification = {"Containers": [container()], "SupportedContentTypes": ["text/csv"]}
    names = {} if "ModelPackageName" in more else {"ModelPackageGroupName": "abalone"}
    return {**names, "InferenceSpecification": specification, **more}
