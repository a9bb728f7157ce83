//! Routes that anybody may use at any address: health, the price list.

pub mod health;
pub mod plans;
