//! Error logs of nginx and Apache.

use crate::fields::{Fields, ParseError};

const NOT_NGINX: ParseError = "it is not a line of nginx's error log";
const NOT_APACHE: ParseError = "it is not a line of Apache's error log";

/// `2026/11/20 10:00:00 [error] 31#31: *5 open() "/x" failed (2: No such file or
/// directory), client: 10.0.0.1, server: _, request: "GET /x HTTP/1.1"`.
pub fn nginx(text: &str, fields: &mut Fields) -> Result<(), ParseError> {
    let (time, rest) = text.trim_end().split_once(" [").ok_or(NOT_NGINX)?;
    let (level, rest) = rest.split_once("] ").ok_or(NOT_NGINX)?;
    let (pid, rest) = rest.split_once('#').ok_or(NOT_NGINX)?;
    let (tid, rest) = rest.split_once(": ").ok_or(NOT_NGINX)?;
    let pid: u32 = pid.parse().map_err(|_| NOT_NGINX)?;
    let tid: u64 = tid.parse().map_err(|_| NOT_NGINX)?;
    // `2026/11/20 10:00:00`, so that a sentence with brackets is not mistaken for
    // one.
    if time.len() != 19 || time.as_bytes()[4] != b'/' {
        return Err(NOT_NGINX);
    }
    fields.text("time", time)?;
    fields.text("level", level)?;
    fields.add("pid", pid)?;
    fields.add("tid", tid)?;
    let mut message = rest;
    if let Some((number, after)) = rest.strip_prefix('*').and_then(|rest| rest.split_once(' '))
        && let Ok(number) = number.parse::<u64>()
    {
        fields.add("connection", number)?;
        message = after;
    }
    let (said, details) = match message.find(", client: ") {
        Some(at) => message.split_at(at),
        None => (message, ""),
    };
    fields.text("message", said)?;
    let mut details = details.strip_prefix(", ").unwrap_or(details);
    while let Some((name, after)) = details.split_once(": ") {
        if !["client", "server", "request", "subrequest", "upstream", "host", "referrer"].contains(&name) {
            break;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(inner) => inner.split_once('"').ok_or(NOT_NGINX)?,
            None => after.split_at(after.find(", ").unwrap_or(after.len())),
        };
        fields.text(name, value)?;
        details = after.strip_prefix(", ").unwrap_or("");
    }
    Ok(())
}

/// `[Fri Nov 20 10:00:00.123456 2026] [core:error] [pid 35708:tid 432] [client
/// 10.0.0.1:5000] AH00128: File does not exist: /x`.
pub fn apache(text: &str, fields: &mut Fields) -> Result<(), ParseError> {
    let rest = text.trim_end().strip_prefix('[').ok_or(NOT_APACHE)?;
    let (time, rest) = rest.split_once("] [").ok_or(NOT_APACHE)?;
    let (level, mut rest) = rest.split_once("] ").ok_or(NOT_APACHE)?;
    if !(24..=31).contains(&time.len()) {
        return Err(NOT_APACHE);
    }
    fields.text("time", time)?;
    match level.split_once(':') {
        Some((module, level)) => {
            fields.text("module", module)?;
            fields.text("level", level)?;
        }
        None => fields.text("level", level)?,
    }
    while let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        let Some((name, value)) = inside.split_once(' ') else {
            break;
        };
        match name {
            "pid" => {
                let (pid, tid) = value.split_once(":tid ").unwrap_or((value, ""));
                fields.guess("pid", pid)?;
                if !tid.is_empty() {
                    fields.guess("tid", tid)?;
                }
            }
            "client" | "remote" => fields.text("client", value)?,
            _ => break,
        }
        rest = after;
    }
    if let Some((code, after)) = rest.split_once(": ")
        && code.len() == 7
        && code.starts_with("AH")
    {
        fields.text("code", code)?;
        rest = after;
    }
    fields.text("message", rest)
}
