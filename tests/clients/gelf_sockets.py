"""Sends the records on standard input with graypy: gelf_sockets.py udp|tcp PORT"""

import json
import logging
import sys
from importlib.metadata import version

import graypy

kind, port = sys.argv[1:]
handler = (graypy.GELFUDPHandler if kind == "udp" else graypy.GELFTCPHandler)("127.0.0.1", int(port))
logger = logging.getLogger("shop")
logger.setLevel(logging.DEBUG)
logger.addHandler(handler)
for record in json.load(sys.stdin):
    logger.log(getattr(logging, record["level"]), "%s", record["message"], extra={"n": record["n"]})
handler.close()
print(json.dumps({"version": version("graypy")}))
