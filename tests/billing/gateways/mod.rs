//! The adapters' real HTTP clients against loopback gateways that behave, and misbehave, like the real ones.

mod cards;
mod failures;
mod hooks;
mod lives;
mod money;
mod pix;
mod repeats;
pub mod shop;
