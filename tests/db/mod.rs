//! The tenant plane: one round trip, closed when in doubt, and nothing of one tenant left for the next.

mod failures;
mod guard;
mod interleavings;
mod plans;
mod pools;
mod queries;
mod round_trips;
mod statements;
mod tls;
