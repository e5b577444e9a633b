//! The description of the API in OpenAPI's form, made from the same table that requests are answered by.

use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::reply::{Body, json_answer};
use crate::routes::{ENDPOINTS, Endpoint, Kind, Parameter};

/// `GET /api/openapi.json`
pub fn answer() -> Response<Body> {
    json_answer(StatusCode::OK, description().to_string().into())
}

fn description() -> Value {
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        paths.entry(endpoint.path).or_insert_with(|| json!({}))[method(endpoint)] = operation(endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Weir", "version": env!("CARGO_PKG_VERSION"), "description": "What can be read from a router, and changed in it." },
        "paths": paths,
        "components": { "schemas": { "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": { "type": "string", "description": "What is wrong, and what to do." },
                "column": { "type": "integer", "description": "Where the query is wrong: the character, from 1." },
            },
        } } },
    })
}

/// The method, as keys of OpenAPI have it.
fn method(endpoint: &Endpoint) -> String {
    endpoint.method.as_str().to_ascii_lowercase()
}

fn operation(endpoint: &Endpoint) -> Value {
    let in_path = [("id", "The record's `entry_id`.", "4711-0"), ("name", "The filter's name.", "redact")];
    let in_path = in_path.iter().filter(|(name, ..)| endpoint.path.contains(&format!("{{{name}}}")));
    let in_path = in_path.map(|(name, about, example)| {
        json!({
            "name": name, "in": "path", "required": true, "description": about,
            "schema": { "type": "string", "examples": [example] },
        })
    });
    let parameters: Vec<Value> = in_path.chain(endpoint.parameters.iter().map(parameter)).collect();
    let content: Map<String, Value> = endpoint.answers.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect();
    let mut operation = json!({
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": endpoint.summary, "content": content },
            "default": {
                "description": "Why there is no answer.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            },
        },
    });
    if let Some(kind) = endpoint.body {
        operation["requestBody"] = json!({ "required": true, "content": { kind: {} } });
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Number { most } => json!({ "type": "integer", "minimum": 0, "maximum": most }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
    };
    json!({ "name": parameter.name, "in": "query", "description": parameter.about, "schema": schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_described() {
        let description = description();
        for endpoint in ENDPOINTS {
            let described = &description["paths"][endpoint.path][method(endpoint)];
            let names: Vec<_> =
                described["parameters"].as_array().into_iter().flatten().map(|one| &one["name"]).collect();
            for parameter in endpoint.parameters {
                assert!(names.iter().any(|name| *name == parameter.name), "{}: {}", endpoint.path, parameter.name);
            }
            assert_eq!(names.len(), endpoint.parameters.len() + usize::from(endpoint.path.contains('{')));
        }
    }
}
