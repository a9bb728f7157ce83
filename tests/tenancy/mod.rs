//! How a tenant comes to be, is found, and stops being served.

mod archive;
mod concurrency;
mod doctor;
mod import;
#[cfg(feature = "kill_points")]
pub mod killed;
mod migrations;
pub mod moves;
mod provisioning;
mod rename;
mod resolver;
mod shards;
pub mod snapshots;
mod storage;
mod suspension;
mod undo;
mod vault;
