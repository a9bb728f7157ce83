//! `helixai dev`, as a person runs it: the built program, on a PostgreSQL that it starts itself.
//!
//! These tests need no database in the environment.

mod command_line;
mod dev_json;
mod private_postgres;
mod program;
