//! The HTTP contract: routes, what they demand, and what they answer.
//!
//! A handler extracts, parses into domain types, runs one use case and responds; no SQL and no transaction here.
//! To add a route: a handler with `#[utoipa::path]` in the file of its resource, registered in [`router`]; the
//! OpenAPI document and the isolation suite then cover it by themselves. [`tenant::leads`] is the shape to copy; its two
//! bodies are made by [`form`]. What all resources do alike is tested by `tests/http/resource.rs`.

pub mod admin;
pub mod body;
pub mod create;
pub mod csv;
pub mod extract;
pub mod form;
pub mod gateway_account;
pub mod hooks;
pub mod multipart;
pub mod normalise;
pub mod observe;
pub mod once;
pub mod openapi;
pub mod pix;
pub mod problem;
pub mod public;
pub mod router;
pub mod tenant;
