"""Batch transform: cut objects into payloads, predict them, put the answers together."""

from __future__ import annotations

import csv
import io
import json
import os

from job_files import ROOT, JobError, read_json, run
from json_paths import compiled
from serving import JSON, Refused, load_handler, media_type

_INPUT = ROOT / "input" / "data" / "transform"
_OUTPUT = ROOT / "output" / "transform"
_JSON_RECORDS = {JSON, "application/jsonlines"}


def main():
    """Transform every file."""
    settings = read_json("input/config/transform.json")
    handler = load_handler(os.environ.get("CLARY_FRAMEWORK", ""))
    batch = Batch(settings, handler)
    for file in sorted(file for file in _INPUT.rglob("*") if file.is_file()):
        name = file.relative_to(_INPUT)
        target = _OUTPUT / name.parent / f"{name.name}.out"
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as source, target.open("wb") as result:
            count = batch.transform(source, result, str(name))
        print(f"{name}: {count} payloads", flush=True)


class Batch:
    """One job's way of cutting, filtering, predicting and joining."""

    def __init__(self, settings, handler):
        self.content_type = settings["ContentType"]
        self.accept = settings["Accept"]
        self.lines = settings["SplitType"] == "Line"
        self.single = settings["BatchStrategy"] == "SingleRecord"
        self.assemble = settings["AssembleWith"] == "Line"
        self.most_bytes = settings["MaxPayloadInMB"] << 20
        self.joins = settings["JoinSource"] == "Input"
        self.processes = self.joins or (settings["InputFilter"], settings["OutputFilter"]) != (
            "$",
            "$",
        )
        self.before = compiled(settings["InputFilter"])
        self.after = compiled(settings["OutputFilter"])
        self.handler = handler

    def transform(self, source, result, name):
        """Transform one file; returns how many payloads it took."""
        count = 0
        for records in self.payloads(source, name):
            count += 1
            result.write(self.processed(records) if self.processes else self.plain(records))
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
        inputs = [self.parsed(record.decode("utf-8"), self.content_type) for record in records]
        payload = self.joined([self.written(self.before(one)).encode() for one in inputs])
        answer, kind = self.ask(payload)
        outputs = self.answers(answer.decode("utf-8"), kind, len(records))
        if self.joins:
            outputs = [join(*pair) for pair in zip(inputs, outputs, strict=True)]
        return "".join(self.written(self.after(one)) + "\n" for one in outputs).encode()

    def answers(self, text, kind, count):
        """Cut an answer into the records that belong to the inputs."""
        if media_type(kind) == JSON:
            document = json.loads(text)
            if isinstance(document, dict) and list(document) == ["predictions"]:
                document = document["predictions"]
            records = (
                document if isinstance(document, list) and len(document) == count else [document]
            )
        else:
            records = [self.parsed(line, kind) for line in text.splitlines() if line.strip()]
        if len(records) != count:
            raise JobError(
                f"the model answered {len(records)} records to {count}; they cannot be joined"
            )
        return records

    @staticmethod
    def parsed(text, kind):
        """Read one record: JSON as a document, everything else as a CSV row."""
        try:
            return (
                json.loads(text) if media_type(kind) in _JSON_RECORDS else next(csv.reader([text]))
            )
        except ValueError as error:
            raise JobError(f"a record is not {kind}: {error}") from None

    @staticmethod
    def written(value):
        """Write one record: a list of texts as a CSV row, everything else as JSON."""
        if isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            row = io.StringIO()
            csv.writer(row, lineterminator="").writerow(value)
            return row.getvalue()
        return json.dumps(value)


def join(given, predicted):
    """Join an input record and its prediction."""
    if (
        isinstance(given, list)
        and isinstance(predicted, list)
        and all(isinstance(one, str) for one in given)
    ):
        return [*given, *map(str, predicted)]
    if isinstance(given, dict):
        return {**given, "SageMakerOutput": predicted}
    return {"SageMakerInput": given, "SageMakerOutput": predicted}


if __name__ == "__main__":
    run(main)
