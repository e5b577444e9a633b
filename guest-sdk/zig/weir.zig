//! Write filters for Weir in Zig: you need only this file and a compiler.
//!
//! A filter is a file with these declarations:
//!
//!     pub const name = "my-filter";
//!     pub const version = "1.0.0";
//!     pub const description = "what it does, in one sentence";
//!     pub const Options = struct { ... };                            // every field with a default
//!     pub fn configure(options: Options) ?[]const u8                 // null, or an error message
//!     pub fn process(record: *weir.Record) weir.Verdict              // called for each record
//!
//!     comptime { weir.filter(@This()); }
//!
//! A filter that keeps state also declares these (all three or none):
//!
//!     pub fn tick(closing: bool, out: *weir.Record) void             // about once a second; out.another() makes records
//!     pub fn save(state: *weir.Bytes) void                           // for the version that replaces this one
//!     pub fn restore(state: []const u8) ?[]const u8                  // null, or an error message
//!
//! Records are read in place, as MessagePack: reading a field copies nothing. What a filter is given is valid until the
//! function returns; the options stay valid. Use `weir.allocator` for memory that the filter keeps.
//!
//! Paths are known when the filter is compiled; they have dots and reach into lists by index: "context.user.email",
//! "tags.0". Escape a dot or a backslash inside a key with a backslash; a backslash at the very end stands for itself.
//! Use `getAt` for keys that are known only at run time.

const std = @import("std");

/// An allocator for memory that the filter keeps.
pub const allocator = std.heap.wasm_allocator;

pub const Level = enum(u8) {
    trace,
    debug,
    info,
    warning,
    err,
    critical,

    pub fn atMost(level: Level, other: Level) bool {
        return @intFromEnum(level) <= @intFromEnum(other);
    }

    pub fn word(level: Level) []const u8 {
        return switch (level) {
            .trace => "TRACE",
            .debug => "DEBUG",
            .info => "INFO",
            .warning => "WARNING",
            .err => "ERROR",
            .critical => "CRITICAL",
        };
    }
};

/// What happens to a record.
pub const Verdict = union(enum) {
    /// It goes on, with your changes.
    keep,
    /// It is dropped; its sender is told that it was accepted.
    drop,
    /// It is replaced with the records made with `another`.
    replace,
    /// The filter failed, for this reason.
    fail: []const u8,
};

// ---- The functions of the host -------------------------------------------------------------------------------------

/// Writes a line to Weir's log.
pub fn log(level: Level, line: []const u8) void {
    host.log(@intFromEnum(level), line.ptr, line.len);
}

/// Adds to a counter, which Weir shows in its metrics. At most 64 names.
pub fn count(counter: []const u8, add: u64) void {
    host.counter(counter.ptr, counter.len, add);
}

/// The current time, in nanoseconds since 1970-01-01 UTC.
pub fn now() i64 {
    return host.now();
}

/// A small key-value store in memory, shared by all instances and versions of the filter; entries expire.
pub const kv = struct {
    pub fn get(key: []const u8) ?[]const u8 {
        var found: [3]u32 = undefined;
        host.@"kv-get"(key.ptr, key.len, &found);
        if (found[0] & 1 == 0) return null;
        return @as([*]const u8, @ptrFromInt(found[1]))[0..found[2]];
    }
    pub fn set(key: []const u8, value: []const u8, ttl_ms: u64) void {
        host.@"kv-set"(key.ptr, key.len, value.ptr, value.len, ttl_ms);
    }
    /// Adds to the number under a key and returns the sum.
    pub fn add(key: []const u8, delta: i64, ttl_ms: u64) i64 {
        return host.@"kv-add"(key.ptr, key.len, delta, ttl_ms);
    }
    pub fn delete(key: []const u8) void {
        host.@"kv-delete"(key.ptr, key.len);
    }
};

const host = struct {
    extern "weir:filter/host@1.0.0" fn log(level: u32, at: [*]const u8, length: usize) void;
    extern "weir:filter/host@1.0.0" fn counter(at: [*]const u8, length: usize, add: u64) void;
    extern "weir:filter/host@1.0.0" fn now() i64;
    extern "weir:filter/host@1.0.0" fn @"kv-get"(at: [*]const u8, length: usize, found: *[3]u32) void;
    extern "weir:filter/host@1.0.0" fn @"kv-set"(at: [*]const u8, n: usize, value: [*]const u8, size: usize, ttl: u64) void;
    extern "weir:filter/host@1.0.0" fn @"kv-add"(at: [*]const u8, length: usize, delta: i64, ttl: u64) i64;
    extern "weir:filter/host@1.0.0" fn @"kv-delete"(at: [*]const u8, length: usize) void;
};

