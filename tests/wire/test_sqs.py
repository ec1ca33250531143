"""Queues, as boto3 sees them."""

import hashlib
import json
import threading
import time

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def sqs(server):
    return server.client("sqs")


@pytest.fixture
def queue(sqs, name):
    return sqs.create_queue(QueueName=name)["QueueUrl"]


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value


def receive(sqs, url, **more):
    return sqs.receive_message(QueueUrl=url, **more).get("Messages", [])


def attributes(sqs, url, *names):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names or ["All"]))[
        "Attributes"
    ]


def test_a_message_goes_through(sqs, queue):
    sent = sqs.send_message(
        QueueUrl=queue,
        MessageBody="grüße",
        MessageAttributes={
            "kind": {"DataType": "String", "StringValue": "greeting"},
            "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
    )
    assert sent["MD5OfMessageBody"] == hashlib.md5("grüße".encode()).hexdigest()
    (message,) = receive(
        sqs, queue, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    )
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == "grüße"
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["MessageAttributes"]["raw"]["BinaryValue"] == b"\x00\xff"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(message["Attributes"]["SentTimestamp"]) / 1000 - time.time()) < 60
    assert receive(sqs, queue) == []
    assert attributes(sqs, queue)["ApproximateNumberOfMessagesNotVisible"] == "1"
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert attributes(sqs, queue)["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_visibility_ends_is_changed_and_counted(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="again")
    (first,) = receive(sqs, queue, VisibilityTimeout=1)
    (second,) = receive(sqs, queue, WaitTimeSeconds=10, AttributeNames=["ApproximateReceiveCount"])
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])  # too old: nothing
    sqs.change_message_visibility(
        QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0
    )
    (third,) = receive(sqs, queue)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=third["ReceiptHandle"])
    error = refused(
        sqs.change_message_visibility,
        QueueUrl=queue,
        ReceiptHandle=third["ReceiptHandle"],
        VisibilityTimeout=5,
    )
    assert isinstance(error, sqs.exceptions.MessageNotInflight)


def test_a_receiver_waits_for_a_message(sqs, queue, server):
    found = []
    waiting = threading.Thread(
        target=lambda: found.extend(receive(server.client("sqs"), queue, WaitTimeSeconds=20))
    )
    waiting.start()
    sqs.send_message(QueueUrl=queue, MessageBody="late")
    waiting.join(20)
    assert [one["Body"] for one in found] == ["late"]


def test_batches_answer_for_each_entry(sqs, queue):
    entries = [
        {"Id": "a", "MessageBody": "1"},
        {"Id": "b", "MessageBody": "2", "DelaySeconds": 901},
        {"Id": "c", "MessageBody": "3"},
    ]
    sent = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [one["Id"] for one in sent["Successful"]] == ["a", "c"]
    assert [(one["Id"], one["SenderFault"]) for one in sent["Failed"]] == [("b", True)]
    found = receive(sqs, queue, MaxNumberOfMessages=10)
    assert [one["Body"] for one in found] == ["1", "3"]
    handles = [{"Id": str(n), "ReceiptHandle": x["ReceiptHandle"]} for n, x in enumerate(found)]
    hidden = [{**handle, "VisibilityTimeout": 0} for handle in handles]
    sqs.change_message_visibility_batch(QueueUrl=queue, Entries=hidden)
    found = receive(sqs, queue, MaxNumberOfMessages=10)
    handles = [{"Id": str(n), "ReceiptHandle": x["ReceiptHandle"]} for n, x in enumerate(found)]
    gone = sqs.delete_message_batch(
        QueueUrl=queue, Entries=[*handles, {"Id": "x", "ReceiptHandle": "?"}]
    )
    assert len(gone["Successful"]) == 2
    assert gone["Failed"][0]["Id"] == "x"
    error = refused(sqs.send_message_batch, QueueUrl=queue, Entries=[entries[0]] * 2)
    assert isinstance(error, sqs.exceptions.BatchEntryIdsNotDistinct)
    error = refused(sqs.send_message_batch, QueueUrl=queue, Entries=[])
    assert isinstance(error, sqs.exceptions.EmptyBatchRequest)


def test_dead_letters_are_moved(sqs, queue, name):
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = attributes(sqs, dead, "QueueArn")["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [queue]
    sqs.send_message(QueueUrl=queue, MessageBody="bad")
    assert receive(sqs, queue, VisibilityTimeout=0)
    assert receive(sqs, queue) == []
    (found,) = receive(sqs, dead, MessageSystemAttributeNames=["All"])
    assert found["Body"] == "bad"
    assert found["Attributes"]["DeadLetterQueueSourceArn"].endswith(name)


def test_queues_are_made_listed_tagged_purged_and_deleted(sqs, name):
    url = sqs.create_queue(
        QueueName=name, Attributes={"VisibilityTimeout": "7"}, tags={"team": "ml"}
    )["QueueUrl"]
    assert (
        sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})["QueueUrl"] == url
    )
    error = refused(sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "8"})
    assert isinstance(error, sqs.exceptions.QueueNameExists)
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    assert sqs.list_queues(QueueNamePrefix=name)["QueueUrls"] == [url]
    assert attributes(sqs, url)["VisibilityTimeout"] == "7"
    sqs.tag_queue(QueueUrl=url, Tags={"stage": "dev"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["team"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"stage": "dev"}
    sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=60)
    assert attributes(sqs, url)["ApproximateNumberOfMessagesDelayed"] == "1"
    assert receive(sqs, url) == []
    sqs.purge_queue(QueueUrl=url)
    assert attributes(sqs, url)["ApproximateNumberOfMessagesDelayed"] == "0"
    sqs.delete_queue(QueueUrl=url)
    error = refused(sqs.receive_message, QueueUrl=url)
    assert isinstance(error, sqs.exceptions.QueueDoesNotExist)
    assert error.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


@pytest.mark.parametrize(
    ("operation", "more", "code"),
    [
        ("create_queue", {"QueueName": "a.fifo"}, "UnsupportedOperation"),
        ("create_queue", {"QueueName": "a b"}, "InvalidAttributeValue"),
        (
            "create_queue",
            {"QueueName": "a", "Attributes": {"DelaySeconds": "901"}},
            "InvalidAttributeValue",
        ),
        (
            "create_queue",
            {"QueueName": "a", "Attributes": {"KmsMasterKeyId": "k"}},
            "UnsupportedOperation",
        ),
        ("send_message", {"MessageBody": "\x01"}, "InvalidMessageContents"),
        ("send_message", {"MessageBody": "x" * (1 << 20) + "x"}, "InvalidMessageContents"),
        ("receive_message", {"MaxNumberOfMessages": 11}, "InvalidParameterValue"),
        ("receive_message", {"WaitTimeSeconds": 21}, "InvalidParameterValue"),
        ("delete_message", {"ReceiptHandle": "nonsense"}, "ReceiptHandleIsInvalid"),
        ("receive_message", {"QueueUrl": "ftp://nonsense"}, "InvalidParameterValue"),
        ("receive_message", {"QueueUrl": "http://h/999999999999/q"}, "NonExistentQueue"),
    ],
)
def test_what_is_wrong_is_refused(sqs, queue, operation, more, code):
    params = more if operation == "create_queue" else {"QueueUrl": queue, **more}
    error = refused(getattr(sqs, operation), **params).response["Error"]
    assert error["Code"].rpartition(".")[2] == code
