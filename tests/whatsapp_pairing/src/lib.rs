//! Linking a device: the part of the client's work that needs the server's certificates to be believed; by itself, and by a bot that
//! runs in the program.
//!
//! A package of its own, outside the workspace; see its manifest. Everything else is tried by the fake's own tests and the
//! product's, with devices that are linked already.
#![cfg(test)]

#[expect(dead_code, reason = "some of it is for devices that are linked already")]
#[path = "../../../fakes/whatsapp/tests/it/client.rs"]
mod client;

#[expect(
    dead_code,
    unused_imports,
    clippy::disallowed_methods,
    reason = "the tests of the program need more, and their settings are their own"
)]
#[path = "../../helpers/mod.rs"]
mod helpers;

mod bots;

use std::sync::Arc;

use fake_whatsapp::{FakeWhatsApp, Handshake, Refusal};
use wacore::store::InMemoryBackend;
use wacore::store::traits::{DeviceStore as _, SignalStore as _};
use whatsapp_rust::Jid;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::types::events::Event;

use client::{TestClient, soon};

const SHOP: &str = "5511987650001";
const PERSON: &str = "5511987650002";

/// The code that a client shows.
async fn qr(client: &mut TestClient) -> String {
    let find = |event: &Event| match event {
        Event::PairingQrCode(code) => Some(code.code.clone()),
        _ => None,
    };
    client.until(find).await
}

/// Waits until the client says that it is linked, then that it is connected.
async fn linked(client: &mut TestClient) -> Jid {
    let linked = client.until(|event| match event {
        Event::PairSuccess(linked) => Some(linked.id.clone()),
        _ => None,
    });
    let linked = linked.await;
    client.until_connected().await;
    linked
}

#[tokio::test]
async fn a_scanned_code_links_a_device_that_needs_no_code_again() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let backend = Arc::new(InMemoryBackend::new());
    let mut client = TestClient::start(&server, backend.clone()).await;
    let code = qr(&mut client).await;
    let device = soon(server.scan(&code, SHOP)).await.expect("linked");
    assert_eq!(device, Jid::pn_device(SHOP, 1));
    assert_eq!(linked(&mut client).await, device);
    assert_eq!(server.logins(SHOP), [Handshake::Xx]);
    client.stop().await;
    soon(server.until_gone(SHOP)).await;

    let stored = backend.load().await.expect("loaded").expect("a device");
    assert_eq!(stored.pn, Some(device));
    assert_eq!(stored.server_cert_chain, Some(server.server_key()));
    let mut client = TestClient::start(&server, backend.clone()).await;
    client
        .until(|event| {
            assert!(!matches!(event, Event::PairingQrCode(_)), "no code again");
            matches!(event, Event::Connected(_)).then_some(())
        })
        .await;
    assert_eq!(server.logins(SHOP), [Handshake::Xx, Handshake::Ik]);
    assert_eq!(server.broken_handshakes(), 0);

    // With a key that can be used once, which its owner then forgets.
    assert!(backend.load_prekey(1).await.expect("loaded").is_some());
    server.send_text(PERSON, SHOP, "oi").await.expect("sent");
    assert_eq!(client.text().await.2, "oi");
    client.send(PERSON, "olá").await;
    assert_eq!(soon(server.until_sent(SHOP, 1)).await[0].text, "olá");
    assert_eq!(server.retries(), 0);
    client.stop().await;
}

#[tokio::test]
async fn a_typed_code_links_a_device_and_a_wrong_one_does_not() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let backend = Arc::new(InMemoryBackend::new());
    let mut client = TestClient::start_with(&server, backend, |builder| {
        builder.with_pair_code(PairCodeOptions {
            phone_number: SHOP.to_owned(),
            ..Default::default()
        })
    })
    .await;
    let code = client.until(|event| match event {
        Event::PairingCode(code) => Some(code.code.clone()),
        _ => None,
    });
    let code = code.await;
    let nobody = server.enter_code(&code, PERSON).await.expect_err("no code");
    assert!(nobody.to_string().contains("no client"), "{nobody}");
    let wrong = soon(server.enter_code("11111111", SHOP)).await;
    let wrong = wrong.expect_err("a wrong code").to_string();
    assert!(wrong.contains("is not the one"), "{wrong}");
    let device = soon(server.enter_code(&code, SHOP)).await.expect("linked");
    assert_eq!(linked(&mut client).await, device);
    client.stop().await;
}

#[tokio::test]
async fn a_client_refuses_a_phone_that_did_not_see_its_code() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let mut client = TestClient::start(&server, Arc::new(InMemoryBackend::new())).await;
    let code = qr(&mut client).await;
    // All that the server knows, without the secret that only a screen shows.
    let mut parts: Vec<_> = code.split(',').collect();
    parts[3] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let guessed = soon(server.scan(&parts.join(","), SHOP)).await;
    assert!(guessed.is_err());
    client
        .until(|event| matches!(event, Event::PairError(_)).then_some(()))
        .await;
    // The right code is still good.
    soon(server.scan(&code, SHOP)).await.expect("linked");
    linked(&mut client).await;
    client.stop().await;
}

#[tokio::test]
async fn an_old_client_gets_no_code() {
    let server = FakeWhatsApp::start().await.expect("a server");
    server.refuse_next_stranger(Refusal::Code(405));
    let mut client = TestClient::start(&server, Arc::new(InMemoryBackend::new())).await;
    client
        .until(|event| {
            assert!(!matches!(event, Event::PairingQrCode(_)), "no code");
            matches!(event, Event::ClientOutdated(_)).then_some(())
        })
        .await;
    client.gave_up().await;
}
