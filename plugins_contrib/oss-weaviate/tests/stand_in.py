"""A stand-in for a Weaviate server, as no server binary can be had where these tests run: what the
client sends over HTTP and gRPC is read and answered as the protocol has it, from memory.

It knows what the store uses: the schema, objects in batches, search by vector, by filter and with
a cursor, deletion by filter, counting.
"""

from __future__ import annotations

import copy
import json
import struct
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import weaviate  # noqa: F401  chooses the protocol files that fit the installed protobuf
from weaviate.proto import v1

base, search_get, batch = v1.base_pb2, v1.search_get_pb2, v1.batch_pb2
Operator = base.Filters.Operator
DEFAULTS = {
    "invertedIndexConfig": {
        "bm25": {"b": 0.75, "k1": 1.2},
        "cleanupIntervalSeconds": 60,
        "stopwords": {"additions": None, "preset": "en", "removals": None},
    },
    "multiTenancyConfig": {"enabled": False},
    "replicationConfig": {"factor": 1, "asyncEnabled": False},
    "shardingConfig": {
        "actualCount": 1, "actualVirtualCount": 128, "desiredCount": 1, "desiredVirtualCount": 128,
        "function": "murmur3", "key": "_id", "strategy": "hash", "virtualPerPhysical": 128,
    },
    "vectorIndexConfig": {
        "cleanupIntervalSeconds": 300, "distance": "cosine", "dynamicEfFactor": 8,
        "dynamicEfMax": 500, "dynamicEfMin": 100, "ef": -1, "efConstruction": 128,
        "flatSearchCutoff": 40000, "maxConnections": 32, "skip": False,
        "vectorCacheMaxObjects": 1000000000000,
    },
}  # fmt: skip
KEY = "sesame"


@dataclass
class Stored:
    """A class of the schema and its objects."""

    schema: dict[str, Any]
    objects: dict[str, tuple[dict[str, Any], list[float]]] = field(default_factory=dict)


