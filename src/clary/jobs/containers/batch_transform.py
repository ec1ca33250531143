"""Batch transform: cut objects into payloads, predict them, put the answers together."""

from __future__ import annotations

import collections
import contextlib
import csv
import io
import json
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import batch_capture
from job_files import ROOT, JobError, read_json, run
from json_paths import compiled
from serving import JSON, Refused, load_handler, media_type

_INPUT = ROOT / "input" / "data" / "transform"
_OUTPUT = ROOT / "output" / "transform"
_JSON_RECORDS = {JSON, "application/jsonlines"}
_WHOLE = "$"


def main():
    """Transform every file."""
    settings = read_json("input/config/transform.json")
    began = time.gmtime()
    with contextlib.ExitStack() as until_the_end:
        handler, concurrent = models(settings, until_the_end)
        batch = Batch(settings, handler, concurrent, began)
        names = sorted(file.relative_to(_INPUT) for file in _INPUT.rglob("*") if file.is_file())
        for name in names:
            target = _OUTPUT / name.parent / f"{name.name}.out"
            target.parent.mkdir(parents=True, exist_ok=True)
            with (_INPUT / name).open("rb") as source, target.open("wb") as result:
                count = batch.transform(source, result, str(name))
            print(f"{name}: {count} payloads", flush=True)
    if settings["Capture"]:
        batch_capture.write(settings["Capture"], [str(name) for name in names], began)


def models(settings, until_the_end):
    """Load the models: what asks them, and a map that does so for several payloads at once."""
    containers = settings["Containers"]
    rows = max(1, min(settings["MaxConcurrentTransforms"], len(os.sched_getaffinity(0))))
    if len(containers) * rows == 1:
        return load_handler(os.environ.get("CLARY_FRAMEWORK", "")), map
    import batch_workers  # noqa: PLC0415 - what it imports takes longer than a small job

    started = batch_workers.Rows(containers, batch_workers.outer_variables(containers), rows)
    pool = ThreadPoolExecutor(rows)
    until_the_end.callback(pool.shutdown, cancel_futures=True)
    until_the_end.callback(started.end)
    return started.ask, lambda function, items: ahead(pool, 2 * rows, function, items)


def ahead(pool, most, function, items):
    """Yield what ``function`` makes of items, in their order; works on some before their turn."""
    waiting = collections.deque()
    for item in items:
        if len(waiting) == most:
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, item))
    while waiting:
        yield waiting.popleft().result()


