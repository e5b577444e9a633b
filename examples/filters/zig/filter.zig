//! Masks e-mail addresses in `context`, drops DEBUG, counts what it masked.

const weir = @import("weir.zig");

pub const name = "my-filter";
pub const version = "0.1.0";
pub const description = "masks e-mail addresses, drops DEBUG";

/// The options that the operator can set.
pub const Options = struct {
    /// The text that replaces an address.
    mask: []const u8 = "********",
};

var options: Options = .{};

pub fn configure(given: Options) ?[]const u8 {
    options = given;
    return null;
}

pub fn process(record: *weir.Record) weir.Verdict {
    if (record.level().atMost(.debug)) return .drop;
    if (record.get("context.email") != null) {
        _ = record.set("context.email", options.mask);
        weir.count("masked", 1);
    }
    return .keep;
}

comptime {
    weir.filter(@This());
}
