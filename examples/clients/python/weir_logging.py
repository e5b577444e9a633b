"""Logging to Weir from Python 3.9 or newer: copy this file into your project. It needs only the standard library.

    import weir_logging

    weir_logging.setup_logger(source="shop")          # once; also reads WEIR_URL and WEIR_TOKEN
    log = weir_logging.get_logger(__name__)
    with weir_logging.context(request_id="r-17"):
        log.info("order %s is paid", 1234, extra={"amount": 20})

| part | what it is |
|---|---|
| `setup_logger`, `get_logger`, `WeirHandler` | for `logging` |
| `context`, `carry`, `Thread`, `ThreadPoolExecutor` | fields for everything that is logged inside |
| `ASGIMiddleware`, `WSGIMiddleware` | for FastAPI, Flask and others: a request id, one record for each request |
| `StructlogProcessor`, `LoguruSink` | for structlog and loguru |
| `Client` | what all of them send with |

Logging puts a record into a queue in memory, and a thread sends what waits there, in batches:

- Nothing that the router does makes a call that logs wait, or raises an exception in it.
- A batch is sent until the router acknowledges it. All attempts have the same key, so the router stores it once, if
  it is back within its `repeat_window` (10 minutes).
- While the router is away, records wait, and are printed on standard error. When `capacity` records wait, new ones
  are lost. So are records that the router refuses, and what is not acknowledged `deadline` seconds after the
  program's end has begun. What is lost is counted (`Client.lost`), and a record tells how many when the router is back.
- A process that is killed, or ends with `os._exit`, loses what waits: at most `capacity` records.
- A forked process has an empty queue and its own thread. What waits is sent by the process that logged it.
"""

import atexit
import collections
import contextlib
import contextvars
import functools
import http.client
import json
import logging
import math
import os
import queue
import random
import re
import sys
import threading
import time
import traceback
import urllib.parse
import uuid
import weakref
from concurrent import futures

DEFAULT_URL = "http://127.0.0.1:8080"

# A batch has up to so many bytes, unless a single record has more. The router takes 16 MiB.
BATCH_BYTES = 1 << 20
# How long a batch waits for more records, in seconds.
LINGER = 0.1
# Pauses between attempts, in seconds: doubled each time, up to the second. A pause that the router asks for counts up
# to the third.
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_ASKED = 0.1, 10, 300
# How deep a value may nest in a record.
DEEPEST = 32
# Lines that are printed at once, so that the interpreter's lock is soon free again.
LINES_AT_ONCE = 20

_fields = contextvars.ContextVar("weir_fields", default={})
_clients = weakref.WeakSet()


@contextlib.contextmanager
def context(**fields):
    """Adds fields to the `context` of everything that is logged inside, also in asyncio tasks that start inside.

    Inner fields replace outer ones of the same name, until the inner block ends. Threads that start inside have the
    fields if they are a `Thread` of this module, or if their function went through `carry`.
    """
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        # A generator may end in another context than the one it started in. The fields end with that one, then.
        with contextlib.suppress(ValueError):
            _fields.reset(token)


def carry(function):
    """A function that has the fields of this moment wherever it runs: `executor.submit(carry(work))`."""
    fields = _fields.get()

    @functools.wraps(function)
    def carried(*args, **kwargs):
        token = _fields.set(fields)
        try:
            return function(*args, **kwargs)
        finally:
            _fields.reset(token)

    return carried


class Thread(threading.Thread):
    """A thread with the fields of the moment in which it was started."""

    def start(self):
        self.run = carry(self.run)
        super().start()


class ThreadPoolExecutor(futures.ThreadPoolExecutor):
    """An executor whose functions have the fields of the moment in which they were submitted."""

    def submit(self, function, /, *args, **kwargs):
        return super().submit(carry(function), *args, **kwargs)


