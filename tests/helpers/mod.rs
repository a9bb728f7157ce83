//! What the tests share: a database of their own, the platform on it, and a proxy that counts round trips.
//!
//! Nothing here replaces a part of the program: a test runs the same code against the same PostgreSQL.

mod database;
mod platform;
mod proxy;

pub use database::TestDb;
pub use platform::{
    Builder, OWNER_PASSWORD, TestPlatform, cli_origin, onboarding, random_key, resolved_by, tenant_db_of,
};
pub use proxy::{Proxy, Traffic};
