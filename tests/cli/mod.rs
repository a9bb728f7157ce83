//! The commands as a person or a script runs them: the built program, its exit codes, what it prints.

mod admin;
mod backup;
mod doctor;
mod keeper;
mod lifecycle;
mod managed;
mod migrate;
pub mod program;
mod serve;
mod settings;
mod shard;
mod tenant;
