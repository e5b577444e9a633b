"""Sends logs with Datadog's own client.

    datadog.py logs URL KEY              logs as JSON on standard input; prints what the client says
    datadog.py load URL PREFIX FILE      until standard input is closed; adds acknowledged ids to FILE
    datadog.py fill URL                  until it is refused, prints that, then waits for room
"""

import importlib.metadata
import itertools
import json
import sys
import threading
import time

from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException
from datadog_api_client.v1.api.authentication_api import AuthenticationApi
from datadog_api_client.v2.api.logs_api import LogsApi
from datadog_api_client.v2.model.content_encoding import ContentEncoding
from datadog_api_client.v2.model.http_log import HTTPLog
from datadog_api_client.v2.model.http_log_item import HTTPLogItem


def client(url, key="none"):
    configuration = Configuration(host=url)
    configuration.api_key["apiKeyAuth"] = key
    return ApiClient(configuration)


def submit(api, logs, **options):
    return api.submit_log(HTTPLog([HTTPLogItem(**log) for log in logs]), **options)


def logs(url, key):
    said = {"version": importlib.metadata.version("datadog-api-client"), "answers": []}
    given = json.load(sys.stdin)
    with client(url, key) as connection:
        api = LogsApi(connection)
        try:
            said["valid"] = AuthenticationApi(connection).validate().valid
            encodings = [None, ContentEncoding.GZIP, ContentEncoding.DEFLATE]
            for at, encoding in enumerate(encodings):
                part = given[at :: len(encodings)]
                options = {"content_encoding": encoding} if encoding else {}
                said["answers"].append(submit(api, part, **options))
        except ApiException as error:
            said["error"] = [type(error).__name__, error.status, error.body]
    print(json.dumps(said))


def load(url, prefix, path):
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with client(url) as connection, open(path, "a") as acknowledged:
        api = LogsApi(connection)
        for batch in itertools.count():
            if stop.is_set():
                return
            ids = [f"{prefix}-{batch}-{n}" for n in range(10)]
            try:
                submit(api, [{"message": "a log", "id": id} for id in ids])
            except Exception:
                stop.wait(0.01)
                continue
            acknowledged.write("".join(id + "\n" for id in ids))
            acknowledged.flush()


def fill(url):
    with client(url) as connection:
        api = LogsApi(connection)
        batch = [{"message": "x" * 5000}] * 5
        try:
            while True:
                submit(api, batch)
        except ApiException as error:
            print(error.status, error.headers.get("retry-after"), error.body, flush=True)
        while True:
            try:
                submit(api, batch)
                break
            except ApiException:
                time.sleep(0.1)
    print("stored", flush=True)


{"logs": logs, "load": load, "fill": fill}[sys.argv[1]](*sys.argv[2:])
