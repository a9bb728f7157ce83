//! HelixAI: one program that serves conversational sales robots to many small businesses,
//! each isolated in a PostgreSQL schema of its own.
//!
//! Dependencies point downwards only, checked by `tests/architecture`:
//! `cli → app → http → {tenancy, billing} → db → domain`; `config` and `telemetry` are used by `cli` and `app`.

pub mod accounts;
pub mod app;
pub mod billing;
pub mod channels;
pub mod cli;
pub mod config;
pub mod db;
pub mod domain;
pub mod http;
pub mod jobs;
mod kill_point;
#[cfg(feature = "kill_points")]
pub use kill_point::kill_if_armed;
pub mod mail;
pub mod photos;
pub mod platform;
pub mod realtime;
pub mod storage;
pub mod telemetry;
pub mod tenancy;
