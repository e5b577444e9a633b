"""Sends messages with the standard library's SysLogHandler: syslog.py udp|tcp|unix PLACE"""

import json
import logging
import logging.handlers
import platform
import socket
import sys

kind, place = sys.argv[1:]
if kind == "unix":
    handler = logging.handlers.SysLogHandler(place)
else:
    socktype = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    handler = logging.handlers.SysLogHandler(("127.0.0.1", int(place)), socktype=socktype)
    # The handler ends messages with a null byte, which over TCP is no end of a message.
    handler.append_nul = kind == "udp"
handler.ident = "shop[42]: "
handler.setFormatter(logging.Formatter("%(message)s" if kind != "tcp" else "%(message)s\n"))
logger = logging.getLogger("shop")
logger.setLevel(logging.DEBUG)
logger.addHandler(handler)
for level, message in json.load(sys.stdin):
    logger.log(getattr(logging, level), "%s", message)
handler.close()
print(json.dumps({"version": platform.python_version()}))
