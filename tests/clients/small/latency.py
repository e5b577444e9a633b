"""How long a call of `logger.info()` takes with `weir_logging`, the router up, away and hung, beside other handlers.

    latency.py URL

It logs 20,000 records in each case, one each 0.2 ms, and prints the median, the 99th percentile and the longest call.
"""

import logging
import pathlib
import queue
import socket
import sys
import tempfile
import time
from logging.handlers import QueueHandler

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "examples/clients/python"))
import weir_logging

CALLS = 20_000
PAUSE_S = 0.0002


def measure(handler):
    log = logging.getLogger("latency")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    times = []
    for number in range(CALLS):
        began = time.perf_counter_ns()
        log.info("order %d is paid by %s", number, "someone", extra={"amount": 20})
        took = time.perf_counter_ns() - began
        times.append(took)
        # Busy, as an application is: a sleep would leave the interpreter's lock to the thread.
        until = time.perf_counter() + PAUSE_S
        while time.perf_counter() < until:
            pass
    times.sort()
    return [times[CALLS // 2] / 1e3, times[CALLS * 99 // 100] / 1e3, times[-1] / 1e3]


def weir(url):
    # What is printed while the router is away goes nowhere: its cost is still there.
    return weir_logging.WeirHandler(url=url, timeout=2, deadline=1, console=open("/dev/null", "w"))


def main(url):
    hung = socket.create_server(("127.0.0.1", 0))
    closed = socket.create_server(("127.0.0.1", 0))
    away = f"http://127.0.0.1:{closed.getsockname()[1]}"
    closed.close()
    handlers = {
        "no handler that does anything": logging.NullHandler(),
        "logging.FileHandler": logging.FileHandler(tempfile.NamedTemporaryFile().name),
        "logging.handlers.QueueHandler": QueueHandler(queue.SimpleQueue()),
        "WeirHandler, router up": weir(url),
        "WeirHandler, router away": weir(away),
        "WeirHandler, router hung": weir(f"http://127.0.0.1:{hung.getsockname()[1]}"),
    }
    print(f"{'µs a call':32} {'median':>8} {'p99':>8} {'longest':>8}  lost")
    for name, handler in handlers.items():
        median, p99, longest = measure(handler)
        lost = getattr(handler, "lost", "")
        print(f"{name:32} {median:8.1f} {p99:8.1f} {longest:8.1f}  {lost}", flush=True)
        handler.close()


main(*sys.argv[1:])
