//! Texts that are difficult for filters: empty, long, in all scripts, similar to common patterns.

use super::random::Random;

/// Texts that match common patterns or nearly do.
const PIECES: &[&str] = &[
    "",
    " ",
    "GET /api/v1/orders/42 200 in 12 ms",
    "ada@example.com",
    "@",
    "a@b",
    "4111 1111 1111 1111",
    "0000000000000000",
    "10.1.2.3",
    "::1",
    "2001:db8::ff00:42:8329",
    "2026-11-20T10:00:00.000Z",
    "1969-12-31T23:59:60Z",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "Bearer abc123def456",
    "api_key=k-1234",
    "password: hunter2",
    "-----BEGIN PRIVATE KEY-----",
    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=",
    "https://user:pass@example.com:8080/a/../b?q=1&q=2#f",
    "{\"a\":1,\"b\":[true,null]}",
    "{\"a\":",
    "key=value other=\"two words\" flag",
    "key= =value ==",
    "<script>alert(1)</script>",
    "%s%n%d %",
    "${HOME} $(id) `id`",
    "' OR 1=1 --",
    "(a+)+$ [z-a] \\",
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nValueError: x",
    "java.lang.RuntimeException: x\n\tat a.b.C.d(C.java:42)\nCaused by: y",
    "goroutine 1 [running]:\nmain.main()\n\t/a/b.go:7 +0x1d",
    "thread 'main' panicked at src/main.rs:2:5:\nx",
    "192.168.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326",
    "<34>1 2003-10-11T22:14:15.003Z host app - ID47 - said",
    "true",
    "null",
    "NaN",
    "-0",
    "1e309",
    "9223372036854775808",
    "0x1F",
    "\0",
    "\r\n",
    "\t\u{b}\u{c}\u{1b}[31m",
    "naïve ☃ größe",
    "東京都",
    "שלום עולם",
    "مرحبا",
    "\u{202e}abc\u{202c}",
    "e\u{301}\u{301}\u{301}",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "𝕬𝖇",
    "\u{feff}",
    "\u{200b}\u{2028}\u{2029}",
    "\u{fffd}\u{ffff}\u{10ffff}",
    "ﬀİıſß",
];
const JOINTS: &[&str] = &["", " ", " ", ", ", "\n", "=", ":", "\"", "/", "."];

/// Generates a text. `words` are known to the filter.
pub fn make(random: &mut Random, words: &[String]) -> String {
    let mut text = String::new();
    for number in 0..=random.below(4) {
        if number > 0 {
            text.push_str(random.pick(JOINTS).copied().unwrap_or_default());
        }
        piece(random, words, &mut text);
    }
    match random.below(30) {
        0 => text.make_ascii_uppercase(),
        1 => text = text.repeat(1 + random.size(200)),
        2 => text = text.chars().rev().collect(),
        3 => text.truncate(text.floor_char_boundary(random.below(text.len() + 1))),
        _ => {}
    }
    text
}

fn piece(random: &mut Random, words: &[String], text: &mut String) {
    match random.below(10) {
        0..3 if !words.is_empty() => text.push_str(random.pick(words).map_or("", String::as_str)),
        3 => text.push_str(&random.next().to_string()),
        4 => {
            let c = char::from_u32(random.below(0x11_0000) as u32).unwrap_or('x');
            text.extend(std::iter::repeat_n(c, random.size(300)));
        }
        5 => text.extend((0..random.size(60)).map(|_| char::from(0x20 + random.below(0x5f) as u8))),
        _ => text.push_str(random.pick(PIECES).copied().unwrap_or_default()),
    }
}
