//! Collecting, against the loopback gateways: the real clients, the real pipeline, a real PostgreSQL.

mod accounts;
mod cards;
mod deliveries;
mod doctor;
mod dues;
mod dunning;
mod failures;
mod findings;
mod given_up;
mod hooks;
mod killed;
mod papers;
mod refunds;
mod settlers;
mod sweep;
pub mod till;
mod ways;
