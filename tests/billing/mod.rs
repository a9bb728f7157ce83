//! What tenants consume, counted.

mod alerts;
mod check;
mod concurrency;
mod interleavings;
mod killed;
mod long_ago;
mod model;
mod months;
mod plans;
mod shares;
mod sweep;
pub mod tally;
