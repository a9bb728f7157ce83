//! What tenants consume, counted.

mod alerts;
mod check;
mod concurrency;
mod killed;
mod model;
mod months;
mod plans;
mod sweep;
pub mod tally;
