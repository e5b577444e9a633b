"""What `weir_logging` promises of the records that it makes: fields, exceptions, frameworks, other libraries."""

import asyncio
import datetime
import json
import logging
import threading
import unittest

import fastapi
import flask
import loguru
import structlog
import weir_logging
from fastapi.testclient import TestClient
from weir_logging import context


class Kept(weir_logging.Client):
    """A client that keeps what it is given, as it would be sent."""

    def __init__(self):
        super().__init__()
        self.records = []

    def send(self, record):
        self.records.append(json.loads(weir_logging.encode(record)))


class Case(unittest.TestCase):
    def setUp(self):
        self.kept = Kept()
        self.handler = weir_logging.WeirHandler(client=self.kept)
        self.log = logging.getLogger("test")
        for logger in (self.log, logging.getLogger("weir.requests"), logging.getLogger("app")):
            logger.handlers = [self.handler]
            logger.setLevel(logging.DEBUG)
            logger.propagate = False

    def contexts(self):
        return [record.get("context") for record in self.kept.records]

    def by_message(self):
        return {record["message"]: record for record in self.kept.records}


class Context(Case):
    def test_nests_and_ends_also_by_an_exception(self):
        with context(a=1, b=1):
            try:
                with context(b=2, c=3):
                    self.log.info("inner")
                    raise KeyError
            except KeyError:
                self.log.info("outer")
        self.log.info("outside")
        self.assertEqual(self.contexts(), [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 1}, None])

    def test_is_a_decorator_and_can_be_entered_again(self):
        @context(job="nightly")
        def work(depth):
            self.log.info("%d", depth)
            if depth:
                work(depth - 1)

        work(2)
        self.log.info("done")
        self.assertEqual(self.contexts(), [{"job": "nightly"}] * 3 + [None])

    def test_fields_of_a_call_are_added(self):
        with context(user=1, order=2):
            self.log.info("paid", extra={"context": {"order": 3}, "amount": 20, "source": "x", "metadata": {"m": 1}})
        record = self.kept.records[0]
        self.assertEqual(record["context"], {"user": 1, "order": 3})
        self.assertEqual((record["amount"], record["source"]), (20, "test"))
        self.assertEqual((record["metadata"]["source"], record["metadata"]["m"]), ("x", 1))
        self.assertEqual(record["metadata"]["file"], "python_test.py")

    def test_what_changes_after_the_call_is_not_sent(self):
        fields = {"n": 1}
        with context(fields=fields):
            self.log.info("now")
            fields["n"] = 2
        self.assertEqual(self.contexts(), [{"fields": {"n": 1}}])

    def test_follows_into_tasks_and_stays_apart(self):
        async def request(id):
            with context(request_id=id):
                await asyncio.sleep(0)
                await asyncio.gather(part("a"), asyncio.create_task(part("b")))
                await asyncio.to_thread(self.log.info, f"{id} to_thread")
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, weir_logging.carry(self.log.info), f"{id} executor")
            self.log.info(f"{id} after")

        async def part(name):
            with context(part=name):
                await asyncio.sleep(0.001)
                self.log.info(name)

        async def main():
            await asyncio.gather(*(request(id) for id in range(20)))

        asyncio.run(main())
        found = sorted(json.dumps(fields) for fields in self.contexts())
        due = [{"request_id": id, "part": part} for id in range(20) for part in "ab"]
        due += [{"request_id": id} for id in range(20)] * 2 + [None] * 20
        self.assertEqual(found, sorted(map(json.dumps, due)))

    def test_follows_into_threads_and_executors_that_are_told_to(self):
        with context(request_id=1):
            started = weir_logging.Thread(target=self.log.info, args=("Thread",))
            plain = threading.Thread(target=self.log.info, args=("plain",))
            carried = threading.Thread(target=weir_logging.carry(self.log.info), args=("carried",))
        threads = [started, plain, carried]
        with context(request_id=2):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        found = {message: record.get("context") for message, record in self.by_message().items()}
        # A carried function has the fields of when it was carried.
        self.assertEqual(found, {"Thread": {"request_id": 2}, "plain": None, "carried": {"request_id": 1}})

    def test_a_thread_of_an_executor_has_only_the_fields_of_its_function(self):
        with weir_logging.ThreadPoolExecutor(1) as executor:
            with context(request_id=1):
                executor.submit(self.log.info, "first").result()
            executor.submit(self.log.info, "second").result()
            with context(request_id=3):
                list(executor.map(self.log.info, ["third"]))
        self.assertEqual(self.contexts(), [{"request_id": 1}, None, {"request_id": 3}])

    def test_a_generator_may_end_elsewhere(self):
        async def main():
            def steps():
                with context(a=1):
                    yield self.log.info("inside")

            generator = steps()
            await asyncio.create_task(self.step(generator))
            await asyncio.create_task(self.step(generator))
            self.log.info("outside")

        asyncio.run(main())
        self.assertEqual(self.contexts(), [{"a": 1}, None])

    async def step(self, generator):
        next(generator, None)


