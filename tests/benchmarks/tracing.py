"""What the DynamoDB tracer costs a call: traced and plain clients take turns against the same local endpoint.

    python tests/benchmarks/tracing.py [CALLS]

Prints, for moto's server and for a bare-bones local endpoint that answers at once (the harshest case), the
median time of a GetItem without and with the tracer, and the ratio of the medians. The aim: at most 1.025.
"""

from __future__ import annotations

import json
import logging
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import botocore.session
from moto.server import ThreadedMotoServer

from forensics.agent import tracing

ANSWER = json.dumps({"Item": {"pk": {"S": "k"}, "body": {"S": "x" * 400}}}).encode()


@contextmanager
def bare_endpoint() -> Iterator[str]:
    """Answers every request of a kept-alive connection with the same item."""
    listener = socket.create_server(("127.0.0.1", 0))
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nx-amzn-requestid: R\r\n"
        f"content-length: {len(ANSWER)}\r\n\r\n"
    ).encode()

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while received := connection.recv(65536):
            if received.endswith(b"}"):  # headers and body may come one after the other
                connection.sendall(head + ANSWER)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def moto_endpoint() -> Iterator[str]:
    """moto's own server, in a thread."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def new_client(endpoint: str):
    """A client of a session of its own."""
    return botocore.session.Session().create_client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


def clients(endpoint: str):
    """A plain client and a traced one."""
    tracing.uninstall()
    plain = new_client(endpoint)
    tracing.install(existing=False)
    return plain, new_client(endpoint)


def measure(name: str, endpoint: str, calls: int) -> None:
    """One line: the medians of ``calls`` calls each, taken in turns."""
    plain, traced = clients(endpoint)
    times: dict[object, list[float]] = {plain: [], traced: []}
    for turn in range(calls + 50):
        for client in (plain, traced) if turn % 2 else (traced, plain):
            begun = time.perf_counter()
            client.get_item(TableName="Orders", Key={"pk": {"S": "k"}})
            times[client].append(time.perf_counter() - begun)
    without, with_tracer = (statistics.median(times[client][50:]) * 1e6 for client in (plain, traced))
    print(
        f"{name:15} {without:8.0f} us plain  {with_tracer:8.0f} us traced  {with_tracer - without:+6.1f} us  "
        f"ratio {with_tracer / without:.4f}",
        flush=True,
    )


def handlers_alone() -> None:
    """The two handlers by themselves, called from a stack as deep as botocore's."""
    tracing.uninstall()
    tracing.install(existing=False)
    tracer = tracing._tracer
    model = new_client("http://127.0.0.1:1").meta.service_model.operation_model("GetItem")
    params = {"TableName": "Orders", "Key": {}}
    count = 50_000

    def deep(depth: int) -> float:
        if depth:
            return deep(depth - 1)
        begun = time.perf_counter()
        for _ in range(count):
            context: dict = {}
            tracer.on_params(params=params, model=model, context=context, event_name="e")
            tracer.on_response(
                parsed={"ResponseMetadata": {"RequestId": "r"}}, context=context, event_name="e"
            )
        return (time.perf_counter() - begun) / count

    for file in (__file__,):  # as far as the walk is concerned these frames are the SDK's
        tracer._rooms[file] = 0
    print(f"{'handlers alone':15} {deep(9) * 1e6:8.1f} us a call (walking the whole stack)", flush=True)


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    handlers_alone()
    with bare_endpoint() as url:
        measure("bare endpoint", url, number * 3)
    with moto_endpoint() as url:
        new_client(url).create_table(
            TableName="Orders",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        new_client(url).put_item(TableName="Orders", Item={"pk": {"S": "k"}, "body": {"S": "x" * 400}})
        measure("moto server", url, number)