// ---- Values --------------------------------------------------------------------------------------------------------

pub const Kind = enum { null, boolean, integer, float, text, binary, list, map, extension };

/// A value in a record. Weir passes only complete and valid records, so nothing is checked again.
pub const Value = struct {
    at: [*]const u8,

    pub fn kind(value: Value) Kind {
        return switch (value.at[0]) {
            0xc0 => .null,
            0xc2, 0xc3 => .boolean,
            0x00...0x7f, 0xcc...0xd3, 0xe0...0xff => .integer,
            0xca, 0xcb => .float,
            0xa0...0xbf, 0xd9...0xdb => .text,
            0xc4...0xc6 => .binary,
            0x90...0x9f, 0xdc, 0xdd => .list,
            0x80...0x8f, 0xde, 0xdf => .map,
            else => .extension,
        };
    }

    pub fn boolean(value: Value) ?bool {
        return switch (value.at[0]) {
            0xc2 => false,
            0xc3 => true,
            else => null,
        };
    }

    /// The integer; null if it does not fit 64 bits with a sign.
    pub fn integer(value: Value) ?i64 {
        const at = value.at + 1;
        return switch (value.at[0]) {
            0x00...0x7f, 0xe0...0xff => @as(i8, @bitCast(value.at[0])),
            0xcc => at[0],
            0xcd => int(u16, at),
            0xce => int(u32, at),
            0xcf => std.math.cast(i64, int(u64, at)),
            0xd0 => int(i8, at),
            0xd1 => int(i16, at),
            0xd2 => int(i32, at),
            0xd3 => int(i64, at),
            else => null,
        };
    }

    /// The number, whether integer or float.
    pub fn float(value: Value) ?f64 {
        return switch (value.at[0]) {
            0xca => @as(f32, @bitCast(int(u32, value.at + 1))),
            0xcb => @bitCast(int(u64, value.at + 1)),
            0xcf => @floatFromInt(int(u64, value.at + 1)),
            else => if (value.integer()) |whole| @floatFromInt(whole) else null,
        };
    }

    /// The string or bytes.
    pub fn text(value: Value) ?[]const u8 {
        const at = value.at;
        return switch (at[0]) {
            0xa0...0xbf => (at + 1)[0 .. at[0] & 31],
            0xc4, 0xd9 => (at + 2)[0..at[1]],
            0xc5, 0xda => (at + 3)[0..int(u16, at + 1)],
            0xc6, 0xdb => (at + 5)[0..int(u32, at + 1)],
            else => null,
        };
    }

    pub fn is(value: Value, other: []const u8) bool {
        return std.mem.eql(u8, value.text() orelse return false, other);
    }

    /// The items of a list, or the entries of a map; none for other types.
    pub fn items(value: Value) Items {
        const at = value.at;
        return switch (at[0]) {
            0x80...0x8f => .{ .at = at + 1, .left = at[0] & 15, .has_keys = true },
            0x90...0x9f => .{ .at = at + 1, .left = at[0] & 15, .has_keys = false },
            0xdc => .{ .at = at + 3, .left = int(u16, at + 1), .has_keys = false },
            0xdd => .{ .at = at + 5, .left = int(u32, at + 1), .has_keys = false },
            0xde => .{ .at = at + 3, .left = int(u16, at + 1), .has_keys = true },
            0xdf => .{ .at = at + 5, .left = int(u32, at + 1), .has_keys = true },
            else => .{ .at = at, .left = 0, .has_keys = false },
        };
    }

    /// The value at a path below this one.
    pub fn get(value: Value, comptime path: []const u8) ?Value {
        var there = value;
        inline for (comptime split(path)) |key| there = there.step(key) orelse return null;
        return there;
    }

    /// The same, with keys known only at run time.
    pub fn getAt(value: Value, keys: []const []const u8) ?Value {
        var there = value;
        for (keys) |key| there = there.step(key) orelse return null;
        return there;
    }

    inline fn step(value: Value, key: []const u8) ?Value {
        var each = value.items();
        if (!each.has_keys) {
            const index = std.fmt.parseInt(u32, key, 10) catch return null;
            if (index >= each.left) return null;
            for (0..index) |_| each.at = skip(each.at);
            return .{ .at = each.at };
        }
        while (each.left > 0) : (each.left -= 1) {
            const found = (Value{ .at = each.at }).text() orelse return null;
            const after = found.ptr + found.len;
            if (std.mem.eql(u8, found, key)) return .{ .at = after };
            each.at = skip(after);
        }
        return null;
    }

    /// The value as MessagePack.
    pub fn bytes(value: Value) []const u8 {
        return value.at[0 .. @intFromPtr(skip(value.at)) - @intFromPtr(value.at)];
    }
};