class Records(Case):
    def test_times_levels_and_names(self):
        before = datetime.datetime.now().timestamp() * 1e9 - 1e6
        for level in (5, 10, 15, 20, 25, 30, 40, 50, 70):
            self.log.setLevel(1)
            self.log.log(level, "%s", level)
        levels = [record["level"] for record in self.kept.records]
        due = ["TRACE", "DEBUG", "DEBUG", "INFO", "INFO", "WARNING", "ERROR", "CRITICAL", "CRITICAL"]
        self.assertEqual(levels, due)
        self.assertEqual(self.kept.records[2]["metadata"]["level_name"], "Level 15")
        self.assertTrue(all(before < record["timestamp"] < before + 60e9 for record in self.kept.records))

    def test_exceptions_have_their_stack_and_their_cause(self):
        try:
            try:
                {}["missing"]
            except KeyError as error:
                raise ValueError("no order") from error
        except ValueError:
            self.log.exception("it failed", stack_info=True)
        record = self.kept.records[0]
        for part in ("KeyError: 'missing'", "direct cause", "ValueError: no order", "in test_exceptions"):
            self.assertIn(part, record["exception"])
        self.assertIn("self.log.exception", record["stack"])
        self.log.error("no exception", exc_info=True)
        self.assertNotIn("exception", self.kept.records[1])

    def test_what_json_does_not_know_becomes_text(self):
        class Rude:
            def __str__(self):
                raise RuntimeError

            __repr__ = __str__

        circular = []
        circular += [circular, circular]
        deep = value = []
        for _ in range(3000):
            value.append([])
            value = value[0]
        self.log.info("x", extra={"at": datetime.date(2026, 1, 2), "set": {1}, "nan": float("nan"), "half": "\ud800"})
        self.log.info("x", extra={"rude": Rude(), "circular": circular, "deep": deep, "keys": {(1, 2): Rude, None: 1}})
        first, second = self.kept.records
        self.assertEqual((first["at"], first["set"], first["nan"], first["half"]), ("2026-01-02", [1], "nan", "?"))
        self.assertIn("can't be shown", second["rude"])
        self.assertEqual(second["keys"]["(1, 2)"][:6], "<class")
        self.log.info("%d apples", "no number")
        self.log.info(Rude())
        self.assertEqual(self.kept.records[2]["message"], "%d apples ('no number',)")
        self.assertIn("can't be shown", self.kept.records[3]["message"])

    def test_get_logger_sets_up_once_and_setup_logger_replaces(self):
        root = logging.getLogger()
        self.addCleanup(setattr, root, "handlers", list(root.handlers))
        self.assertIs(weir_logging.get_logger("test"), self.log)
        self.assertEqual(sum(isinstance(handler, weir_logging.WeirHandler) for handler in root.handlers), 0)
        for _ in range(2):
            weir_logging.get_logger("elsewhere")
            weir_logging.setup_logger("shop", level="DEBUG", url="https://logs.example.com/weir/")
        ours = [handler for handler in root.handlers if isinstance(handler, weir_logging.WeirHandler)]
        self.assertEqual([handler.source for handler in ours], ["shop"])
        self.assertEqual(root.level, logging.DEBUG)
        with self.assertRaisesRegex(ValueError, "http://HOST:PORT"):
            weir_logging.setup_logger(url="localhost:8080")


