"""Native tests of what `weir.py` sends back for the changes of a filter: `python3 test_weir.py BINDINGS`, where BINDINGS
is the folder written by `componentize-py --wit-path wit/v1 --world stateful-packed-filter bindings BINDINGS`."""

import json
import sys
import unittest

sys.path.insert(0, sys.argv.pop(1))

import weir  # noqa: E402

HEAD = {"timestamp": "2026-01-02T03:04:05.000000006Z", "level": "INFO", "source": "s", "message": "m"}
RECORD = {
    **HEAD,
    "n": 1,
    "context": {"user": {"name": "Ada", "id": 9007199254740993}, "email": "a@b.example"},
    "tags": ["a", {"b": 1}],
}


class Host:
    """The recorded host calls."""

    def __init__(self):
        self.counts = {}

    def counter(self, name, delta):
        self.counts[name] = self.counts.get(name, 0) + delta


def run(process, *records, options=None, given="{}"):
    """The verdicts, the records that came with them, and the counts."""
    module = {"inner": process}
    exec("def process(record, options): return inner(record, options)", module)
    weir.host = Host()
    weir.filter("f", "1", "d", options=options or {})(module["process"])
    module["Lifecycle"]().configure(given)
    output = module["Packed"]().process(json.dumps(records or [RECORD]).encode())
    return list(output.verdicts), json.loads(output.records or b"[]"), weir.host.counts


class Changes(unittest.TestCase):
    def patch(self, change, expected):
        verdicts, records, _ = run(lambda record, _: change(record))
        self.assertEqual((verdicts, records), ([2], [expected]) if expected else ([0], []))

    def test_unchanged_records_are_kept(self):
        self.patch(lambda record: None, None)
        self.patch(lambda record: record["context"].get("email") and None, None)

        def there_and_back(record):
            record["n"], n = 2, record["n"]
            record["n"] = n
            record["context"]["user"] = record["context"].pop("user")

        self.patch(there_and_back, None)

    def test_a_nested_list_that_was_emptied_is_sent_back(self):
        verdicts, records, _ = run(lambda record, _: record["lists"][0].clear(), {**HEAD, "lists": [["a"], "b"]})
        self.assertEqual((verdicts, records), ([2], [{"lists": [[], "b"]}]))

    def test_values_moved_between_containers_are_sent_back(self):
        def move(record):
            b = record["second"].pop("b")
            record["second"].update(a=record["first"].pop("a"), b=b)
            record["two"].insert(0, record["one"].pop())

        verdicts, records, _ = run(
            lambda record, _: move(record),
            {**HEAD, "first": {"a": 1}, "second": {"b": 2}, "one": [3], "two": [4]},
        )
        self.assertEqual(verdicts, [2])
        self.assertEqual(records, [{"first": {"a": None}, "second": {"a": 1}, "one": [], "two": [3, 4]}])

    def test_only_changes_are_sent_back(self):
        self.patch(lambda record: record["context"].update(email="*"), {"context": {"email": "*"}})
        self.patch(lambda record: record["context"]["user"].pop("name") and None, {"context": {"user": {"name": None}}})
        self.patch(lambda record: record["tags"].append("c"), {"tags": ["a", {"b": 1}, "c"]})
        self.patch(lambda record: record["tags"][1].update(b=2), {"tags": ["a", {"b": 2}]})

    def test_equal_values_of_another_type_are_changes(self):
        verdicts, records, _ = run(lambda record, _: record.update(n=True))
        self.assertEqual(verdicts, [2])
        self.assertIs(records[0]["n"], True)
        verdicts, records, _ = run(lambda record, _: record.update(n=1.0))
        self.assertEqual((verdicts, type(records[0]["n"])), ([2], float))

    def test_a_replaced_map_is_removed_completely(self):
        gone = {"context": {"user": None, "email": None, "x": 1}}
        self.patch(lambda record: record.update(context={"x": 1}), gone)

        def emptied_first(record):
            context = record["context"]
            context.clear()
            record["context"] = {"x": 1}

        self.patch(emptied_first, gone)

    def test_a_changed_copy_is_a_change(self):
        self.patch(lambda record: {**record, "n": 2}, {"n": 2})
        self.patch(lambda record: {**HEAD, "n": 1}, {"context": None, "tags": None})
        verdicts, records, _ = run(lambda record, _: {"message": "x"})
        self.assertEqual((verdicts, records), ([3], [{"message": "x"}]))


class Decisions(unittest.TestCase):
    def test_each_record_gets_its_verdict_in_order(self):
        def process(record, _):
            match record["n"]:
                case 0:
                    return weir.DROP
                case 1:
                    return [record, {"message": "second"}]
                case 2:
                    record["n"] = 3
                    return record

        verdicts, records, _ = run(process, *({**HEAD, "n": n} for n in (0, 1, 2, 4)))
        self.assertEqual(verdicts, [1, 4, 2, 0, 0, 0, 2, 0])
        self.assertEqual(records, [{**HEAD, "n": 1}, {"message": "second"}, {"n": 3}])

    def test_a_failure_has_its_reason_and_line_and_discards_counts(self):
        def process(record, _):
            weir.counter("seen")
            record["missing"]["x"] = 1

        with self.assertRaises(weir.Err) as caught:
            run(process)
        self.assertRegex(caught.exception.value, r"KeyError: 'missing' \(test_weir.py, line \d+\)")
        _, _, counts = run(lambda record, _: weir.counter("seen", 2))
        self.assertEqual(counts, {"seen": 2})

    def test_invalid_verdicts_are_refused(self):
        with self.assertRaises(weir.Err) as caught:
            run(lambda record, _: 5)
        self.assertIn("the filter returned 5", caught.exception.value)


class OptionsOfFilters(unittest.TestCase):
    def test_defaults_are_filled_in_and_mistakes_reported(self):
        seen = []
        run(lambda record, options: seen.append(dict(options)), options={"a": 1, "b": "x"}, given='{"b": "y"}')
        self.assertEqual(seen, [{"a": 1, "b": "y"}])
        for given, expected in [('{"c": 1}', "no option `c`; options are `a`"), ('{"a": "1"}', "`a` is a string; give a number")]:
            with self.assertRaises(weir.Err) as caught:
                run(lambda record, _: None, options={"a": 1}, given=given)
            self.assertIn(expected, caught.exception.value)


if __name__ == "__main__":
    unittest.main()
