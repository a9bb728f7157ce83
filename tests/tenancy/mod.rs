//! How a tenant comes to be, is found, and stops being served.

mod concurrency;
mod doctor;
mod import;
#[cfg(feature = "kill_points")]
mod killed;
mod provisioning;
mod resolver;
mod shards;
mod snapshots;
mod storage;
mod suspension;
mod undo;
mod vault;