/// `var items = value.items(); while (items.next()) |item| ...`
pub const Items = struct {
    at: [*]const u8,
    left: u32,
    has_keys: bool,

    pub const Item = struct { key: []const u8, value: Value };

    /// Empty for the items of a list.
    pub fn next(each: *Items) ?Item {
        if (each.left == 0) return null;
        each.left -= 1;
        var key: []const u8 = "";
        if (each.has_keys) {
            key = (Value{ .at = each.at }).text() orelse "";
            each.at = skip(each.at);
        }
        const value = Value{ .at = each.at };
        each.at = skip(each.at);
        return .{ .key = key, .value = value };
    }
};

fn int(comptime T: type, at: [*]const u8) T {
    return std.mem.readInt(T, at[0..@sizeOf(T)], .big);
}

/// The end of the value.
fn skip(start: [*]const u8) [*]const u8 {
    var at = start;
    var left: usize = 1;
    while (left > 0) {
        left -= 1;
        const byte = at[0];
        at += 1;
        switch (byte) {
            0x80...0x8f => left += 2 * @as(usize, byte & 15),
            0x90...0x9f => left += byte & 15,
            0xa0...0xbf => at += byte & 31,
            0xc4, 0xd9 => at += 1 + @as(usize, at[0]),
            0xc5, 0xda => at += 2 + @as(usize, int(u16, at)),
            0xc6, 0xdb => at += 4 + @as(usize, int(u32, at)),
            0xc7 => at += 2 + @as(usize, at[0]),
            0xc8 => at += 3 + @as(usize, int(u16, at)),
            0xc9 => at += 5 + @as(usize, int(u32, at)),
            0xcc, 0xd0 => at += 1,
            0xcd, 0xd1, 0xd4 => at += 2,
            0xd5 => at += 3,
            0xca, 0xce, 0xd2 => at += 4,
            0xd6 => at += 5,
            0xcb, 0xcf, 0xd3 => at += 8,
            0xd7 => at += 9,
            0xd8 => at += 17,
            0xdc => {
                left += int(u16, at);
                at += 2;
            },
            0xdd => {
                left += int(u32, at);
                at += 4;
            },
            0xde => {
                left += 2 * @as(usize, int(u16, at));
                at += 2;
            },
            0xdf => {
                left += 2 * @as(usize, int(u32, at));
                at += 4;
            },
            else => {},
        }
    }
    return at;
}

/// The keys of a path.
fn split(comptime path: []const u8) []const []const u8 {
    comptime {
        @setEvalBranchQuota(100_000);
        var keys: []const []const u8 = &.{};
        var key: []const u8 = "";
        var i: usize = 0;
        while (i < path.len) : (i += 1) {
            if (path[i] == '.') {
                keys = keys ++ .{key};
                key = "";
                continue;
            }
            if (path[i] == '\\' and i + 1 < path.len) i += 1;
            key = key ++ path[i .. i + 1];
        }
        return keys ++ .{key};
    }
}

// ---- A growing buffer ----------------------------------------------------------------------------------------------

