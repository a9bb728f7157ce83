//! Every route against everybody who has no business there, generated from the OpenAPI document: a new route is
//! covered by being registered.
//!
//! What cannot be derived from the document is in one table each: routes without credentials ([`document`]), bodies
//! that a schema alone does not tell ([`bodies`]), rows that no POST makes ([`rows`]), rights ([`rights`]) and the
//! sections of the subscription gate ([`gate`]).

pub mod bodies;
pub mod document;
mod escapes;
mod gate;
mod intruder;
mod rights;
mod routes;
pub mod rows;
mod working;
