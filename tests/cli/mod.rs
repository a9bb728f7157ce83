//! The commands as a person or a script runs them: the built program, its exit codes, what it prints.

mod admin;
mod doctor;
mod managed;
mod migrate;
mod program;
mod serve;
mod settings;
mod tenant;
