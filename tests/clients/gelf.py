"""Logs with the handlers for GELF over HTTP of `graypy` and `pygelf`, unmodified: gelf.py graypy|pygelf PORT

Prints what the records must have, as JSON. Neither handler reads the answer.
"""

import json
import logging
import sys

import graypy
import pygelf

client, port = sys.argv[1], int(sys.argv[2])
logger = logging.getLogger("shop.orders")
logger.setLevel(logging.DEBUG)
if client == "graypy":
    handlers = [graypy.GELFHTTPHandler("127.0.0.1", port, localname="web-1", compress=compress) for compress in (True, False)]
else:
    options = {"include_extra_fields": True, "version": "1.1", "debug": True, "_app": "shop"}
    handlers = [pygelf.GelfHttpHandler("127.0.0.1", port, compress=compress, **options) for compress in (True, False)]

MESSAGES = [
    ("DEBUG", "debug", {}),
    ("INFO", "naïve 日本 🦀 \"quoted\" \\ \n line", {}),
    ("WARNING", "nested", {"order": {"id": 7, "items": [1, 2.5, None, True]}, "empty": ""}),
    ("ERROR", "numbers", {"least": -(2**63), "most": 2**64 - 1, "float": 1e300, "tiny": 5e-324}),
    ("CRITICAL", "long " + "é" * 100_000, {}),
]

for handler in handlers:
    logger.handlers = [handler]
    for level, text, extra in MESSAGES:
        logger.log(getattr(logging, level), text, extra=extra)
        print(json.dumps({"level": level, "message": text, "more": extra}))
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("it failed")
    print(json.dumps({"level": "ERROR", "message": "it failed", "more": {}, "full_message": "ValueError: broken"}))
