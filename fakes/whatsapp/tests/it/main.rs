//! The production client against the fake server.

mod client;
mod login;
mod messages;
mod packages;
mod refusals;

/// An account whose client is tested.
const SHOP: &str = "5511987650001";

/// Somebody who writes to it.
const PERSON: &str = "5511987650002";