/// A growing byte buffer; `save` appends to one.
pub const Bytes = struct {
    list: std.ArrayList(u8) = .empty,

    pub fn append(bytes: *Bytes, more: []const u8) void {
        bytes.list.appendSlice(allocator, more) catch @trap();
    }

    fn clear(bytes: *Bytes) void {
        bytes.list.clearRetainingCapacity();
    }

    fn head(bytes: *Bytes, comptime T: type, byte: u8, value: T) void {
        var whole: [1 + @sizeOf(T)]u8 = undefined;
        whole[0] = byte;
        std.mem.writeInt(T, whole[1..], value, .big);
        bytes.append(&whole);
    }

    fn text(bytes: *Bytes, value: []const u8) void {
        switch (value.len) {
            0...31 => bytes.append(&.{0xa0 | @as(u8, @intCast(value.len))}),
            32...0xffff => bytes.head(u16, 0xda, @intCast(value.len)),
            else => bytes.head(u32, 0xdb, value.len),
        }
        bytes.append(value);
    }

    fn encode(bytes: *Bytes, value: anytype) void {
        const T = @TypeOf(value);
        if (T == Value) return bytes.append(value.bytes());
        if (T == Level) return bytes.text(value.word());
        switch (@typeInfo(T)) {
            .bool => bytes.append(if (value) &.{0xc3} else &.{0xc2}),
            .int => |kind| if (kind.signedness == .unsigned) bytes.head(u64, 0xcf, value) else bytes.head(i64, 0xd3, value),
            .comptime_int => bytes.head(i64, 0xd3, value),
            .float, .comptime_float => bytes.head(u64, 0xcb, @bitCast(@as(f64, value))),
            else => bytes.text(value),
        }
    }
};

// ---- Records -------------------------------------------------------------------------------------------------------

/// A record and the changes made to it.
pub const Record = struct {
    whole: ?Value = null,
    values: Bytes = .{},
    changes: std.ArrayList(Change) = .empty,

    const Change = struct {
        keys: []const []const u8,
        /// The offset of the value in `values`; none removes.
        from: usize,
        to: usize,
    };

    /// The value at a path.
    pub fn get(record: *const Record, comptime path: []const u8) ?Value {
        return (record.whole orelse return null).get(path);
    }

    /// The same, with keys known only at run time.
    pub fn getAt(record: *const Record, keys: []const []const u8) ?Value {
        return (record.whole orelse return null).getAt(keys);
    }

    /// The timestamp, in nanoseconds since 1970-01-01 UTC.
    pub fn time(record: *const Record) i64 {
        return (record.get("timestamp") orelse return 0).integer() orelse 0;
    }

    pub fn level(record: *const Record) Level {
        const word = (record.get("level") orelse return .info).text() orelse return .info;
        return switch (if (word.len > 0) word[0] else 'I') {
            'T' => .trace,
            'D' => .debug,
            'W' => .warning,
            'E' => .err,
            'C' => .critical,
            else => .info,
        };
    }

    pub fn source(record: *const Record) []const u8 {
        return (record.get("source") orelse return "").text() orelse "";
    }

    pub fn message(record: *const Record) []const u8 {
        return (record.get("message") orelse return "").text() orelse "";
    }

    /// Sets the value at a path and creates missing maps on it: a string, a number, a bool, a `Level` or a `Value`. A
    /// map is merged into an existing one. Returns false if the path leads into a list (set the whole list), or if a
    /// value above the path was set before.
    pub fn set(record: *Record, comptime path: []const u8, value: anytype) bool {
        return record.setAt(comptime split(path), value);
    }

    /// The same, with keys known only at run time; they must stay in memory until the function returns.
    pub fn setAt(record: *Record, keys: []const []const u8, value: anytype) bool {
        const change = record.place(keys) orelse return false;
        record.values.encode(value);
        change.to = record.values.list.items.len;
        return true;
    }

    /// Removes the value at a path, if there is one.
    pub fn remove(record: *Record, comptime path: []const u8) bool {
        const change = record.place(comptime split(path)) orelse return false;
        // If there is nothing to remove, a patch would replace what is on the path with a map: take the slot away.
        if (record.get(path) == null) change.* = record.changes.pop().?;
        return true;
    }

    /// Adds a label that sinks can select by, if it is missing; at most one per record.
    pub fn addRoute(record: *Record, label: []const u8) bool {
        var others: u32 = 0;
        if (record.get("routes")) |routes| {
            var each = routes.items();
            others = each.left;
            while (each.next()) |route| if (route.value.is(label)) return true;
        }
        const labels = record.place(comptime split("routes")) orelse return false;
        record.values.head(u32, 0xdd, others + 1);
        if (record.get("routes")) |routes| {
            var each = routes.items();
            while (each.next()) |route| record.values.append(route.value.bytes());
        }
        record.values.text(label);
        labels.to = record.values.list.items.len;
        return true;
    }

    /// Makes a new record to replace this one. Call it again for each further record, and return `.replace`. The new
    /// record is empty: set its content. Unless you set them, it inherits the time, level and source of this record.
    pub fn another(_: *Record) *Record {
        if (made > 0) next.write();
        made += 1;
        next.begin(null);
        return &next;
    }

    fn begin(record: *Record, whole: ?Value) void {
        record.whole = whole;
        record.values.clear();
        record.changes.clearRetainingCapacity();
    }

    /// Adds a slot for a change, which removes until it gets a value.
    fn place(record: *Record, keys: []const []const u8) ?*Change {
        var there = record.whole;
        for (keys[0 .. keys.len - 1]) |key| {
            there = (there orelse break).step(key);
            if (there != null and there.?.kind() == .list) return null;
        }
        const end = record.values.list.items.len;
        for (record.changes.items) |*other| {
            const shorter = @min(keys.len, other.keys.len);
            if (!same(keys[0..shorter], other.keys[0..shorter])) continue;
            if (keys.len != other.keys.len) return null;
            other.* = .{ .keys = keys, .from = end, .to = end };
            return other;
        }
        const added = record.changes.addOne(allocator) catch @trap();
        added.* = .{ .keys = keys, .from = end, .to = end };
        return added;
    }

    fn write(record: *Record) void {
        record.writeBelow(&.{});
    }

    /// Writes the changes below a path as a map. A patch has null for a removed key, a new record omits it.
    fn writeBelow(record: *Record, above: []const []const u8) void {
        const at = maps.list.items.len;
        maps.head(u32, 0xdf, 0);
        var entries: u32 = 0;
        const depth = above.len;
        for (record.changes.items, 0..) |one, i| {
            if (one.keys.len <= depth or !same(one.keys[0..depth], above)) continue;
            const is_value = one.keys.len == depth + 1;
            if (is_value and one.from == one.to and record.whole == null) continue;
            if (!is_value and seen(record.changes.items[0..i], one.keys[0 .. depth + 1])) continue;
            entries += 1;
            maps.text(one.keys[depth]);
            if (!is_value) {
                record.writeBelow(one.keys[0 .. depth + 1]);
            } else if (one.from == one.to) {
                maps.append(&.{0xc0});
            } else {
                maps.append(record.values.list.items[one.from..one.to]);
            }
        }
        std.mem.writeInt(u32, maps.list.items[at + 1 ..][0..4], entries, .big);
    }

    fn seen(changes: []const Change, keys: []const []const u8) bool {
        for (changes) |one| if (one.keys.len > keys.len and same(one.keys[0..keys.len], keys)) return true;
        return false;
    }

    fn same(a: []const []const u8, b: []const []const u8) bool {
        for (a, b) |one, other| if (!std.mem.eql(u8, one, other)) return false;
        return true;
    }
};

