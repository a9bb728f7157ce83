//! What tenants consume, counted; what they owe for it, and what becomes of those who do not pay.

mod alerts;
mod away;
pub mod books;
mod books_check;
mod check;
mod clock;
mod clock_killed;
mod concurrency;
mod customers;
pub mod gateways;
mod interleavings;
mod killed;
mod long_ago;
mod model;
mod money;
mod months;
pub mod payments;
mod plans;
mod shares;
mod subscriptions;
mod sweep;
pub mod tally;
