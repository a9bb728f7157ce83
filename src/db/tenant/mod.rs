//! The tenant plane: every statement runs inside one tenant's schema, as that tenant's role, in one round trip.
//!
//! A query is a value ([`Query`]) that nothing but a [`TenantDb`] can run, so a query without a tenant does not
//! compile. One file per resource holds its SQL; to add a resource, copy [`leads`]; for what a niche sells, copy
//! [`vehicles`].

pub mod access;
pub mod accounts;
mod answer;
pub mod api_keys;
pub mod audit;
mod batch;
pub mod canned_replies;
mod catalog;
mod connection;
pub mod contacts;
pub mod conversations;
pub mod customers;
pub mod due;
pub mod held;
pub mod idempotency;
pub mod inbound;
pub mod instances;
mod lanes;
pub mod lead_history;
pub mod lead_stages;
pub mod leads;
pub mod message_files;
pub mod messages;
pub mod notes;
pub mod notifications;
pub mod numbers;
pub mod outbox;
pub mod password_links;
pub mod person;
pub mod photos;
pub mod products;
pub mod properties;
mod query;
pub mod receipts;
pub mod schedules;
mod scope;
pub mod sending;
pub mod sessions;
pub mod settings;
pub mod sockets;
mod text;
pub mod throttle;
pub mod users;
pub mod vehicles;
pub mod whatsapp;
pub mod whatsapp_codes;
mod wire;
pub mod work;

pub use access::{Access, Actor, Identity};
pub use batch::Batch;
pub use lanes::{LaneAddress, LaneSettings, Lanes};
pub use query::{Columns, Query};
pub use scope::{Reply, TenantDb, TenantHome, TenantTx};
