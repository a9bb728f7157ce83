//! What tenants are billed by. [`metering`] counts what they consume.

pub mod metering;
