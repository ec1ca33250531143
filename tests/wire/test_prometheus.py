from __future__ import annotations

import base64
import http.client
from urllib.parse import urlsplit

import pytest


def scrape(server, **headers):
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=30)
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


@pytest.fixture
def key(server):
    pair = f"{server.keys['access_key_id']}:{server.keys['secret_access_key']}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def test_a_scrape_with_a_key_gives_what_is_under_way(server, key) -> None:
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="scraped")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    answer, body = scrape(server, Authorization=key)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "clary_up 1\n" in body
    assert 'clary_jobs{kind="training-job",status="InProgress"} 0\n' in body
    assert '{region="us-east-1",queue="scraped",state="visible"} 1\n' in body


@pytest.mark.parametrize(
    "sent", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer x"}]
)
def test_without_a_key_there_is_nothing(server, sent) -> None:
    answer, body = scrape(server, **sent)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert "clary_up" not in body


def test_a_bucket_may_be_called_metrics(server) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="metrics")
    s3.put_object(Bucket="metrics", Key="a", Body=b"b")
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="metrics")["Contents"]] == ["a"]
    s3.head_bucket(Bucket="metrics")
