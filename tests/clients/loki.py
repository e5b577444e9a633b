"""Sends log records with python-logging-loki.

    loki.py facts URL [TOKEN]       records that a test knows; prints the errors of the handler
    loki.py load URL PREFIX FILE    until standard input is closed; adds acknowledged ids to FILE
    loki.py fill URL                until it is refused, prints that, then waits for room
"""

import itertools
import json
import logging
import sys
import threading
import time
from importlib.metadata import version

import logging_loki

errors = []


class Handler(logging_loki.LokiHandler):
    def handleError(self, record):
        errors.append(str(sys.exc_info()[1]))
        self.emitter.close()


def handler(url, token=None):
    auth = ("anyone", token) if token else None
    return Handler(f"{url}/loki/api/v1/push", tags={"service": "shop", "shard": 3}, auth=auth, version="1")


def facts(url, token=None):
    logger = logging.getLogger("cart")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler(url, token))
    logger.warning('zażółć 😀 "quoted"\n', extra={"tags": {"user": 'anna "a"'}})
    logger.debug("")
    logger.critical("x" * 100_000)
    logger.info('{"json": true}')
    print(json.dumps({"version": version("python-logging-loki"), "said": errors}))


def load(url, prefix, path):
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    sender = handler(url)
    with open(path, "a") as acknowledged:
        for number in itertools.count():
            if stop.is_set():
                return
            id = f"{prefix}-{number}"
            try:
                sender.emitter(logging.makeLogRecord({"name": "load", "levelname": "INFO"}), id)
            except Exception:
                stop.wait(0.01)
                continue
            acknowledged.write(id + "\n")
            acknowledged.flush()


def fill(url):
    sender = handler(url)
    record = logging.makeLogRecord({"name": "load", "levelname": "INFO"})

    def refused():
        try:
            sender.emitter(record, "x" * 20_000)
        except ValueError as error:
            return str(error)

    while not (reason := refused()):
        pass
    print(reason, flush=True)
    while refused():
        time.sleep(0.1)
    print("stored", flush=True)


{"facts": facts, "load": load, "fill": fill}[sys.argv[1]](*sys.argv[2:])
