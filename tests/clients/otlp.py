"""Sends log records with OpenTelemetry's SDK, through its handler for `logging`.

    otlp.py facts http|grpc URL [TOKEN [CA]]    records that a test knows; prints what the exporter says
    otlp.py load URL PREFIX FILE           until standard input is closed; adds acknowledged ids to FILE
    otlp.py fill URL                       until it is refused, prints that, then waits for room
"""

import json
import logging
import sys
import threading
import warnings
from importlib.metadata import version

from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

warnings.simplefilter("ignore")


def exporter(kind, url, token=None, ca=None, **options):
    headers = {"authorization": f"Bearer {token}"} if token else None
    if kind == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from grpc import Compression, ssl_channel_credentials

        if ca:
            options["credentials"] = ssl_channel_credentials(open(ca, "rb").read())
        return OTLPLogExporter(url, insecure=not ca, headers=headers, compression=Compression.Gzip, **options)
    from opentelemetry.exporter.otlp.proto.http._log_exporter import Compression, OTLPLogExporter

    return OTLPLogExporter(url + "/v1/logs", headers=headers, compression=Compression.Gzip, **options)


def watch(exporter, told):
    """Tells the records and the result of each export, and changes nothing else."""
    export = exporter.export

    def watched(batch):
        result = export(batch)
        told(batch, result is LogRecordExportResult.SUCCESS)
        return result

    exporter.export = watched
    return exporter


def logger_of(processor):
    provider = LoggerProvider(resource=Resource({"service.name": "shop", "service.version": "1.2.3"}))
    provider.add_log_record_processor(processor)
    logger = logging.getLogger("shop.cart")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=provider))
    return logger, provider


class Said(logging.Handler):
    """What the exporter says."""

    def __init__(self):
        super().__init__()
        self.lines = []
        logging.getLogger("opentelemetry").addHandler(self)
        logging.getLogger("opentelemetry").propagate = False

    def emit(self, record):
        self.lines.append(record.getMessage())


def facts(kind, url, token=None, ca=None):
    said, outcomes = Said(), []
    watched = watch(exporter(kind, url, token, ca, timeout=20), lambda batch, stored: outcomes.append(stored))
    logger, provider = logger_of(BatchLogRecordProcessor(watched))
    record = logger.makeRecord(
        logger.name,
        logging.WARNING,
        "cart.py",
        7,
        'zażółć 😀 "%s"\n',
        ("quoted",),
        None,
        "add",
        {
            "items": 42,
            "largest": 2**63 - 1,
            "least": -(2**63),
            "ratio": 0.1,
            "huge": 1.7976931348623157e308,
            "paid": True,
            "tags": ["a", "b"],
            "deep": {"one": {"two": [1, {"three": None}]}},
            "raw": b"\x00\xff",
        },
    )
    record.created = 1700000001.5
    logger.handle(record)
    logger.info("")
    logger.critical("x" * 100_000)
    logger.debug({"event": "paid", "amounts": [1, 2.5]})
    try:
        raise ValueError("no such item")
    except ValueError:
        logger.exception("failed")
    logger.log(45, "odd")
    provider.shutdown()
    name = f"opentelemetry-exporter-otlp-proto-{kind}"
    print(json.dumps({"version": version(name), "stored": outcomes, "said": said.lines}))


def load(url, prefix, path):
    acknowledged, stop, lock = open(path, "a"), threading.Event(), threading.Lock()
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def told(batch, stored):
        if stored:
            with lock:
                acknowledged.write("".join(record.log_record.attributes["id"] + "\n" for record in batch))
                acknowledged.flush()

    def send(kind):
        sender = watch(exporter(kind, url, timeout=1), told)
        provider = LoggerProvider(resource=Resource({"service.name": "shop"}))
        provider.add_log_record_processor(SimpleLogRecordProcessor(sender))
        logger = logging.Logger("load")
        logger.addHandler(LoggingHandler(logger_provider=provider))
        number = 0
        while not stop.is_set():
            logger.info("record", extra={"id": f"{prefix}-{kind}-{number}"})
            number += 1

    threads = [threading.Thread(target=send, args=[kind], daemon=True) for kind in ("http", "grpc")]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join(30)


def fill(url):
    said, outcomes = Said(), []
    told = lambda batch, stored: outcomes.append(stored)
    for kind in ("http", "grpc"):
        logger, _ = logger_of(SimpleLogRecordProcessor(watch(exporter(kind, url, timeout=1), told)))
        while not outcomes or outcomes[-1]:
            logger.info("x" * 20_000)
        outcomes.clear()
        logger.handlers.clear()
    print(json.dumps(said.lines), flush=True)
    for kind in ("http", "grpc"):
        # Its own way of waiting.
        logger, _ = logger_of(SimpleLogRecordProcessor(watch(exporter(kind, url, timeout=120), told)))
        logger.info("x" * 20_000)
        logger.handlers.clear()
    print("stored" if outcomes == [True, True] else outcomes, flush=True)


{"facts": facts, "load": load, "fill": fill}[sys.argv[1]](*sys.argv[2:])
