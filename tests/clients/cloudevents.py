"""Sends CloudEvents with the SDK `cloudevents` and `requests`: cloudevents.py URL TOKEN

Prints what the records must have, as JSON; or `refused STATUS TEXT`.
"""

import sys

# This folder has a module of the same name.
sys.path.pop(0)

import json
from datetime import datetime, timezone

import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

url, token = sys.argv[1:]
session = requests.Session()
session.headers["authorization"] = f"Bearer {token}"

EVENTS = [
    ({"type": "order.created", "source": "/shop"}, {"message": "hello", "level": "error", "n": [1, {"ü": None}]}),
    ({"type": "order.paid", "source": "/shop", "subject": "naïve 日本 100%"}, {"most": 2**64 - 1, "float": 1e300}),
    ({"type": "note", "source": "/shop", "datacontenttype": "text/plain", "tenant": "a"}, "text 🦀\nline"),
    ({"type": "blob", "source": "/shop", "datacontenttype": "application/octet-stream"}, b"\x00\xff"),
    ({"type": "long", "source": "/shop"}, {"message": "é" * 100_000}),
    ({"type": "none", "source": "/shop"}, None),
]


def check(answer):
    if answer.status_code != 204:
        print(f"refused {answer.status_code} {answer.text}")
        sys.exit()


bodies = []
for mode in (to_binary_event, to_structured_event):
    for attributes, data in EVENTS:
        time = datetime(2026, 11, 30, 4, 5, 6, 123456, tzinfo=timezone.utc)
        event = CloudEvent({"time": time} | attributes, data)
        message = mode(event)
        check(session.post(url + "/cloudevents", data=message.body, headers=message.headers))
        if mode is to_structured_event:
            bodies.append(message.body.decode())
        shown = None if isinstance(data, bytes) else data
        print(json.dumps({"attributes": attributes | {"id": event.get_id()}, "data": shown}))
batch = {"Content-Type": "application/cloudevents-batch+json"}
check(session.post(url + "/cloudevents", data=f"[{','.join(bodies)}]", headers=batch))
