//! Reads the catalogues of a database, for those who check or report on it. Changes nothing.
//!
//! One function per question, one file per group of them: [`server`] asks the server, [`roles`] the cluster's roles,
//! [`schemas`] and [`load`] the database, [`catalog`] what all schemas of it consist of, [`registry`], [`moves`], [`usage`],
//! [`payments`], [`books`], [`backups`] and [`archives`] schema `master`. `tenancy::doctor` compares the answers with what they should be.

pub mod archives;
pub mod backups;
pub mod books;
pub mod catalog;
pub mod load;
pub mod moves;
pub mod payments;
pub mod registry;
pub mod roles;
pub mod schemas;
pub mod server;
pub mod usage;
pub mod versions;
