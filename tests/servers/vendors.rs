//! What vendors accept, by their published limits: for the intake that replaces their servers.

use serde_json::Value;

use super::intake::Request;

/// The key that the Datadog intake accepts.
pub const API_KEY: &str = "0123456789abcdef0123456789abcdef";
/// The path of the Slack webhook, which is also its secret.
pub const WEBHOOK: &str = "/services/T0/B0/SECRET";

/// A status and a body, or a status and the reason of the refusal.
pub type Verdict = Result<(u16, &'static str), (u16, String)>;

/// Version 2 of the logs intake.
pub fn datadog(request: &Request) -> Verdict {
    let refuse = |status: u16, reason: &str| Err((status, reason.to_string()));
    if request.path != "/api/v2/logs" {
        return refuse(404, "not found");
    }
    if request.header("dd-api-key") != Some(API_KEY) {
        return refuse(
            403,
            "{\"errors\":[{\"status\":\"403\",\"title\":\"Forbidden\",\"detail\":\"API key is invalid\"}]}",
        );
    }
    if request.header("content-type") != Some("application/json") {
        return refuse(415, "unsupported media type");
    }
    if request.body.len() > 5_000_000 {
        return refuse(413, "payload too large");
    }
    let entries: Vec<Value> = match serde_json::from_slice(&request.body) {
        Ok(entries) => entries,
        Err(error) => return Err((400, format!("invalid JSON: {error}"))),
    };
    if entries.len() > 1000 {
        return refuse(413, "more than 1000 entries");
    }
    for entry in entries {
        if entry.to_string().len() > 1_000_000 {
            return refuse(413, "an entry of more than 1 MB");
        }
        let Value::Object(map) = entry else { return refuse(400, "an entry is no object") };
        for key in ["message", "ddsource", "service", "status"] {
            if !map.get(key).is_some_and(Value::is_string) {
                return Err((400, format!("an entry without `{key}`")));
            }
        }
        const NAMES: [&str; 9] =
            ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug", "ok"];
        if !NAMES.contains(&map["status"].as_str().unwrap_or_default()) {
            return Err((400, format!("status {} is none of Datadog's", map["status"])));
        }
    }
    Ok((202, "{}"))
}

/// A webhook.
pub fn slack(request: &Request) -> Verdict {
    let refuse = |status: u16, reason: &str| Err((status, reason.to_string()));
    if request.path != WEBHOOK {
        return refuse(404, "no_service");
    }
    let Ok(message) = serde_json::from_slice::<Value>(&request.body) else { return refuse(400, "invalid_payload") };
    let characters = |value: &Value| value.as_str().map_or(0, |text| text.encode_utf16().count());
    let text = characters(&message["text"]);
    if text == 0 || text > 40_000 {
        return refuse(400, "no_text");
    }
    let blocks = message["blocks"].as_array().cloned().unwrap_or_default();
    if blocks.is_empty() || blocks.len() > 50 {
        return refuse(400, "invalid_blocks");
    }
    for block in &blocks {
        let (texts, most): (Vec<&Value>, usize) = match block["type"].as_str() {
            Some("header") => (vec![&block["text"]["text"]], 150),
            Some("section") => (vec![&block["text"]["text"]], 3000),
            Some("context") => {
                let elements = block["elements"].as_array().map(Vec::as_slice).unwrap_or_default();
                if elements.is_empty() || elements.len() > 10 {
                    return refuse(400, "invalid_blocks");
                }
                (elements.iter().map(|element| &element["text"]).collect(), 3000)
            }
            _ => return refuse(400, "invalid_blocks"),
        };
        if texts.iter().any(|text| !(1..=most).contains(&characters(text))) {
            return refuse(400, "invalid_blocks");
        }
        let raw: String = texts.iter().filter_map(|text| text.as_str()).collect();
        // A log must not be able to notify the whole channel.
        if raw.contains("<!channel>") || raw.contains("<!here>") || raw.contains("<@") {
            return refuse(400, "a mention out of a log");
        }
    }
    Ok((200, "ok"))
}
