//! How a tenant comes to be, is found, and stops being served.

mod concurrency;
mod provisioning;
mod resolver;
mod suspension;
mod undo;
