//! Requests and answers of a gateway's API, apart from the server that carries them.

use std::collections::HashMap;

use actix_web::web::Query;
use serde::Serialize;
use serde_json::Value;

/// What the API is asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: HashMap<String, String>,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The key of an `Authorization: Bearer`.
    pub fn bearer(&self) -> &str {
        self.header("authorization")
            .strip_prefix("Bearer ")
            .unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The body as a form.
    pub fn form(&self) -> HashMap<String, String> {
        pairs(&self.body)
    }

    /// The parts of the path.
    pub fn parts(&self) -> Vec<&str> {
        self.path.trim_matches('/').split('/').collect()
    }

    /// What it is, whatever it says: the same again is a repeat.
    pub fn fingerprint(&self) -> String {
        format!("{} {} {}", self.method, self.path, self.body)
    }
}

/// The pairs of a query or a form.
pub fn pairs(text: &str) -> HashMap<String, String> {
    Query::<HashMap<String, String>>::from_query(text)
        .map(Query::into_inner)
        .unwrap_or_default()
}

/// What the API answers.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: String,
    pub retry_after: Option<u64>,
    pub html: bool,
}

impl Reply {
    pub fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: body.to_string(),
            retry_after: None,
            html: false,
        }
    }

    pub fn html(status: u16) -> Self {
        Self {
            status,
            body: "<!doctype html><title>Bad gateway</title><h1>Please try again</h1>".to_owned(),
            retry_after: None,
            html: true,
        }
    }
}

/// A request that the API was asked, for tests to count.
#[derive(Debug, Clone, Serialize)]
pub struct Logged {
    /// `POST`
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The query's pairs.
    pub query: HashMap<String, String>,
    /// Names in lower case; without credentials.
    pub headers: HashMap<String, String>,
    /// As it was sent.
    pub body: String,
    /// The status of the answer; 0 when there was none.
    pub status: u16,
}

impl Logged {
    pub(super) fn of(request: &Request, status: u16) -> Self {
        let mut headers = request.headers.clone();
        headers.retain(|name, _| name != "authorization" && name != "access_token");
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers,
            body: request.body.clone(),
            status,
        }
    }

    /// `POST /v1/payments`
    pub fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}
