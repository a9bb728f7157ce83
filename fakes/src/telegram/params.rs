//! The parameters of a call: in the query, as a form, as JSON or as `multipart/form-data`, whichever the client likes.

use std::collections::HashMap;

use actix_web::web::{Bytes, Query};
use serde_json::{Map, Value};

use super::multipart;
use super::reply::Refusal;

/// A file within a call.
#[derive(Debug, Clone)]
pub struct Upload {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub bytes: Bytes,
}

#[derive(Debug, Clone, Default)]
pub struct Params {
    pub values: Map<String, Value>,
    pub uploads: HashMap<String, Upload>,
}

impl Params {
    pub fn read(query: &str, content_type: &str, body: &Bytes) -> Result<Self, Refusal> {
        let mut read = Self::default();
        read.take_pairs(query);
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/json" if !body.is_empty() => {
                let Ok(Value::Object(values)) = serde_json::from_slice(body) else {
                    return Err(Refusal::bad("can't parse JSON object"));
                };
                // What is null was not given.
                let given = values.into_iter().filter(|(_, value)| !value.is_null());
                read.values.extend(given);
            }
            "multipart/form-data" => {
                let parts = multipart::parts(content_type, body)
                    .ok_or_else(|| Refusal::bad("can't parse multipart form data"))?;
                for part in parts {
                    read.take_part(part);
                }
            }
            "application/x-www-form-urlencoded" => read.take_pairs(&String::from_utf8_lossy(body)),
            _ => {}
        }
        Ok(read)
    }

    fn take_pairs(&mut self, text: &str) {
        let pairs = Query::<HashMap<String, String>>::from_query(text).map(Query::into_inner);
        for (name, value) in pairs.unwrap_or_default() {
            self.values.insert(name, Value::String(value));
        }
    }

    fn take_part(&mut self, part: multipart::Part) {
        if part.file_name.is_some() {
            let upload = Upload {
                name: part.file_name.filter(|name| !name.is_empty()),
                kind: part.content_type,
                bytes: part.body,
            };
            self.uploads.insert(part.name, upload);
        } else {
            let text = String::from_utf8_lossy(&part.body).into_owned();
            self.values.insert(part.name, Value::String(text));
        }
    }

    /// A text; numbers and the like as they are written.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.values.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    pub fn boolean(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes"))
    }

    /// A list or an object, itself or as the text of it.
    pub fn structure(&self, name: &str) -> Result<Option<Value>, Refusal> {
        match self.values.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(Refusal::bad(format!("can't parse {name} JSON object"))),
            },
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// A list of texts; none when it was not given.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let Some(value) = self.structure(name)? else {
            return Ok(None);
        };
        serde_json::from_value(value)
            .map(Some)
            .map_err(|_| Refusal::bad(format!("can't parse {name} JSON object")))
    }

    /// The file that was sent along as this parameter, under its own name or as `attach://…`.
    pub fn upload(&self, name: &str) -> Option<&Upload> {
        let attached = self.text(name);
        let attached = attached
            .as_deref()
            .and_then(|text| text.strip_prefix("attach://"));
        self.uploads.get(attached.unwrap_or(name))
    }

    /// What was asked, for the log: of a file its name.
    pub fn shown(&self) -> Value {
        let mut shown = self.values.clone();
        for (name, upload) in &self.uploads {
            let file = upload.name.clone().unwrap_or_default();
            shown
                .entry(name.clone())
                .or_insert_with(|| format!("file:{file}").into());
        }
        Value::Object(shown)
    }
}