class Client:
    """A queue of records and the thread that sends them.

    url, token   where the router is; by default WEIR_URL and WEIR_TOKEN
    capacity     how many records may wait, those on their way included
    batch        how many records are sent at once
    timeout      seconds to wait for an answer
    deadline     seconds that the end of the program may take
    console      where records are printed while the router is away: by default standard error, False for nowhere
    """

    def __init__(self, url=None, token=None, capacity=10_000, batch=500, timeout=10, deadline=5, console=True):
        self.url = url or os.environ.get("WEIR_URL") or DEFAULT_URL
        self._target = urllib.parse.urlsplit(self.url)
        if self._target.scheme not in ("http", "https") or not self._target.hostname:
            raise ValueError(f"{self.url!r} is no address of a router: write http://HOST:PORT")
        token = token or os.environ.get("WEIR_TOKEN")
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self.capacity, self.batch, self.timeout, self.deadline = capacity, batch, timeout, deadline
        self._console = console
        self._closed, self._exit_by = False, None
        self._start_empty()
        _clients.add(self)

    def _start_empty(self):
        """What a new client has, and one in a process that was just forked."""
        # Reentrant, for what is logged by a signal's handler.
        self._lock = threading.RLock()
        self._waiting = collections.deque()
        # Lines of the batch on its way.
        self._sending = []
        # Lines that found no room while the router was away: they are only printed.
        self._overflow = collections.deque(maxlen=1000)
        # SimpleQueue: `put` can be called while another `put` is interrupted, unlike `Event.set`.
        self._wake = queue.SimpleQueue()
        self._thread = self._connection = None
        self._hurry = self._away = False
        # How many records were lost, how many of those a record has told of, and for which reasons that was printed.
        self.lost, self._told, self._said = 0, 0, set()
        # How many lines of the batch and the queue have been printed.
        self._printed = 0
        self._answered = True

    @property
    def unsent(self):
        """How many records wait or are on their way."""
        return len(self._sending) + len(self._waiting)

    def send(self, record):
        """Puts a record, a dictionary, into the queue. Never waits and never raises."""
        line = encode(record)
        with self._lock:
            if self._closed:
                self.lost += 1
                self._print([line])
                return
            if self.unsent >= self.capacity:
                self.lost += 1
                if self._away:
                    self._overflow.append(line)
                return
            self._waiting.append(line)
            if len(self._waiting) in (1, self.batch):
                self._wake.put(None)
            if self._thread is None:
                self._start_thread()

    def flush(self, timeout=None):
        """Waits until nothing is unsent, for `deadline` seconds unless a time is given. Tells whether that is so."""
        until = time.monotonic() + (self.deadline if timeout is None else timeout)
        if self._exit_by:
            until = min(until, self._exit_by)
        self._hurry = True
        self._wake.put(None)
        while self.unsent or self._has_news():
            if not self._thread or not self._thread.is_alive() or time.monotonic() >= until:
                break
            time.sleep(0.005)
        self._hurry = False
        return not self.unsent

    def close(self, timeout=None):
        """Sends what waits, for `deadline` seconds unless a time is given. What is left then is lost, and printed."""
        self.flush(timeout)
        with self._lock:
            if self._closed:
                return
            self._closed = True
            lines = [*self._sending, *self._waiting]
            left, unprinted = len(lines), lines[self._printed:]
            self.lost += left
            self._waiting.clear()
            self._sending = []
        self._wake.put(None)
        if left:
            self._say(f"{left} records were not acknowledged before the end")
        self._print([*unprinted, *self._overflow])
        atexit.unregister(self._at_exit)

    def _at_exit(self):
        # One deadline for all of the program's end: `logging` closes its handlers after this.
        self._exit_by = time.monotonic() + self.deadline
        if not self.flush():
            self.close()

    def _start_thread(self):
        self._thread = threading.Thread(target=self._run, name="weir", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            # Python is ending, or the system has no more threads: the next record tries again.
            self._thread = None
            return
        atexit.unregister(self._at_exit)
        atexit.register(self._at_exit)
        # A process of `multiprocessing` ends without `atexit`.
        if "multiprocessing.util" in sys.modules:
            sys.modules["multiprocessing.util"].Finalize(None, self._at_exit, exitpriority=0)

    # What follows runs in the thread.

    def _run(self):
        me = self._thread
        while not self._closed and self._thread is me:
            try:
                self._gather()
                self._deliver(self._take())
            except Exception as error:
                # Nobody else would say it, and the next batch may go well.
                self._say(f"{type(error).__name__}: {error}")
                time.sleep(1)

    def _has_news(self):
        """Whether a record should tell of what was lost. Not while the router refuses everything."""
        return self.lost != self._told and self._answered

    def _gather(self):
        """Waits for records, and then a moment for more of them."""
        while not self._wake.empty():
            self._wake.get_nowait()
        if not self._waiting and not self._has_news() and not self._closed:
            self._wake.get()
        until = time.monotonic() + LINGER
        while len(self._waiting) < self.batch and not self._hurry and not self._closed:
            try:
                self._wake.get(timeout=max(0, until - time.monotonic()))
            except queue.Empty:
                return

    def _take(self):
        with self._lock:
            if self._closed:
                return []
            size = 0
            while self._waiting and len(self._sending) < self.batch:
                size += len(self._waiting[0]) + 1
                if size > BATCH_BYTES and self._sending:
                    break
                self._sending.append(self._waiting.popleft())
            return list(self._sending)

    def _deliver(self, lines):
        lost, report = self.lost, []
        if lost != self._told:
            report = [encode(_report(lost - self._told, lost))]
        if lines or report:
            acknowledged = self._deliver_parts(lines, report)
            self._answered = acknowledged
            if acknowledged and report:
                self._told = lost

    def _deliver_parts(self, lines, report):
        """Sends lines until they are acknowledged or refused. Tells whether all were acknowledged."""
        body, key = b"[" + b",".join(lines + report) + b"]", uuid.uuid4().hex
        status, answer = self._post_until_answered(body, key)
        if status == 200:
            self._settle(lines)
        elif status == 413 and len(lines) + len(report) > 1:
            # Those in front are settled first, as they are the first of `_sending`.
            middle = len(lines) // 2
            first = self._deliver_parts(lines[:middle], []) if middle else True
            rest = self._deliver_parts(lines[middle:], []) if lines else True
            return first and rest and (not report or self._deliver_parts([], report))
        elif status:
            with self._lock:
                if not self._closed:
                    self.lost += len(lines)
            if status not in self._said:
                self._said.add(status)
                self._say(f"{self.url} refuses records, which are lost: {status} {answer}")
            self._settle(lines)
        return status == 200

    def _settle(self, lines):
        with self._lock:
            if not self._closed:
                del self._sending[:len(lines)]
                self._printed = max(0, self._printed - len(lines))

    def _post_until_answered(self, body, key):
        """The final answer, status and text; no status if the client was closed meanwhile."""
        attempt = 0
        while not self._closed:
            asked = 0
            try:
                status, answer, asked = self._post(body, key)
            except (OSError, http.client.HTTPException, ValueError) as error:
                status, answer = 0, str(error) or type(error).__name__
            if status and status < 500 and status not in (408, 425, 429):
                self._is_back()
                return status, answer
            busy = status in (429, 503)
            if not busy or attempt >= 3:
                self._is_away(f"{status} {answer}" if status else answer)
            pause = min(FIRST_PAUSE * 2 ** min(attempt, 20), LONGEST_PAUSE) * random.uniform(0.5, 1)
            self._pause(max(pause, min(asked, LONGEST_ASKED)))
            attempt += 1
        return None, ""

    def _pause(self, seconds):
        """Waits, and prints what is logged meanwhile."""
        until = time.monotonic() + seconds
        while not self._closed:
            if self._away:
                self._print_waiting()
            left = until - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=min(left, 0.2))

    def _post(self, body, key):
        """One attempt: status, text and the seconds of `Retry-After`."""
        path = self._target.path.rstrip("/")
        path = path if path.endswith("/ingest") else path + "/ingest"
        if self._target.query:
            path += "?" + self._target.query
        headers = {"Content-Type": "application/json", "Idempotency-Key": key, **self._authorization}
        for is_kept in (self._connection is not None, False):
            if self._connection is None:
                kind = http.client.HTTPSConnection if self._target.scheme == "https" else http.client.HTTPConnection
                self._connection = kind(self._target.hostname, self._target.port, timeout=self.timeout)
            try:
                self._connection.request("POST", path, body, headers)
                answer = self._connection.getresponse()
                text = answer.read(4096).decode("utf-8", "replace")
                if not answer.isclosed():
                    self._disconnect()
                asked = answer.headers.get("Retry-After", "")
                return answer.status, " ".join(text.split())[:200], int(asked) if asked.isdecimal() else 0
            except TimeoutError:
                self._disconnect()
                raise OSError(f"no answer in {self.timeout} s") from None
            except BaseException:
                self._disconnect()
                # The router may have closed a connection that was idle. Another is tried at once: the key is the same.
                if not is_kept:
                    raise

    def _disconnect(self):
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def _is_away(self, reason):
        if not self._away and not self._closed:
            self._away = True
            printed = " and are printed here" if self._console else ""
            self._say(f"{self.url} is away ({reason}); up to {self.capacity} records wait{printed}")

    def _is_back(self):
        if self._away:
            self._away = False
            lost = f"; {self.lost - self._told} records were lost" if self.lost != self._told else ""
            self._say(f"{self.url} is back{lost}")

    def _print_waiting(self):
        while self._console:
            with self._lock:
                lines = [*self._sending, *self._waiting][self._printed:self._printed + LINES_AT_ONCE]
                self._printed += len(lines)
                while self._overflow and len(lines) < LINES_AT_ONCE:
                    lines.append(self._overflow.popleft())
            if not lines:
                return
            self._print(lines)

    def _print(self, lines):
        if self._console and lines:
            _write(self._console, "".join(_as_text(line) + "\n" for line in lines))

    def _say(self, what):
        _write(self._console or True, f"weir: {what}\n")


