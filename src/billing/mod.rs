//! What tenants are billed by. [`plans`] are sold, [`metering`] counts what is consumed, [`invoices`] say what is owed,
//! [`subscriptions`] what a tenant decides about its own, and the [`clock`] moves them on. [`books`] is what they share. [`payments`]
//! are collected through [`gateways`], and [`papers`] are what customers print. And what tenants' own [`customers`] owe them.

pub mod books;
pub mod clock;
pub mod customers;
pub mod gateways;
pub mod invoices;
pub mod metering;
pub mod papers;
pub mod payments;
pub mod pix;
pub mod plans;
pub mod subscriptions;
