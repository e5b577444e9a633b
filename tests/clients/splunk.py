"""Sends events with two handlers of Python's logging for Splunk.

    splunk.py handler|hec HOST PORT TOKEN     messages as JSON on standard input; prints what the client says
    splunk.py load URL PREFIX FILE            until standard input is closed; adds acknowledged ids to FILE
    splunk.py fill URL                        until it is refused, prints that, then waits for room

The handlers tell nobody what was acknowledged, so for that the last two ask `requests` what the first one would.
"""

import contextlib
import importlib.metadata
import io
import itertools
import json
import logging
import sys
import threading
import time

import requests

logging.addLevelName(5, "TRACE")
LEVELS = {"trace": 5, "debug": 10, "info": 20, "warn": 30, "error": 40, "fatal": 50}


def handler(host, port, token):
    from splunk_handler import SplunkHandler

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        sender = SplunkHandler(
            host, port, token, "main", protocol="http", verify=False, flush_interval=0.5, hostname="web-1",
            source="shop", sourcetype="python", retry_count=0,
        )
        sender.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger = logging.getLogger("weir")
        logger.setLevel(1)
        logger.propagate = False
        logger.addHandler(sender)
        for entry in json.load(sys.stdin):
            logger.log(LEVELS.get(entry.get("level"), 20), "%s", entry["message"])
        sender.shutdown()
    return {"version": importlib.metadata.version("splunk-handler"), "printed": printed.getvalue()}


def hec(host, port, token):
    from splunk_hec_handler import SplunkHecHandler

    said = {"version": importlib.metadata.version("splunk-hec-handler")}
    sender = SplunkHecHandler(host, token, port=port, proto="http", source="shop", sourcetype="_json", index="main", hostname="web-1")
    logger = logging.getLogger("weir")
    logger.setLevel(1)
    logger.propagate = False
    logger.addHandler(sender)
    try:
        for entry in json.load(sys.stdin):
            level = LEVELS.get(entry.pop("level", None), 20)
            logger.log(level, {**entry, "fields": {"region": "eu"}})
    except requests.HTTPError as error:
        said["error"] = [error.response.status_code, error.response.json()]
    return said


def post(url, events):
    payload = "".join(json.dumps({"event": event, "sourcetype": "python"}) for event in events)
    headers = {"Authorization": "Splunk none"}
    return requests.post(url + "/services/collector/event", data=payload, headers=headers, timeout=30)


def load(url, prefix, path):
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with open(path, "a") as acknowledged:
        for batch in itertools.count():
            if stop.is_set():
                return
            ids = [f"{prefix}-{batch}-{n}" for n in range(10)]
            try:
                answer = post(url, [{"id": id} for id in ids])
            except requests.RequestException:
                stop.wait(0.01)
                continue
            if answer.status_code == 200:
                acknowledged.write("".join(id + "\n" for id in ids))
                acknowledged.flush()


def fill(url):
    events = ["x" * 5000] * 5
    while (answer := post(url, events)).status_code == 200:
        pass
    print(answer.status_code, answer.headers.get("retry-after"), answer.text, flush=True)
    while post(url, events).status_code == 503:
        time.sleep(0.1)
    print("stored", flush=True)


action, arguments = sys.argv[1], sys.argv[2:]
if action in ("load", "fill"):
    {"load": load, "fill": fill}[action](*arguments)
else:
    host, port, token = arguments
    print(json.dumps({"handler": handler, "hec": hec}[action](host, int(port), token)))
