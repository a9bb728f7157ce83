//! The only place that names a database driver.
//!
//! Two planes: [`master`] (one fixed schema, `sqlx`, compile-checked) and [`tenant`] (one schema per client,
//! `tokio-postgres`, one round trip). [`shard`] holds what an administrator does to a database:
//! migrations, roles, revokes, provisioning. To add a resource, add one file under the plane it belongs to.

pub mod connect;
pub mod error;
pub mod master;
pub mod shard;
mod stream;
pub mod tenant;

pub use error::{DbError, Refusal};
