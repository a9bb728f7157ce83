//! What the tests share: a database of their own, the platform on it, a proxy that counts
//! round trips, and the whole program behind an HTTP client.
//!
//! Nothing here replaces a part of the program: a test runs the same code against the same PostgreSQL.

mod accounts;
mod app;
mod call;
mod database;
mod line;
pub mod pictures;
mod platform;
mod proxy;
mod raw;

pub use app::{AppBuilder, BASE_DOMAIN, TestApp, TestTenant};
pub use call::{Answer, Call};
pub use database::TestDb;
pub use line::{Line, State, through};
pub use platform::{Builder, TestPlatform, cli_origin, onboarding, random_key, resolved_by, tenant_db_of};
pub use proxy::Proxy;
pub use raw::send_raw;
