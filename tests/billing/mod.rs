//! What tenants consume, counted.

mod alerts;
mod check;
mod concurrency;
mod interleavings;
mod killed;
mod model;
mod months;
mod plans;
mod sweep;
pub mod tally;
