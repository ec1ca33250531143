"""Athena, as far as the offline records of feature groups are queried through it."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clary.doors.wire.waiting import QUERIES
from clary.features.executions import ENDED, EXECUTION
from clary.features.queries import DATABASE
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import Ref
from clary.kernel.paging import decode_token, encode_token
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_WORK_GROUP = "primary"
_ROWS_A_PAGE = 1_000
_EXECUTIONS_A_PAGE = 50
_WAIT_S = 1.0
_LOOK_S = 0.02


def start_query_execution(call: Call) -> JsonObject:
    """Take a query; it runs soon."""
    group = call.params.get("WorkGroup", _WORK_GROUP)
    if group != _WORK_GROUP:
        raise InvalidInput("WorkGroup", f"{group} is not found", legal=_WORK_GROUP)
    if call.params.get("ExecutionParameters"):
        raise InvalidInput("ExecutionParameters", "are not offered", legal="values in the query")
    near = Ref(call.account, call.region, EXECUTION, "-")
    started = call.platform.feature_store.executions.start(near, call.params, actor=call.actor)
    return {"QueryExecutionId": started.ref.name}


def get_query_execution(call: Call) -> JsonObject:
    """Describe a query: its state, where its result is, and why it failed.

    An answer waits a second for the query's end, because the SDK asks every five.
    """
    name = call.params["QueryExecutionId"]
    with QUERIES.take() as taken:
        found, deadline = _found(call, name), time.monotonic() + taken * _WAIT_S
        while found.status not in ENDED and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            found = _found(call, name)
    return {"QueryExecution": _document(found)}


def batch_get_query_execution(call: Call) -> JsonObject:
    """Describe many queries."""
    found, absent = [], []
    for name in call.params["QueryExecutionIds"]:
        try:
            found.append(
                _document(call.platform.feature_store.executions.describe(_ref(call, name)))
            )
        except NotFound:
            absent.append({"QueryExecutionId": name, "ErrorMessage": f"{name} was not found"})
    return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": absent}


def list_query_executions(call: Call) -> JsonObject:
    """List queries, the newest first."""
    query = Query(
        EXECUTION,
        call.account,
        call.region,
        limit=call.params.get("MaxResults") or _EXECUTIONS_A_PAGE,
        token=call.params.get("NextToken", ""),
    )
    page = call.platform.feature_store.executions.list(query)
    names = [one.ref.name for one in page.items]
    return {"QueryExecutionIds": names, **({"NextToken": page.token} if page.token else {})}


def stop_query_execution(call: Call) -> JsonObject:
    """Give a query up; nothing happens when it has ended."""
    ref = _found(call, call.params["QueryExecutionId"]).ref
    call.platform.feature_store.executions.stop(ref, actor=call.actor)
    return {}


def get_query_results(call: Call) -> JsonObject:
    """Read a page of a result; the first begins with the names of the columns."""
    found = _found(call, call.params["QueryExecutionId"])
    token = call.params.get("NextToken", "")
    start = decode_token(token) if token else 0
    if not isinstance(start, int) or start < 0:
        raise InvalidInput("NextToken", f"{token[:40]!r} is not a token of this list")
    columns = found.body.get("columns") or []
    count = call.params.get("MaxResults", _ROWS_A_PAGE) - (start == 0)
    rows = call.platform.feature_store.executions.rows(found.ref, start, count + 1)
    page = [*([[one["Name"] for one in columns]] if start == 0 and columns else []), *rows[:count]]
    result: JsonObject = {
        "ResultSet": {
            "Rows": [{"Data": [_datum(one) for one in row]} for row in page],
            "ResultSetMetadata": {"ColumnInfo": [_column(one) for one in columns]},
        }
    }
    more = {"NextToken": encode_token(start + count)} if len(rows) > count else {}
    return {**result, "UpdateCount": 0, **more}


def _ref(call: Call, name: str) -> Ref:
    return Ref(call.account, call.region, EXECUTION, name)


def _found(call: Call, name: str) -> Resource:
    try:
        return call.platform.feature_store.executions.describe(_ref(call, name))
    except NotFound:
        raise InvalidInput("QueryExecutionId", f"{name} was not found") from None


def _datum(value: str | None) -> dict[str, str]:
    return {} if value is None else {"VarCharValue": value}


def _column(column: dict[str, str]) -> dict[str, Any]:
    name = column["Name"]
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": column["Type"],
        "Nullable": "UNKNOWN",
        "CaseSensitive": column["Type"] == "varchar",
    }


def _document(found: Resource) -> JsonObject:
    body, request = found.body, found.body["request"]
    ended = datetime.fromisoformat(body["ended"]) if "ended" in body else None
    status: JsonObject = {"State": found.status, "SubmissionDateTime": found.created_at}
    if ended is not None:
        status["CompletionDateTime"] = ended
    if reason := body.get("reason"):
        status["StateChangeReason"] = reason
        if found.status == "FAILED":
            status["AthenaError"] = {"ErrorCategory": 2, "ErrorType": 1, "ErrorMessage": reason}
    place = request["ResultConfiguration"]
    output = body.get("output", place["OutputLocation"])
    statistics: JsonObject = {"DataScannedInBytes": 0}
    if ended is not None:
        took = int((ended - found.created_at).total_seconds() * 1000)
        statistics |= {"TotalExecutionTimeInMillis": took, "EngineExecutionTimeInMillis": took}
    return {
        "QueryExecutionId": found.ref.name,
        "Query": request["QueryString"],
        "StatementType": body.get("kind", "DML"),
        "ResultConfiguration": {**place, "OutputLocation": output},
        "QueryExecutionContext": request.get("QueryExecutionContext", {"Database": DATABASE}),
        "Status": status,
        "Statistics": statistics,
        "WorkGroup": _WORK_GROUP,
        "EngineVersion": {
            "SelectedEngineVersion": "AUTO",
            "EffectiveEngineVersion": "Athena engine version 3",
        },
    }