class StandIn:
    """The server: ``with StandIn() as server`` and ``server.url``, ``server.grpc_port``.

    :param key: refuse whoever does not send it.
    """

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.classes: dict[str, Stored] = {}
        self.requests: list[str] = []
        self._grpc = grpc.server(ThreadPoolExecutor(4))
        v1.weaviate_pb2_grpc.add_WeaviateServicer_to_server(_Service(self), self._grpc)
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    def __enter__(self) -> StandIn:
        self._grpc.start()
        self._thread.start()
        return self

    def __exit__(self, *trace: object) -> None:
        self._grpc.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _handler(server: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
            server.requests.append(format % args)

        def answer(self, status: int, content: Any = None) -> None:
            data = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def handled(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                return self.answer(401, {"error": [{"message": "anonymous access not enabled"}]})
            _, _, path = self.path.partition("/v1/")
            name = path.removeprefix("schema/").split("?")[0]
            if path == "meta":
                return self.answer(200, {"version": "1.33.0", "modules": {}})
            if path == "schema" and self.command == "GET":
                return self.answer(200, {"classes": [c.schema for c in server.classes.values()]})
            if path == "schema" and self.command == "POST":
                return self.create(body)
            if path.startswith("schema/") and self.command == "DELETE":
                server.classes.pop(name, None)
                return self.answer(200)
            if path.startswith("schema/") and name in server.classes:
                if self.command == "PUT":
                    server.classes[name].schema = body
                return self.answer(200, server.classes[name].schema)
            return self.answer(404, {"error": [{"message": f"no {self.command} {path}"}]})

        def create(self, body: dict[str, Any]) -> None:
            if not body["class"].isascii() or body["class"] in server.classes:
                return self.answer(422, {"error": [{"message": "not a name for a class"}]})
            schema = {**copy.deepcopy(DEFAULTS), **body}
            schema["vectorIndexConfig"] |= DEFAULTS["vectorIndexConfig"]
            for described in schema["properties"]:
                described.setdefault("indexRangeFilters", False)
                described.setdefault("indexSearchable", described["dataType"] == ["text"])
            server.classes[body["class"]] = Stored(schema)
            return self.answer(200, schema)

        do_GET = do_POST = do_PUT = do_DELETE = handled  # noqa: N815

    return Handler


class _Service(v1.weaviate_pb2_grpc.WeaviateServicer):  # type: ignore[misc]
    def __init__(self, server: StandIn) -> None:
        self.server = server

    def stored(self, request: Any, context: Any) -> Stored:
        given = dict(context.invocation_metadata()).get("authorization")
        if self.server.key and given != f"Bearer {self.server.key}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "anonymous access not enabled")
        name = request.collection
        if name not in self.server.classes:
            context.abort(grpc.StatusCode.UNKNOWN, f"could not find class {name} in schema")
        return self.server.classes[name]

    def BatchObjects(self, request: Any, context: Any) -> Any:  # noqa: N802
        errors = []
        for index, item in enumerate(request.objects):
            stored = self.stored(item, context)
            known = {described["name"] for described in stored.schema["properties"]}
            properties = _of_struct(item.properties.non_ref_properties)
            vector = _vector(item)
            dimensions = {len(other) for _, other in stored.objects.values()} | {len(vector)}
            if not properties.keys() <= known or len(dimensions) > 1:
                errors.append(
                    batch.BatchObjectsReply.BatchError(index=index, error="vector lengths differ")
                )
                continue
            stored.objects[str(uuid.UUID(item.uuid))] = (properties, vector)
        return batch.BatchObjectsReply(errors=errors)

    def BatchDelete(self, request: Any, context: Any) -> Any:  # noqa: N802
        stored = self.stored(request, context)
        gone = [name for name, item in stored.objects.items() if holds(request.filters, name, item)]
        for name in gone:
            del stored.objects[name]
        reply = v1.batch_delete_pb2.BatchDeleteReply
        return reply(matches=len(gone), successful=len(gone))

    def Aggregate(self, request: Any, context: Any) -> Any:  # noqa: N802
        stored = self.stored(request, context)
        filters = request.filters if request.HasField("filters") else None
        count = sum(holds(filters, name, item) for name, item in stored.objects.items())
        reply = v1.aggregate_pb2.AggregateReply
        return reply(single_result=reply.Single(objects_count=count))

    def Search(self, request: Any, context: Any) -> Any:  # noqa: N802
        stored = self.stored(request, context)
        if request.limit > 10_000:
            context.abort(grpc.StatusCode.UNKNOWN, "query maximum results exceeded")
        if request.after and request.HasField("filters"):
            context.abort(grpc.StatusCode.UNKNOWN, "where cannot be set with after")
        filters = request.filters if request.HasField("filters") else None
        names = sorted(n for n, item in stored.objects.items() if holds(filters, n, item))
        distances: dict[str, float] = {}
        if request.HasField("near_vector"):
            query = _vector(request.near_vector)
            distances = {n: 1 - _cosine(query, stored.objects[n][1]) for n in names}
            names.sort(key=lambda name: distances[name])
        elif request.after:
            names = [name for name in names if name > request.after]
        reply = search_get.SearchReply()
        for name in names[request.offset :][: request.limit or 10]:
            self._result(reply.results.add(), request, name, stored.objects[name], distances)
        return reply

    def _result(self, result: Any, request: Any, name: str, item: Any, distances: Any) -> None:
        properties, vector = item
        result.metadata.id = name
        result.metadata.id_as_bytes = uuid.UUID(name).bytes
        if request.metadata.vector:
            packed = struct.pack(f"<{len(vector)}f", *vector)
            result.metadata.vector_bytes = packed
        if name in distances:
            result.metadata.distance = distances[name]
            result.metadata.distance_present = True
        fields = result.properties.non_ref_props.fields
        for key in request.properties.non_ref_properties:
            value = properties.get(key)
            if isinstance(value, str):
                fields[key].text_value = value
            elif value is not None:
                fields[key].number_value = value


def _of_struct(found: Any) -> dict[str, Any]:
    return {key: getattr(value, value.WhichOneof("kind")) for key, value in found.fields.items()}


def _vector(item: Any) -> list[float]:
    packed = item.vectors[0].vector_bytes if item.vectors else item.vector_bytes
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _cosine(a: list[float], b: list[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    lengths = (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
    return product / (lengths or 1.0)


def holds(filters: Any, name: str, item: tuple[dict[str, Any], list[float]]) -> bool:
    """Whether an object passes; one that lacks the property passes no comparison."""
    if filters is None:
        return True
    if filters.operator in (Operator.OPERATOR_AND, Operator.OPERATOR_OR):
        join = all if filters.operator == Operator.OPERATOR_AND else any
        return join(holds(part, name, item) for part in filters.filters)
    key = filters.target.property
    value = name if key == "_id" else item[0].get(key)
    if value is None:
        return False
    if filters.operator == Operator.OPERATOR_CONTAINS_ANY:
        return value in filters.value_text_array.values
    wanted = getattr(filters, filters.WhichOneof("test_value"))
    return bool(
        {
            Operator.OPERATOR_EQUAL: lambda: value == wanted,
            Operator.OPERATOR_LESS_THAN: lambda: value < wanted,
            Operator.OPERATOR_LESS_THAN_EQUAL: lambda: value <= wanted,
            Operator.OPERATOR_GREATER_THAN: lambda: value > wanted,
            Operator.OPERATOR_GREATER_THAN_EQUAL: lambda: value >= wanted,
        }[filters.operator]()
    )
