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
    let paths: Map<String, Value> =
        ENDPOINTS.iter().map(|endpoint| (endpoint.path.to_owned(), json!({ "get": operation(endpoint) }))).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Weir", "version": env!("CARGO_PKG_VERSION"), "description": "What can be read from a router." },
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

fn operation(endpoint: &Endpoint) -> Value {
    let in_path = endpoint.path.contains("{id}").then(|| {
        json!({
            "name": "id", "in": "path", "required": true, "description": "The record's `entry_id`.",
            "schema": { "type": "string", "examples": ["4711-0"] },
        })
    });
    let parameters: Vec<Value> = in_path.into_iter().chain(endpoint.parameters.iter().map(parameter)).collect();
    let content: Map<String, Value> = endpoint.answers.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect();
    json!({
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": endpoint.summary, "content": content },
            "default": {
                "description": "Why there is no answer.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            },
        },
    })
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
            let described = &description["paths"][endpoint.path]["get"];
            let names: Vec<_> =
                described["parameters"].as_array().into_iter().flatten().map(|one| &one["name"]).collect();
            for parameter in endpoint.parameters {
                assert!(names.iter().any(|name| *name == parameter.name), "{}: {}", endpoint.path, parameter.name);
            }
            assert_eq!(names.len(), endpoint.parameters.len() + usize::from(endpoint.path.contains('{')));
        }
    }
}