def _write(stream, text):
    # Standard error may be closed, or missing as in a service of Windows.
    with contextlib.suppress(Exception):
        stream = sys.stderr if stream is True else stream
        stream.write(text)
        stream.flush()


def _report(count, all_time):
    message = f"{count} records were lost before this one"
    source = os.path.basename(sys.argv[0] if sys.argv else "") or "python"
    told = {"lost": count, "lost_all_time": all_time, "process": os.getpid()}
    return {"timestamp": time.time_ns(), "level": "WARNING", "source": source, "message": message, "metadata": told}


def _as_text(line):
    record = json.loads(line)
    at = time.strftime("%H:%M:%S", time.localtime(record.get("timestamp", 0) / 1e9))
    text = f"{at} {record.get('level')} {record.get('source')}: {record.get('message')}"
    if record.get("context"):
        text += " " + " ".join(f"{name}={value}" for name, value in record["context"].items())
    return "\n".join([text, *(record[part].rstrip() for part in ("exception", "stack") if record.get(part))])


def _after_fork():
    for client in list(_clients):
        client._start_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _foreign(value):
    """What JSON doesn't know."""
    return list(value) if isinstance(value, (set, frozenset)) else _text(value)


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_foreign)


def encode(record):
    """A record as JSON. What JSON doesn't know becomes text."""
    try:
        return _encoder.encode(record).encode()
    except Exception:
        return json.dumps(_plain(record, ())).encode()


