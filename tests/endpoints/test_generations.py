"""What an endpoint configuration becomes: routes, fleets, and what an update keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.endpoints import requests
from clary.endpoints.capacities import scaled
from clary.endpoints.generations import generation, retained
from clary.endpoints.model import CaptureConfig, Serverless
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported


def variant(name="A", weight=1.0, count=1, **more):
    return {
        "VariantName": name,
        "ModelName": "m",
        "InitialInstanceCount": count,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": weight,
        **more,
    }


def document(*variants, **more):
    return {"EndpointConfigName": "c", "ProductionVariants": list(variants), **more}


def capture(**more):
    return {
        "InitialSamplingPercentage": 50,
        "DestinationS3Uri": "s3://b/p",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        **more,
    }


def test_fleets_are_named_by_uid_generation_and_variant():
    one = generation(document(variant("A", 3, 2), variant("B")), "ab12", 7)
    assert one.counts == {"ab12-7-A": 2, "ab12-7-B": 1}
    assert [(route.variant, route.weight) for route in one.routes] == [("A", 3.0), ("B", 1.0)]


@pytest.mark.parametrize(("weight", "percent"), [(0.5, 25.0), (2.0, 100.0), (9.0, 100.0), (0, 0.0)])
def test_a_shadow_gets_a_share_of_what_it_shadows(weight, percent):
    shadows = [variant("S", weight)]
    one = generation(document(variant("A", 2.0), ShadowProductionVariants=shadows), "u", 1)
    shadow = one.routes[1]
    assert (shadow.shadow, shadow.shadow_of, shadow.weight) == (percent, "A", 0.0)


def test_serverless_variants_have_no_instances():
    given = {"MemorySizeInMB": 1024, "MaxConcurrency": 3, "ProvisionedConcurrency": 2}
    asked = {"VariantName": "A", "ModelName": "m", "ServerlessConfig": given}
    (one,) = generation(document(asked), "u", 1).variants
    assert (one.count, one.serverless) == (0, Serverless(3, 1024, 2))


def test_what_is_captured():
    one = generation(document(variant(), DataCaptureConfig=capture()), "u", 1)
    assert one.capture == CaptureConfig("s3://b/p", 50.0)
    only = capture(CaptureOptions=[{"CaptureMode": "Output"}])
    assert generation(document(variant(), DataCaptureConfig=only), "u", 1).capture == CaptureConfig(
        "s3://b/p", 50.0, input=False
    )
    for nothing in (capture(EnableCapture=False), capture(InitialSamplingPercentage=0)):
        assert generation(document(variant(), DataCaptureConfig=nothing), "u", 1).capture is None


KEPT = ("DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig")


@given(
    old=st.dictionaries(st.sampled_from("ABC"), st.tuples(st.integers(1, 9), st.integers(0, 9))),
    new=st.dictionaries(
        st.sampled_from("ABC"), st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1
    ),
    excluded=st.sets(st.sampled_from(KEPT)),
    keep=st.booleans(),
)
def test_an_update_keeps_what_it_is_told_to(old, new, excluded, keep):
    def made(variants, number, uri):
        listed = [variant(name, weight, count) for name, (count, weight) in variants.items()]
        given = capture(DestinationS3Uri=uri)
        return generation(document(*listed, DataCaptureConfig=given), "u", number)

    before, after = made(old or {"Z": (1, 1)}, 1, "s3://old/"), made(new, 2, "s3://new/")
    view = build(
        requests.UpdateRequest,
        {
            "EndpointName": "e",
            "EndpointConfigName": "c",
            "RetainAllVariantProperties": keep,
            "ExcludeRetainedVariantProperties": [{"VariantPropertyType": x} for x in excluded],
        },
    )
    found = retained(after, before, view)
    for one in found.variants:
        count, weight = new[one.name]
        if keep and one.name in old and "DesiredInstanceCount" not in excluded:
            count = old[one.name][0]
        if keep and one.name in old and "DesiredWeight" not in excluded:
            weight = old[one.name][1]
        assert (one.count, one.weight, one.fleet) == (count, weight, f"u-2-{one.name}")
    kept = keep and "DataCaptureConfig" not in excluded
    assert found.capture.destination == ("s3://old/" if kept else "s3://new/")


def wanted(*changes):
    asked = {"EndpointName": "e", "DesiredWeightsAndCapacities": list(changes)}
    return build(requests.WeightsRequest, asked)


def test_weights_and_capacities_change_only_what_is_named():
    before = generation(document(variant("A"), variant("B")), "u", 1)
    after = scaled(
        before, wanted({"VariantName": "B", "DesiredWeight": 5, "DesiredInstanceCount": 4})
    )
    assert after.variants[0] == before.variants[0]
    assert (after.variants[1].weight, after.variants[1].count) == (5.0, 4)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ([{"VariantName": "X"}], InvalidInput),
        ([{"VariantName": "A"}, {"VariantName": "A"}], InvalidInput),
        ([{"VariantName": "A", "DesiredInstanceCount": 0}], InvalidInput),
        ([{"VariantName": "A", "DesiredInstanceCount": 65}], LimitExceeded),
        ([{"VariantName": "A", "ServerlessUpdateConfig": {"MaxConcurrency": 1}}], InvalidInput),
    ],
)
def test_changes_that_cannot_be(change, error):
    with pytest.raises(error):
        scaled(generation(document(variant("A")), "u", 1), wanted(*change))


def test_asynchronous_endpoints_may_have_no_instance():
    asked = document(
        variant("A"), AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://b/o"}}
    )
    found = scaled(
        generation(asked, "u", 1), wanted({"VariantName": "A", "DesiredInstanceCount": 0})
    )
    assert found.counts == {"u-1-A": 0}


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"ExplainerConfig": {"ClarifyExplainerConfig": {}}}, NotSupported),
        ({"CrossRegionTrafficConfig": {}}, NotSupported),
        ({"ShadowProductionVariants": [variant("S"), variant("T")]}, InvalidInput),
        ({"ShadowProductionVariants": [variant("A")]}, InvalidInput),
        ({"DataCaptureConfig": capture(InitialSamplingPercentage=101)}, InvalidInput),
        ({"DataCaptureConfig": capture(CaptureOptions=[{"CaptureMode": "All"}])}, InvalidInput),
        ({"AsyncInferenceConfig": {}}, InvalidInput),
    ],
)
def test_documents_that_cannot_be(members, error):
    with pytest.raises(error):
        requests.config(document(variant("A"), **members))


@pytest.mark.parametrize("name", ["../up", "a/b", "", "-a", "a\n", "a" * 64, ".."])
def test_names_that_could_be_paths_are_refused(name):
    with pytest.raises(InvalidInput):
        requests.config(document(variant(name)))
    with pytest.raises(InvalidInput):
        build(requests.EndpointRequest, {"EndpointName": name, "EndpointConfigName": "c"})
