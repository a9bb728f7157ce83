//! People and programs that log in. [`hashing`] keeps passwords, [`throttle`] makes wait who fails too often, [`links`]
//! let choose a password whoever reads the mail; the logins
//! themselves are short enough to be their handlers (`http::tenant::sessions`, `http::admin::sessions`).

pub mod hashing;
pub mod links;
pub mod throttle;
