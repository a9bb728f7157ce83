//! What the compiler does not check: which module may use which, what SQL may contain, how files are cut.
//!
//! Each rule is a list near its test. A rule that has to change is changed there, with its reason.

mod citus;
mod files;
mod layers;
mod packages;
mod packaging;
mod source;
mod statements;
mod template;
