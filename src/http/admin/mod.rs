//! Routes of the platform's administrators, on the base domain only. One file per resource.

pub mod sessions;
pub mod tenants;
