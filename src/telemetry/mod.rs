//! (in construction)
pub mod metrics;