/// The current record, the one that `another` makes, and how many it made.
var current: Record = .{};
var next: Record = .{};
var made: u32 = 0;

/// The output of a batch: verdicts and the maps that they refer to.
var verdicts: Bytes = .{};
var maps: Bytes = .{};

// ---- The contract: functions that Weir calls, as the component model defines them -----------------------------------

/// Memory for data that Weir passes during a call; reused after the call.
var room = std.heap.ArenaAllocator.init(allocator);

/// Memory that the options point to.
var options_room = std.heap.ArenaAllocator.init(allocator);

var answer: [10]usize = undefined;

fn endCall() void {
    _ = room.reset(.retain_capacity);
}

fn answerError(reason: ?[]const u8) *[10]usize {
    answer[0] = @intFromBool(reason != null);
    if (reason) |text| answer[1..3].* = .{ @intFromPtr(text.ptr), text.len };
    return &answer;
}

fn answerBytes(bytes: *const Bytes) *[10]usize {
    answer[0..2].* = .{ @intFromPtr(bytes.list.items.ptr), bytes.list.items.len };
    return &answer;
}

/// Exports the filter.
pub fn filter(comptime Filter: type) void {
    const has_state = @hasDecl(Filter, "tick");
    const contract = Contract(Filter);
    @export(&contract.realloc, .{ .name = "cabi_realloc" });
    @export(&contract.describe, .{ .name = "weir:filter/lifecycle@1.0.0#describe" });
    @export(&contract.configure, .{ .name = "weir:filter/lifecycle@1.0.0#configure" });
    @export(&contract.encoding, .{ .name = "weir:filter/packed@1.0.0#encoding" });
    @export(&contract.process, .{ .name = "weir:filter/packed@1.0.0#process" });
    if (has_state) {
        @export(&contract.tick, .{ .name = "weir:filter/packed-state@1.0.0#tick" });
        @export(&contract.save, .{ .name = "weir:filter/packed-state@1.0.0#save" });
        @export(&contract.restore, .{ .name = "weir:filter/packed-state@1.0.0#restore" });
    }
}

