"""A `logging` handler that sends to Weir, using only the standard library.

    import logging, python_logging
    logging.getLogger().addHandler(python_logging.WeirHandler())

Records are sent in batches by a thread, so that logging never waits for the network. A batch that was not acknowledged
is sent again; when more than `capacity` records wait, the newest are dropped and counted.
"""

import atexit
import json
import logging
import queue
import threading
import time
import traceback
import urllib.request

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class WeirHandler(logging.Handler):
    def __init__(self, url="http://127.0.0.1:8080/ingest", capacity=10_000, batch=500):
        super().__init__()
        self.url, self.batch = url, batch
        self.waiting = queue.Queue(capacity)
        self.dropped = 0
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self._run, name="weir", daemon=True)
        self.thread.start()
        atexit.register(self.close)

    def emit(self, record):
        entry = {
            "timestamp": int(record.created * 1e9),
            "level": record.levelname,
            "source": record.name,
            "message": record.getMessage(),
            "metadata": {"file": record.filename, "line": record.lineno, "thread": record.threadName},
        }
        # The fields passed as `extra={…}`.
        entry.update((k, v) for k, v in vars(record).items() if k not in STANDARD)
        if record.exc_info:
            entry["exception"] = "".join(traceback.format_exception(*record.exc_info))
        try:
            self.waiting.put_nowait(entry)
        except queue.Full:
            self.dropped += 1

    def close(self):
        self.closing.set()
        self.thread.join(timeout=10)
        super().close()

    def _run(self):
        while not (self.closing.is_set() and self.waiting.empty()):
            entries = self._take()
            while entries and not self._send(entries):
                if self.closing.wait(1) and not self._send(entries):
                    return

    def _take(self):
        try:
            entries = [self.waiting.get(timeout=0.2)]
        except queue.Empty:
            return []
        while len(entries) < self.batch:
            try:
                entries.append(self.waiting.get_nowait())
            except queue.Empty:
                break
        return entries

    def _send(self, entries):
        body = json.dumps(entries, default=str).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status == 200
        except OSError:
            return False


if __name__ == "__main__":
    import sys

    logging.basicConfig(level=logging.DEBUG, handlers=[WeirHandler(*sys.argv[1:])])
    log = logging.getLogger("shop.checkout")
    log.info("order %s paid by %s", 1234, "alice@example.com", extra={"context": {"user": {"id": 7}}})
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("the invoice could not be made")
