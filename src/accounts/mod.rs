//! People and programs that log in: users of tenants, administrators, API keys.
//!
//! [`hashing`] keeps passwords, [`admins`] logs administrators in, [`users`] the users of a tenant.

pub mod hashing;
pub mod throttle;