fn Contract(comptime Filter: type) type {
    return struct {
        fn realloc(old: ?[*]u8, old_size: usize, alignment: usize, size: usize) callconv(.c) [*]u8 {
            _ = alignment; // 16 is enough for all data that Weir passes.
            const at = room.allocator().alignedAlloc(u8, .@"16", size) catch @trap();
            if (old) |before| @memcpy(at[0..@min(old_size, size)], before[0..@min(old_size, size)]);
            return at.ptr;
        }

        fn describe() callconv(.c) *[10]usize {
            const about = [_][]const u8{ Filter.name, Filter.version, Filter.description };
            for (about, 0..) |text, i| answer[2 * i ..][0..2].* = .{ @intFromPtr(text.ptr), text.len };
            // It reads and may change all fields.
            answer[6..10].* = .{ 0, 0, 0, 0 };
            return &answer;
        }

        fn configure(json: [*]const u8, length: usize) callconv(.c) *[10]usize {
            defer endCall();
            _ = options_room.reset(.retain_capacity);
            return answerError(readOptions(json[0..length]));
        }

        fn readOptions(json: []const u8) ?[]const u8 {
            const memory = options_room.allocator();
            const value = std.json.parseFromSliceLeaky(std.json.Value, memory, json, .{}) catch return "not JSON";
            const names = comptime std.meta.fieldNames(Filter.Options);
            for (value.object.keys()) |key| {
                for (names) |known| {
                    if (std.mem.eql(u8, key, known)) break;
                } else {
                    const known = comptime knownOptions(names);
                    return std.mem.concat(memory, u8, &.{ "unknown option `", key, "`; there is", known }) catch @trap();
                }
            }
            const options = std.json.parseFromValueLeaky(Filter.Options, memory, value, .{}) catch |reason|
                return std.mem.concat(memory, u8, &.{ "an option has an invalid value: ", @errorName(reason) }) catch @trap();
            return Filter.configure(options);
        }

        fn knownOptions(comptime names: []const []const u8) []const u8 {
            var list: []const u8 = "";
            for (names) |one| list = list ++ " " ++ one;
            return list;
        }

        fn encoding() callconv(.c) u32 {
            return 0; // MessagePack
        }

        fn process(batch: [*]const u8, length: usize) callconv(.c) *[10]usize {
            defer endCall();
            verdicts.clear();
            maps.clear();
            var at = batch;
            while (@intFromPtr(at) < @intFromPtr(batch) + length) {
                current.begin(.{ .at = at });
                at = skip(at);
                made = 0;
                switch (Filter.process(&current)) {
                    .keep => {
                        const changed = current.changes.items.len > 0;
                        verdicts.append(&.{if (changed) 2 else 0});
                        if (changed) current.write();
                    },
                    .drop => verdicts.append(&.{1}),
                    .replace => {
                        if (made > 0) next.write();
                        verdicts.append(&.{4});
                        verdicts.append(std.mem.asBytes(&made));
                    },
                    .fail => |reason| return answerError(reason),
                }
            }
            answer[0] = 0;
            answer[1..3].* = .{ @intFromPtr(verdicts.list.items.ptr), verdicts.list.items.len };
            answer[3..5].* = .{ @intFromPtr(maps.list.items.ptr), maps.list.items.len };
            return &answer;
        }

        fn tick(closing: u32) callconv(.c) *[10]usize {
            defer endCall();
            maps.clear();
            made = 0;
            current.begin(null);
            Filter.tick(closing != 0, &current);
            if (made > 0) next.write();
            return answerBytes(&maps);
        }

        fn save() callconv(.c) *[10]usize {
            defer endCall();
            maps.clear();
            Filter.save(&maps);
            return answerBytes(&maps);
        }

        fn restore(state: [*]const u8, length: usize) callconv(.c) *[10]usize {
            defer endCall();
            return answerError(Filter.restore(state[0..length]));
        }
    };
}
