//! A loopback server that speaks WhatsApp's protocol to the client that HelixAI uses: for tests, never part of the product.
//!
//! Connections are real WebSockets with the real Noise handshake; devices are linked by the real exchange of signatures,
//! by scanned or typed code; messages are sealed from device to device with the Signal protocol, so that the fake can read
//! only what is sealed for its own phones. Everybody has WhatsApp: an account exists as soon as its phone number is named,
//! and its phone (the first device) is the fake's.
//!
//! ```no_run
//! # async fn tour(code_on_screen: &str) -> anyhow::Result<()> {
//! let whatsapp = fake_whatsapp::FakeWhatsApp::start().await?;
//! let url = whatsapp.url(); // for the client's transport
//! whatsapp.scan(code_on_screen, "5511987650001").await?;
//! whatsapp.until_connected("5511987650001").await;
//! whatsapp.send_text("5511987650002", "5511987650001", "oi").await?;
//! # Ok(()) }
//! ```
//!
//! A client that checks the server's certificates never links itself to the fake ([`FakeWhatsApp::scan`] needs the client's
//! feature `danger-skip-cert-chain-verify`). Where that feature must not be, [`FakeWhatsApp::linked_device`] gives what a
//! linked client has stored, the fake's key included.
//!
//! Files are sealed as a phone does, and fetched from the same address by HTTP.
//!
//! Not here: groups, calls, history, settings that are kept.

mod account;
mod bundle;
mod iq;
mod line;
mod media;
mod noise;
mod pairing;
mod phone;
mod refusal;
mod relay;
mod server;
mod session;
mod stanza;
mod wire;
mod world;
mod writing;

pub use media::{File, FileFault, FileKind};
pub use noise::Handshake;
pub use refusal::Refusal;
pub use server::FakeWhatsApp;

/// A text that a client sent, read by the phone of whom it was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentText {
    /// The message's id.
    pub id: String,
    /// The sender's phone number.
    pub from: String,
    /// The receiver's phone number.
    pub to: String,
    /// What it says.
    pub text: String,
}
