"""Sends what Fluent Bit's and Vector's outputs `http` send, by their documentation: agents.py URL

The programs themselves are not needed. Each request has one record, whose message is the name of the form.
"""

import gzip
import json
import struct
import sys
import zlib

import msgpack
import requests

url = sys.argv[1]
SECONDS, NANOSECONDS = 1_700_000_000, 250_000_000
TIME = msgpack.ExtType(0, struct.pack(">II", SECONDS, NANOSECONDS))


def fluent_bit(name, body, content_type, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    headers |= {"content-type": content_type, "user-agent": "Fluent-Bit"}
    answer = requests.post(url + "/ingest?source=node", data=body, headers=headers, timeout=30)
    assert answer.status_code == 200 and answer.json() == {"accepted": 1}, (name, answer.text)


def record(name, **more):
    return {**more, "log": name, "stream": "stderr", "kubernetes": {"labels": {"app": "shop"}}}


packed = msgpack.packb
fluent_bit("msgpack", packed([TIME, record("msgpack")]), "application/msgpack")
fluent_bit("msgpack 2.1", packed([[TIME, {}], record("msgpack 2.1")]), "application/msgpack")
fluent_bit(
    "msgpack gzip",
    gzip.compress(packed([[TIME, {}], record("msgpack gzip")])),
    "application/msgpack",
    content_encoding="gzip",
)
fluent_bit("json", json.dumps([record("json", date=SECONDS + 0.25)]), "application/json")
fluent_bit("json_lines", json.dumps(record("json_lines", date="2023-11-14T22:13:20.250000Z")) + "\n", "application/x-ndjson")
fluent_bit("json_stream", json.dumps(record("json_stream", date="2023-11-14 22:13:20.250000")), "application/json")
fluent_bit("json epoch_ms", json.dumps([record("json epoch_ms", date=SECONDS * 1000 + 250)]), "application/json")


def vector(name, framed, content_type, compress=None, encoding=None):
    event = {
        "message": name,
        "timestamp": "2023-11-14T22:13:20.250Z",
        "source_type": "file",
        "file": "/var/log/a.log",
        "host": "node-1",
    }
    body = framed(json.dumps(event)).encode()
    headers = {"content-type": content_type, "user-agent": "Vector/0.50.0"}
    if compress:
        body, headers["content-encoding"] = compress(body), encoding
    answer = requests.post(url + "/ingest?source=node", data=body, headers=headers, timeout=30)
    assert answer.status_code == 200 and answer.json() == {"accepted": 1}, (name, answer.text)


vector("json array", lambda event: f"[{event}]", "application/json")
vector("json newline", lambda event: event + "\n", "application/x-ndjson")
vector("json gzip", lambda event: f"[{event}]", "application/json", gzip.compress, "gzip")
vector("json zlib", lambda event: f"[{event}]", "application/json", zlib.compress, "deflate")
