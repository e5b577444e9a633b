"""Sends the records on standard input with fluent-logger: forward.py PORT"""

import json
import sys
from importlib.metadata import version

from fluent.event import Event
from fluent.sender import EventTime, FluentSender

sender = FluentSender("shop", host="127.0.0.1", port=int(sys.argv[1]), nanosecond_precision=True)
stored = []
for record in json.load(sys.stdin):
    time = EventTime(1700000001.5)
    stored.append(sender.emit_with_time("web", time, record))
sender.close()
print(json.dumps({"version": version("fluent-logger"), "stored": stored, "error": str(sender.last_error or "")}))
