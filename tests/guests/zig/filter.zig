//! Uses all of weir.zig; `tests/e2e/helpers.rs` has the expected results.

const std = @import("std");
const weir = @import("weir.zig");

pub const name = "everything";
pub const version = "1.0.0";
pub const description = "uses all that the helper has";

const Item = struct { text: []const u8 = "" };

pub const Options = struct {
    nested: struct { list: []const Item = &.{} } = .{},
    number: i64 = 0,
    float: f64 = 0,
};

var seen: u64 = 0;

pub fn configure(options: Options) ?[]const u8 {
    if (options.nested.list.len != 2 or !std.mem.eql(u8, options.nested.list[1].text, "ü \"☃\"\n🦀")) {
        return "the options arrive otherwise than they were written";
    }
    if (options.number != -5000000000 or options.float != -0.25) {
        return "numbers in options arrive otherwise than they were written";
    }
    return null;
}

fn change(record: *weir.Record) weir.Verdict {
    var done = record.set("context.user.name", "Ada");
    done = record.set("context.user.age", 36) and done;
    done = record.set("context.user.name", "Ada Lovelace") and done;
    done = record.set("a\\.b", "dotted") and done;
    done = record.set("ratio", 0.5) and done;
    done = record.set("ok", true) and done;
    done = record.remove("secret") and record.remove("context.token") and done;
    // Nothing is there to remove, so what is on the paths stays as it is.
    done = record.remove("keep.deep") and record.remove("nowhere.deep") and done;
    done = record.set("keep.set", 1) and record.remove("keep.set") and done;
    done = record.set("level", weir.Level.err) and record.set("message", "changed") and done;
    done = record.addRoute("audit") and done;
    done = record.set("copy", record.get("list.1").?) and done;
    const undone = record.set("list.0", "x") or record.set("context.user", "x");
    return if (done and !undone) .keep else .{ .fail = "a change was taken otherwise" };
}

fn split(record: *weir.Record) weir.Verdict {
    const one = record.another();
    _ = one.set("message", "one");
    _ = one.set("n", record.get("number").?.integer().?);
    const two = record.another();
    _ = two.set("message", "two");
    _ = two.set("context", record.getAt(&.{"context"}).?);
    return .replace;
}

fn store(record: *weir.Record) weir.Verdict {
    weir.kv.set("k", "kept", 60000);
    _ = record.set("stored", weir.kv.get("k") orelse "");
    weir.kv.delete("k");
    _ = record.set("gone", weir.kv.get("k") == null);
    _ = weir.kv.add("n", 2, 60000);
    _ = record.set("n", weir.kv.add("n", 3, 60000));
    _ = record.set("later", weir.now() > record.time());
    weir.log(.warning, "the store was used");
    weir.count("stored", 2);
    return .keep;
}

/// The types of all values of a record, in order.
fn kinds(record: *weir.Record) weir.Verdict {
    var text: [200]u8 = undefined;
    var length: usize = 0;
    var items = record.whole.?.items();
    while (items.next()) |item| {
        text[length] = "nbiftBLMX"[@intFromEnum(item.value.kind())];
        length += 1;
    }
    _ = record.set("kinds", @as([]const u8, text[0..length]));
    const large: f64 = @floatFromInt(record.get("large").?.integer().?);
    _ = record.set("sum", record.get("float").?.float().? + large);
    _ = record.set("bounded", record.get("most").?.integer() orelse std.math.maxInt(i64));
    _ = record.set("nearest", record.get("most").?.float().?);
    _ = record.set("length", record.get("list").?.items().left);
    return .keep;
}

pub fn process(record: *weir.Record) weir.Verdict {
    const message = record.message();
    seen += 1;
    if (std.mem.eql(u8, message, "change")) return change(record);
    if (std.mem.eql(u8, message, "split")) return split(record);
    if (std.mem.eql(u8, message, "store")) return store(record);
    if (std.mem.eql(u8, message, "kinds")) return kinds(record);
    if (std.mem.eql(u8, message, "fail")) return .{ .fail = "no idea" };
    return if (std.mem.eql(u8, record.source(), "noise")) .drop else .keep;
}

pub fn tick(closing: bool, out: *weir.Record) void {
    if (!closing) return;
    const record = out.another();
    _ = record.set("message", "seen");
    _ = record.set("n", seen);
}

pub fn save(state: *weir.Bytes) void {
    state.append(std.mem.asBytes(&seen));
}

pub fn restore(state: []const u8) ?[]const u8 {
    if (state.len != @sizeOf(u64)) return "this is no state of mine";
    @memcpy(std.mem.asBytes(&seen), state);
    return null;
}

comptime {
    weir.filter(@This());
}
