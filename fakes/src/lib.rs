//! Loopback servers that behave like the services HelixAI talks to: for its tests and for tours, never part of the product.
//!
//! Each is a real TCP server that speaks the service's own protocol, keeps its state, enforces what the service enforces, fails
//! when told to, and remembers what it was asked. It is driven from a test of the same process ([`gateways::FakeGateway`],
//! [`smtp`], [`telegram::FakeTelegram`], [`whatsapp_cloud::FakeCloud`]), or over HTTP, below `/_control`, when the binary `fakes` runs it.

pub mod gateways;
pub mod smtp;
pub mod telegram;
pub mod whatsapp_cloud;
