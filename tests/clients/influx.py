"""Writes points with the clients of InfluxDB 2 (`influxdb-client`) and 1 (`influxdb`), unmodified.

    influx.py two|one URL TOKEN            writes points; prints each as JSON, or `refused STATUS TEXT`
    influx.py ask URL TOKEN                asks what these clients ask, and prints the answers
    influx.py load URL ACKNOWLEDGED        writes until standard input is closed; the number of each point that was
                                           acknowledged is a line in the file ACKNOWLEDGED

The timestamps printed are nanoseconds.
"""

import itertools
import json
import sys
import threading

from influxdb import InfluxDBClient as ClientOne
from influxdb.exceptions import InfluxDBClientError, InfluxDBServerError
from influxdb_client import InfluxDBClient as ClientTwo
from influxdb_client import Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

BEGIN = 1_700_000_000_123_456_789

POINTS = [
    {
        "measurement": "cpu, one=1",
        "tags": {"host": "a b", "réseau": "é,=x", "path": "C:\\dir"},
        "fields": {"usage": 0.5, "least": -(2**63), "most": 2**63 - 1, "up": True, "down": False},
    },
    {"measurement": "text", "tags": {}, "fields": {"quoted": 'a "b" \\ c, = d', "lines": "a\nb\r\n\tc", "empty": ""}},
    {"measurement": "long", "tags": {"t": "v"}, "fields": {"text": "é" * 50_000, "n": 1e300, "tiny": 5e-324}},
    {"measurement": "name", "tags": {"日本": "語"}, "fields": {"a b,c=d": 1, "emoji": "🦀"}},
] + [{"measurement": "many", "tags": {"n": str(n)}, "fields": {"n": n}} for n in range(500)]


def two(url, token):
    client = ClientTwo(url=url, token=token, org="acme", bucket="my logs", enable_gzip=True)
    api = client.write_api(write_options=SYNCHRONOUS)
    points = []
    for at, given in enumerate(POINTS):
        point = Point(given["measurement"]).time(BEGIN + at, WritePrecision.NS)
        for name, value in given["tags"].items():
            point.tag(name, value)
        for name, value in given["fields"].items():
            point.field(name, value)
        points.append(point)
    try:
        api.write(bucket="my logs", record=points)
    except ApiException as error:
        print(f"refused {error.status} {error.message}")
        return
    for at, point in enumerate(POINTS):
        print(json.dumps(point | {"timestamp": BEGIN + at}))


def one(url, token):
    host, port = url.removeprefix("http://").split(":")
    client = ClientOne(host, int(port), "weir", token, "my logs", gzip=True, retries=1)
    milliseconds = BEGIN // 1_000_000
    points = [point | {"time": milliseconds + at} for at, point in enumerate(POINTS)]
    try:
        client.write_points(points, time_precision="ms", batch_size=100)
    except (InfluxDBClientError, InfluxDBServerError) as error:
        print(f"refused {getattr(error, 'code', 503)} {error}")
        return
    for at, point in enumerate(POINTS):
        # This client doubles backslashes in tags and writes line ends in texts as a backslash and an n. InfluxDB keeps
        # both as they are, too.
        tags = {name: value.replace("\\", "\\\\") for name, value in point["tags"].items()}
        fields = {
            name: value.replace("\n", "\\n") if isinstance(value, str) else value
            for name, value in point["fields"].items()
        }
        written = {"tags": tags, "fields": fields, "timestamp": (milliseconds + at) * 1_000_000}
        print(json.dumps(point | written))


def ask(url, token):
    client = ClientTwo(url=url, token=token, org="acme")
    print(json.dumps({"ping": client.ping(), "version": client.version(), "health": client.health().status}))
    host, port = url.removeprefix("http://").split(":")
    client = ClientOne(host, int(port), "weir", token, "logs")
    client.create_database("logs")
    print(json.dumps({"ping": client.ping()}))


def load(url, path):
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    client = ClientTwo(url=url, token="", org="acme", retries=False)
    api = client.write_api(write_options=SYNCHRONOUS)
    with open(path, "a") as acknowledged:
        for n in itertools.count():
            if stop.is_set():
                return
            try:
                api.write(bucket="logs", record=Point("load").field("n", n))
            except Exception:
                # The router is away, and what it did not answer is not acknowledged.
                stop.wait(0.01)
                continue
            acknowledged.write(f"{n}\n")
            acknowledged.flush()


{"two": two, "one": one, "ask": ask, "load": load}[sys.argv[1]](*sys.argv[2:])