def _plain(value, above):
    """What JSON knows of a value. `above` are the ids of the values that it is in."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if not isinstance(value, (dict, list, tuple, set, frozenset)):
        return _text(value)
    if id(value) in above or len(above) >= DEEPEST:
        return f"a {type(value).__name__} that is not shown again" if id(value) in above else "too deep"
    above = (*above, id(value))
    if isinstance(value, dict):
        return {_text(name): _plain(inner, above) for name, inner in list(value.items())}
    return [_plain(inner, above) for inner in list(value)]


def _text(value):
    try:
        # Halves of UTF-16 pairs are no text.
        return str(value).encode("utf-8", "replace").decode()
    except Exception as error:
        return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"


_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _level(name, number):
    """The level's name if Weir knows it, otherwise the one that belongs to its number."""
    if name in _LEVELS:
        return name
    return _LEVELS[min(max(int(number) // 10, 0), 5)]


def _with_fields(record, extra):
    """Adds the fields of the context and those of one call. A name that has a meaning here goes into `metadata`."""
    fields = _fields.get()
    if fields:
        record["context"] = {**fields}
    for name, value in extra.items():
        if name in ("context", "metadata") and isinstance(value, dict):
            record[name] = {**record.get(name, {}), **value}
        elif name in record or name == "context":
            record.setdefault("metadata", {})[name] = value
        else:
            record[name] = value
    return record


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class WeirHandler(logging.Handler):
    """A handler of `logging`. Takes a `Client`, or the arguments of one.

    `source` is the source of all records; by default, it is the logger's name.
    """

    def __init__(self, source=None, client=None, level=logging.NOTSET, **options):
        super().__init__(level)
        self.source, self.client = source, client or Client(**options)

    @property
    def lost(self):
        return self.client.lost

    def emit(self, record):
        try:
            self.client.send(self._entry(record))
        except Exception:
            self.handleError(record)

    def _entry(self, record):
        try:
            message = record.getMessage()
        except Exception:
            message = f"{_text(record.msg)} {_text(record.args)}"
        place = {"file": record.filename, "line": record.lineno, "function": record.funcName}
        place.update(thread=record.threadName, process=record.process)
        entry = {
            "timestamp": int(record.created * 1e6) * 1000,
            "level": _level(record.levelname, record.levelno),
            "source": self.source or record.name,
            "message": message,
            "metadata": place,
        }
        if self.source:
            place["logger"] = record.name
        if entry["level"] != record.levelname:
            place["level_name"] = record.levelname
        if record.exc_info and record.exc_info[0]:
            entry["exception"] = _stack(*record.exc_info)
        elif record.exc_text:
            entry["exception"] = record.exc_text
        if record.stack_info:
            entry["stack"] = record.stack_info
        return _with_fields(entry, {name: value for name, value in vars(record).items() if name not in _STANDARD})

    def flush(self):
        self.client.flush()

    def close(self):
        self.client.close()
        super().close()


def _stack(kind, error, trace):
    try:
        return "".join(traceback.format_exception(kind, error, trace)).rstrip()
    except Exception:
        return f"{kind.__name__}, whose text can't be made"


def setup_logger(source=None, level=logging.INFO, logger=None, **options):
    """Lets the root logger, or the one of this name, send to Weir, and returns it.

    Called again, it replaces what it set up. Other handlers stay as they are. `options` are those of `Client`.
    """
    logger = logging.getLogger(logger)
    handler = WeirHandler(source, **options)
    for old in [old for old in logger.handlers if isinstance(old, WeirHandler)]:
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)
    logger.setLevel(level)
    return logger


def get_logger(name=None):
    """The logger of this name. If what it logs doesn't go to Weir yet, `setup_logger()` is called first."""
    logger = above = logging.getLogger(name)
    while above:
        if any(isinstance(handler, WeirHandler) for handler in above.handlers):
            return logger
        above = above.parent if above.propagate else None
    setup_logger()
    return logger


_REQUEST_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)


def _request_id(given):
    return given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _tell(log, began, status, method, path, error=None):
    told = {"status": status, "duration_ms": round((time.perf_counter() - began) * 1000, 3)}
    if error:
        log.error("%s %s failed", method, path, exc_info=error, extra={"metadata": told})
    else:
        level = logging.ERROR if status >= 500 else logging.INFO
        log.log(level, "%s %s: %s", method, path, status, extra={"metadata": told})


class ASGIMiddleware:
    """For FastAPI: `app.add_middleware(ASGIMiddleware)`. For other applications: `ASGIMiddleware(app)`.

    What is logged during a request has `request_id`, `method` and `path` in its `context`. The id is that of the header
    `X-Request-ID`, or a new one; the answer has it too. Each request is logged when it is done, with its status, its
    duration and its exception.
    """

    def __init__(self, app, logger="weir.requests"):
        self.app, self.log = app, logging.getLogger(logger)

    async def __call__(self, scope, receive, send):
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = {name.lower(): value for name, value in scope.get("headers", ())}
        id = _request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        method, path, status, began = scope.get("method", "WEBSOCKET"), scope["path"], 0, time.perf_counter()

        async def noted(message):
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.accept"):
                status = message.get("status", 101)
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", id.encode())]}
            await send(message)

        with context(request_id=id, method=method, path=path):
            try:
                await self.app(scope, receive, noted)
            except Exception as error:
                _tell(self.log, began, status or 500, method, path, error)
                raise
            _tell(self.log, began, status, method, path)


class WSGIMiddleware:
    """As `ASGIMiddleware`. For Flask: `app.wsgi_app = WSGIMiddleware(app.wsgi_app)`. For others: `WSGIMiddleware(app)`."""

    def __init__(self, app, logger="weir.requests"):
        self.app, self.log = app, logging.getLogger(logger)

    def __call__(self, environ, start_response):
        id = _request_id(environ.get("HTTP_X_REQUEST_ID"))
        method, path = environ.get("REQUEST_METHOD", ""), environ.get("PATH_INFO", "")
        return self._parts(environ, start_response, {"request_id": id, "method": method, "path": path})

    def _parts(self, environ, start_response, fields):
        status, began, failed = 0, time.perf_counter(), None

        def noted(line, headers, *more):
            nonlocal status
            status = int(line[:3])
            return start_response(line, [*headers, ("X-Request-ID", fields["request_id"])], *more)

        def tell(error=None):
            with context(**fields):
                _tell(self.log, began, status or 500, fields["method"], fields["path"], error)

        with context(**fields):
            try:
                parts = self.app(environ, noted)
            except Exception as error:
                tell(error)
                raise
        return _Parts(parts, fields, tell)


class _Parts:
    """The body of an answer: the application makes its parts with the fields of the request."""

    def __init__(self, parts, fields, tell):
        self._parts, self._fields, self._tell, self._error = parts, fields, tell, None
        self._iterator = iter(parts)

    def __iter__(self):
        return self

    def __next__(self):
        with context(**self._fields):
            try:
                return next(self._iterator)
            except StopIteration:
                raise
            except Exception as error:
                self._error = error
                raise

    def close(self):
        try:
            with context(**self._fields):
                getattr(self._parts, "close", lambda: None)()
        finally:
            self._tell(self._error)


class StructlogProcessor:
    """A processor of structlog that sends the event and passes it on. It belongs before the renderer:

        structlog.configure(processors=[add_log_level, StructlogProcessor(source="shop"), ConsoleRenderer()])
    """

    def __init__(self, source="structlog", client=None, **options):
        self.source, self.client = source, client or Client(**options)

    def __call__(self, logger, method, event):
        extra = dict(event)
        level = str(extra.pop("level", method)).upper()
        level = {"WARN": "WARNING", "EXCEPTION": "ERROR", "FATAL": "CRITICAL", "MSG": "INFO"}.get(level, level)
        source = extra.pop("logger", None) or getattr(logger, "name", None) or self.source
        record = {"timestamp": time.time_ns(), "level": level, "source": source, "message": extra.pop("event", "")}
        error = extra.pop("exc_info", None)
        if error is True:
            error = sys.exc_info()
        elif isinstance(error, BaseException):
            error = (type(error), error, error.__traceback__)
        if error and error[0]:
            record["exception"] = _stack(*error)
        extra.pop("timestamp", None)
        self.client.send(_with_fields(record, extra))
        return event


class LoguruSink:
    """A sink of loguru: `logger.add(LoguruSink(source="shop"))`. What `bind` and `contextualize` add is kept."""

    def __init__(self, source=None, client=None, **options):
        self.source, self.client = source, client or Client(**options)

    def __call__(self, message):
        said = message.record
        level, error = said["level"], said["exception"]
        place = {"file": said["file"].name, "line": said["line"], "function": said["function"]}
        place.update(thread=said["thread"].name, process=said["process"].id)
        record = {
            "timestamp": int(said["time"].timestamp() * 1e6) * 1000,
            "level": _level(level.name, level.no),
            "source": self.source or said["name"] or "loguru",
            "message": said["message"],
            "metadata": place,
        }
        if record["level"] != level.name:
            place["level_name"] = level.name
        if error and error.type:
            record["exception"] = _stack(error.type, error.value, error.traceback)
        self.client.send(_with_fields(record, said["extra"]))
