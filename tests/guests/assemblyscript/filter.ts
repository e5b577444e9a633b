// Uses the whole SDK; `tests/e2e/helpers.rs` has the expected results.

import * as weir from "./weir";

const TEXT = weir.path("nested.list.1.text");
const NUMBER = weir.path("number");
const FLOAT = weir.path("float");
const NAME = weir.path("context.user.name");
const AGE = weir.path("context.user.age");
const DOTTED = weir.path("a\\.b");
const RATIO = weir.path("ratio");
const OK = weir.path("ok");
const SECRET = weir.path("secret");
const TOKEN = weir.path("context.token");
const KEEP_DEEP = weir.path("keep.deep");
const KEEP_SET = weir.path("keep.set");
const NOWHERE_DEEP = weir.path("nowhere.deep");
const COPY = weir.path("copy");
const LIST = weir.path("list");
const FIRST = weir.path("list.0");
const SECOND = weir.path("list.1");
const USER = weir.path("context.user");
const CONTEXT = weir.path("context");
const MESSAGE = weir.path("message");
const N = weir.path("n");
const STORED = weir.path("stored");
const GONE = weir.path("gone");
const LATER = weir.path("later");
const KINDS = weir.path("kinds");
const SUM = weir.path("sum");
const LARGE = weir.path("large");
const MOST = weir.path("most");
const BOUNDED = weir.path("bounded");
const NEAREST = weir.path("nearest");
const LENGTH = weir.path("length");

let seen: u64 = 0;

function configure(options: weir.Value): string | null {
  const text = options.get(TEXT);
  if (!text || text.text != "ü \"☃\"\n🦀") return "the options arrive otherwise than they were written";
  const number = options.get(NUMBER), float = options.get(FLOAT);
  if (!number || number.integer != -5000000000 || !float || float.float != -0.25) {
    return "numbers in options arrive otherwise than they were written";
  }
  return options.only(["nested", "number", "float"]);
}

function change(record: weir.Record): weir.Verdict {
  let done = record.setText(NAME, "Ada");
  done = record.setInteger(AGE, 36) && done;
  done = record.setText(NAME, "Ada Lovelace") && done;
  done = record.setText(DOTTED, "dotted") && done;
  done = record.setFloat(RATIO, 0.5) && done;
  done = record.setBoolean(OK, true) && done;
  done = record.remove(SECRET) && record.remove(TOKEN) && done;
  // Nothing is there to remove, so what is on the paths stays as it is.
  done = record.remove(KEEP_DEEP) && record.remove(NOWHERE_DEEP) && done;
  done = record.setInteger(KEEP_SET, 1) && record.remove(KEEP_SET) && done;
  done = record.setLevel(weir.Level.Error) && record.setMessage("changed") && done;
  done = record.addRoute("audit") && done;
  done = record.setValue(COPY, record.get(SECOND)!) && done;
  if (done && !record.setText(FIRST, "x") && !record.setText(USER, "x")) return weir.Verdict.Keep;
  record.reason = "a change was taken otherwise";
  return weir.Verdict.Fail;
}

function split(record: weir.Record): weir.Verdict {
  const one = record.another();
  one.setText(MESSAGE, "one");
  one.setInteger(N, record.get(NUMBER)!.integer);
  const two = record.another();
  two.setText(MESSAGE, "two");
  two.setValue(CONTEXT, record.get(CONTEXT)!);
  return weir.Verdict.Replace;
}

function store(record: weir.Record): weir.Verdict {
  weir.kvSet("k", "kept", 60000);
  const value = weir.kvGet("k");
  record.setText(STORED, value ? value : "");
  weir.kvDelete("k");
  record.setBoolean(GONE, weir.kvGet("k") == null);
  weir.kvAdd("n", 2, 60000);
  record.setInteger(N, weir.kvAdd("n", 3, 60000));
  record.setBoolean(LATER, weir.now() > record.time);
  weir.log(weir.Level.Warning, "the store was used");
  weir.count("stored", 2);
  return weir.Verdict.Keep;
}

// The types of all values of a record, in order.
function kinds(record: weir.Record): weir.Verdict {
  let text = "";
  const items = record.whole.items;
  for (let i = 0; i < items.length; i++) text += "nbiftBLMX".charAt(items[i].kind);
  record.setText(KINDS, text);
  record.setFloat(SUM, record.get(FLOAT)!.float + <f64>record.get(LARGE)!.integer);
  record.setInteger(BOUNDED, record.get(MOST)!.integer);
  record.setFloat(NEAREST, record.get(MOST)!.float);
  record.setInteger(LENGTH, record.get(LIST)!.items.length);
  return weir.Verdict.Keep;
}

function process(record: weir.Record): weir.Verdict {
  const message = record.message;
  seen++;
  if (message == "change") return change(record);
  if (message == "split") return split(record);
  if (message == "store") return store(record);
  if (message == "kinds") return kinds(record);
  if (message == "fail") {
    record.reason = "no idea";
    return weir.Verdict.Fail;
  }
  return record.source == "noise" ? weir.Verdict.Drop : weir.Verdict.Keep;
}

function tick(closing: bool, out: weir.Record): void {
  if (!closing) return;
  const record = out.another();
  record.setText(MESSAGE, "seen");
  record.setInteger(N, seen);
}

function save(state: weir.Bytes): void {
  state.head64(0, seen);
}

function restore(at: usize, length: usize): string | null {
  if (length != 9) return "this is no state of mine";
  seen = bswap<u64>(load<u64>(at, 1));
  return null;
}

weir.filter("everything", "1.0.0", "uses all that the helper has", configure, process);
weir.keepsState(tick, save, restore);
export * from "./weir/stateful";