class Frameworks(Case):
    def check(self, get):
        """What a request leaves behind, whichever framework it went through."""
        status, headers, body = get("/orders/7", {"X-Request-ID": "r-1"})
        self.assertEqual((status, headers["x-request-id"], body), (200, "r-1", "order 7"))
        fields = {"request_id": "r-1", "method": "GET", "path": "/orders/7"}
        inside, done = self.kept.records
        self.assertEqual((inside["message"], inside["context"]), ("inside", fields))
        self.assertEqual((done["message"], done["context"], done["level"]), ("GET /orders/7: 200", fields, "INFO"))
        self.assertEqual(done["metadata"]["status"], 200)
        self.assertGreater(done["metadata"]["duration_ms"], 0)
        # An id that might be something else than an id is not taken over.
        for given in ({}, {"X-Request-ID": "a b"}, {"X-Request-ID": "x" * 200}):
            status, headers, _ = get("/missing", given)
            self.assertEqual((status, len(headers["x-request-id"])), (404, 32))
        self.kept.records.clear()
        status, _, _ = get("/fails", {})
        self.assertEqual(status, 500)
        self.assertTrue(any("ZeroDivisionError" in record.get("exception", "") for record in self.kept.records))
        self.assertTrue(all(record["context"]["path"] == "/fails" for record in self.kept.records))
        self.log.info("outside")
        self.assertNotIn("context", self.kept.records[-1])

    def test_fastapi(self):
        app = fastapi.FastAPI()
        app.add_middleware(weir_logging.ASGIMiddleware)

        # Runs in a thread of the framework.
        @app.get("/orders/{number}", response_class=fastapi.responses.PlainTextResponse)
        def order(number: int):
            self.log.info("inside")
            return f"order {number}"

        @app.get("/fails")
        async def fails():
            await asyncio.sleep(0)
            return 1 / 0

        @app.websocket("/socket")
        async def socket(socket: fastapi.WebSocket):
            await socket.accept()
            self.log.info(await socket.receive_text())
            await socket.close()

        client = TestClient(app, raise_server_exceptions=False)

        def get(path, headers):
            answer = client.get(path, headers=headers)
            return answer.status_code, answer.headers, answer.text

        self.check(get)
        self.kept.records.clear()
        with client.websocket_connect("/socket", headers={"x-request-id": "w-1"}) as session:
            session.send_text("hello")
            with self.assertRaises(Exception):
                session.receive_text()
        said = [(record["message"], record["context"]["request_id"]) for record in self.kept.records]
        self.assertEqual(said, [("hello", "w-1"), ("WEBSOCKET /socket: 101", "w-1")])

    def test_flask(self):
        app = flask.Flask("app")
        app.logger.handlers = [self.handler]
        app.wsgi_app = weir_logging.WSGIMiddleware(app.wsgi_app)

        @app.get("/orders/<int:number>")
        def order(number):
            # The body is made after the function has returned.
            def parts():
                self.log.info("inside")
                yield f"order {number}"

            return parts()

        @app.get("/fails")
        def fails():
            return 1 / 0

        def get(path, headers):
            answer = app.test_client().get(path, headers=headers, buffered=True)
            return answer.status_code, answer.headers, answer.text

        self.check(get)

    def test_a_wsgi_application_that_raises_is_logged(self):
        def app(environ, start_response):
            start_response("200 OK", [])
            yield b"part"
            raise ValueError("broken")

        parts = weir_logging.WSGIMiddleware(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None)
        self.assertEqual(next(parts), b"part")
        with self.assertRaises(ValueError):
            next(parts)
        parts.close()
        record = self.kept.records[0]
        self.assertEqual((record["message"], record["level"]), ("GET / failed", "ERROR"))
        self.assertIn("ValueError: broken", record["exception"])


class Libraries(Case):
    def test_structlog(self):
        printed = []
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                weir_logging.StructlogProcessor("shop", client=self.kept),
                lambda logger, method, event: printed.append(event) or "",
            ]
        )
        log = structlog.get_logger()
        with structlog.contextvars.bound_contextvars(user=7), context(request_id=1):
            log.bind(order=3).warning("paid", amount=20)
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("failed")
        paid, failed = self.kept.records
        self.assertEqual((paid["message"], paid["level"], paid["source"]), ("paid", "WARNING", "shop"))
        self.assertEqual((paid["user"], paid["order"], paid["amount"]), (7, 3, 20))
        self.assertEqual((failed["level"], failed["context"]), ("ERROR", {"request_id": 1}))
        self.assertIn("ZeroDivisionError", failed["exception"])
        self.assertNotIn("exc_info", failed)
        self.assertEqual(printed[0]["event"], "paid", "the event is passed on")

    def test_loguru(self):
        log = loguru.logger
        log.remove()
        log.add(weir_logging.LoguruSink(client=self.kept), level="TRACE")
        self.addCleanup(log.remove)
        with log.contextualize(user=7), context(request_id=1):
            log.bind(order=3).success("paid {}", 20)
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("failed")
        paid, failed = self.kept.records
        self.assertEqual((paid["message"], paid["level"]), ("paid 20", "INFO"))
        self.assertEqual(paid["metadata"]["level_name"], "SUCCESS")
        self.assertEqual((paid["user"], paid["order"], paid["context"]), (7, 3, {"request_id": 1}))
        self.assertEqual((paid["metadata"]["file"], paid["source"]), ("python_test.py", __name__))
        self.assertEqual(failed["level"], "ERROR")
        self.assertIn("ZeroDivisionError", failed["exception"])


if __name__ == "__main__":
    unittest.main()