class Batch:
    """One job's way of cutting, filtering, predicting and joining.

    Parameters
    ----------
    settings
        The job's own.
    handler
        Predicts a payload: ``(body, content type, accept) -> (body, content type)``.
    concurrent
        Applies a function to items, as ``map`` does.
    began
        When the job did, UTC.
    """

    def __init__(self, settings, handler, concurrent=map, began=None):
        self.content_type = settings["ContentType"]
        self.accept = settings["Accept"]
        self.lines = settings["SplitType"] == "Line"
        self.single = settings["BatchStrategy"] == "SingleRecord"
        self.assemble = settings["AssembleWith"] == "Line"
        self.most_bytes = settings["MaxPayloadInMB"] << 20
        self.joins = settings["JoinSource"] == "Input"
        self.identifies = settings["GenerateInferenceId"]
        filters = {settings["InputFilter"], settings["OutputFilter"]}
        self.processes = self.joins or self.identifies or filters != {_WHOLE}
        self.before = compiled(settings["InputFilter"])
        self.after = compiled(settings["OutputFilter"])
        self.handler = handler
        self.concurrent = concurrent
        self.time = time.strftime("%Y-%m-%dT%H:%M:%SZ", began or time.gmtime())

    def transform(self, source, result, name):
        """Transform one file; returns how many payloads it took."""
        count = 0
        answer = self.processed if self.processes else self.plain
        for text in self.concurrent(answer, self.payloads(source, name)):
            result.write(text)
            count += 1
        return count

    def payloads(self, source, name):
        """Yield lists of records that go to the model together."""
        if not self.lines:
            data = source.read(self.most_bytes + 1) if self.most_bytes else source.read()
            self.bound(len(data), name)
            if data:
                yield [data]
            return
        records, size = [], 0
        for line in source:
            record = line.rstrip(b"\r\n")
            if not record:
                continue
            self.bound(len(record) + 1, name)
            full = self.most_bytes and size + len(record) + 1 > self.most_bytes
            if records and (full or self.single):
                yield records
                records, size = [], 0
            records.append(record)
            size += len(record) + 1
        if records:
            yield records

    def bound(self, size, name):
        """Refuse a record that no payload can hold."""
        if self.most_bytes and size > self.most_bytes:
            limit = self.most_bytes >> 20
            raise JobError(f"{name} has a record of more than MaxPayloadInMB, which is {limit}")

    def plain(self, records):
        """Predict and take the answer as it comes."""
        answer, _ = self.ask(self.joined(records))
        if self.assemble and answer and not answer.endswith(b"\n"):
            answer += b"\n"
        return answer

    def joined(self, records):
        """Put records together as one payload."""
        return b"".join(record + b"\n" for record in records) if self.lines else records[0]

    def ask(self, payload):
        """Ask the model; anything but a prediction ends the job."""
        try:
            answer, kind = self.handler(payload, self.content_type, self.accept)
        except Refused as refusal:
            if refusal.status == 204:
                return b"", self.accept
            raise JobError(
                f"Bad HTTP status received from algorithm: {refusal.status}. {refusal}"
            ) from None
        return (answer if isinstance(answer, bytes) else b"".join(answer)), kind

    def processed(self, records):
        """Filter, predict, join and filter again, record by record."""
        is_json = media_type(self.content_type) in _JSON_RECORDS
        inputs = [parsed(record, self.content_type) for record in records]
        sent = [written(self.before(one), is_json).encode() for one in inputs]
        answer, kind = self.ask(self.joined(sent))
        outputs = self.answers(answer, kind, len(records))
        if self.joins:
            outputs = [join(*pair, is_json) for pair in zip(inputs, outputs, strict=True)]
        is_json = not self.joins and media_type(kind) in _JSON_RECORDS
        lines = [self.finished(one, is_json or isinstance(one, dict)) for one in outputs]
        return "".join(line + "\n" for line in lines).encode()

    def finished(self, output, is_json):
        """Filter a record of output, give it an id if it gets one, and write it."""
        output = self.after(output)
        if self.identifies:
            output = identified(output, str(uuid.uuid4()), self.time, is_json)
        return written(output, is_json)

    def answers(self, answer, kind, count):
        """Cut an answer into the records that belong to the inputs."""
        if media_type(kind) == JSON:
            document = parsed(answer, kind)
            if isinstance(document, dict) and list(document) == ["predictions"]:
                document = document["predictions"]
            is_list = self.lines and isinstance(document, list) and len(document) == count
            records = document if is_list else [document]
        else:
            records = [parsed(line, kind) for line in answer.splitlines() if line.strip()]
        if len(records) != count:
            raise JobError(
                f"the model answered {len(records)} records to {count}; they cannot be joined"
            )
        return records


def parsed(record, kind):
    """Read one record: JSON as a document, everything else as a CSV row."""
    try:
        text = record.decode("utf-8")
        return json.loads(text) if media_type(kind) in _JSON_RECORDS else next(csv.reader([text]))
    except (ValueError, RecursionError, csv.Error) as error:
        raise JobError(f"a record is not {kind}: {error}") from None


def written(value, is_json):
    """Write one record: as JSON, or a field or several as a CSV row."""
    if is_json:
        return json.dumps(value)
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow([value] if isinstance(value, str) else value)
    return row.getvalue()


def join(given, predicted, is_json):
    """Join an input record, JSON or a CSV row, and its prediction."""
    if isinstance(predicted, list) and not is_json:
        return [*given, *map(str, predicted)]
    if isinstance(given, dict):
        return {**given, "SageMakerOutput": predicted}
    return {"SageMakerInput": given, "SageMakerOutput": predicted}


def identified(output, inference_id, moment, is_json):
    """Add to a record of output what labels are joined on."""
    if not is_json:
        return [*([output] if isinstance(output, str) else output), inference_id, moment]
    if not isinstance(output, dict):
        output = {"SageMakerOutput": output}
    return {**output, "SageMakerInferenceId": inference_id, "SageMakerInferenceTime": moment}


if __name__ == "__main__":
    run(main)
