//! Tenants as the platform sees them: which one a request is for, and how one comes to be and stops.
//!
//! [`resolve`] answers "whose request is this", [`cache`] remembers it, [`listen`] keeps that true across processes;
//! [`provision`] onboards, [`reconcile`] finishes what a crash interrupted, [`lifecycle`] suspends and activates.

pub mod cache;
pub mod lifecycle;
pub mod listen;
pub mod provision;
pub mod reconcile;
pub mod resolve;
pub mod shards;
