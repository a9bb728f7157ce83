//! All integration tests, one binary: a folder per area, named as in `src`, and `helpers` for what they share.
//!
//! They need a PostgreSQL of their own, named by `HELIXAI_TEST_DATABASE_URL` (its administrator's address):
//! `scripts/test` starts one. A new area is a folder and a line here.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed, and says where; its clock and settings are its own"
)]

mod architecture;
mod billing;
mod channels;
mod cli;
mod db;
mod dev;
mod helpers;
mod http;
mod isolation;
mod jobs;
mod mail;
mod photos;
mod realtime;
mod schedules;
mod tenancy;
