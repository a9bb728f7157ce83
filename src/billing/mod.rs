//! What tenants are billed by. [`plans`] are sold, [`metering`] counts what is consumed.

pub mod metering;
pub mod plans;
