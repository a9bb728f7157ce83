//! Linked devices come without a code; strangers do not believe the fake.

use std::sync::Arc;

use fake_whatsapp::{FakeWhatsApp, Handshake};
use wacore::store::InMemoryBackend;
use wacore::store::traits::DeviceStore as _;

use crate::SHOP;
use crate::client::{TestClient, linked, soon};

#[tokio::test]
async fn a_linked_device_comes_without_a_code_and_by_the_short_handshake() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let client = TestClient::connected(&server, SHOP).await;
    assert_eq!(server.logins(SHOP), [Handshake::Ik]);
    assert_eq!((server.connections(), server.broken_handshakes()), (1, 0));
    assert!(server.is_connected(SHOP));
    let inner = client.handle.client();
    assert!(inner.is_connected() && inner.is_logged_in());
    assert_eq!(inner.stats().reconnect_errors, 0);
    client.stop().await;
    soon(server.until_gone(SHOP)).await;
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_client_that_is_not_linked_does_not_believe_the_fake() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let backend = Arc::new(InMemoryBackend::new());
    let client = TestClient::start(&server, backend.clone()).await;
    // The second attempt shows that the first one was counted.
    soon(server.until_broken_handshakes(2)).await;
    assert!(client.handle.client().stats().reconnect_errors >= 1);
    assert_eq!(server.connections(), 0);
    client.stop().await;
    let device = backend.load().await.expect("loaded").expect("a device");
    assert_eq!(device.server_cert_chain, None);
}

#[tokio::test]
async fn a_linked_device_that_does_not_know_the_server_does_not_believe_it() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let backend = linked(&server, SHOP).await;
    let mut device = backend.load().await.expect("loaded").expect("a device");
    device.server_cert_chain = None;
    backend.save(&device).await.expect("saved");
    let client = TestClient::start(&server, backend).await;
    soon(server.until_broken_handshakes(1)).await;
    assert_eq!(server.logins(SHOP), []);
    client.stop().await;
}

#[tokio::test]
async fn a_broken_connection_is_made_again() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let mut client = TestClient::connected(&server, SHOP).await;
    server.drop_connection(SHOP);
    client.until_connected().await;
    assert_eq!(server.logins(SHOP), [Handshake::Ik, Handshake::Ik]);
    assert_eq!(client.handle.client().stats().reconnects, 1);
    client.stop().await;
}

#[tokio::test]
async fn a_device_comes_back_with_what_its_client_stored() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let backend = linked(&server, SHOP).await;
    for _ in 0..2 {
        let mut client = TestClient::start(&server, backend.clone()).await;
        client.until_connected().await;
        client.stop().await;
        soon(server.until_gone(SHOP)).await;
    }
    assert_eq!(server.logins(SHOP), [Handshake::Ik, Handshake::Ik]);
}
