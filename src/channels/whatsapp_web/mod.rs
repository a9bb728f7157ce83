//! WhatsApp by linked devices: a bot is a device of somebody's account, as a browser would be.

pub mod store;
