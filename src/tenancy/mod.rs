//! Tenants as the platform sees them: which one a request is for, and how one comes to be and stops.
//!
//! [`resolve`] answers "whose request is this", [`cache`] remembers it, [`listen`] keeps that true across processes;
//! [`onboarding_form`] checks a request for onboarding, [`provision`] carries it out, [`reconcile`] finishes what a
//! crash interrupted, [`lifecycle`] suspends and activates. [`keeper`] backs up, restores and deletes, in the format of
//! [`snapshot`], [`vault`] backs up by the clock; [`import`] makes a tenant of an old database; [`moving`] brings tenants to other
//! [`shards`], which [`shard_book`] adds and closes; [`migrator`] brings their schemas to this program's template. [`doctor`] examines.

pub mod cache;
pub mod details;
pub mod doctor;
pub mod domains;
pub mod fairness;
pub mod import;
pub mod keeper;
pub mod lifecycle;
pub mod listen;
pub mod migrator;
pub mod moving;
pub mod onboarding_form;
pub mod provision;
pub mod reconcile;
pub mod resolve;
pub mod shard_book;
pub mod shards;
pub mod snapshot;
pub mod storage;
pub mod vault;
