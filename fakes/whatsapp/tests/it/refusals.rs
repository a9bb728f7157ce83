//! What a client says when a login or a connection ends badly.

use fake_whatsapp::{FakeWhatsApp, Refusal};
use whatsapp_rust::types::events::{ConnectFailureReason, Event};

use crate::SHOP;
use crate::client::{TestClient, linked, soon};

/// Refuses a client's first login and returns what is found in its events; the client must give up by itself.
async fn refused<T>(refusal: Refusal, find: impl Fn(&Event) -> Option<T>) -> T {
    let server = FakeWhatsApp::start().await.expect("a server");
    let backend = linked(&server, SHOP).await;
    server.refuse_next(SHOP, refusal);
    let mut client = TestClient::start(&server, backend).await;
    let found = client.until(find).await;
    client.gave_up().await;
    assert!(server.has_refused_all());
    assert_eq!((server.logins(SHOP), server.connections()), (Vec::new(), 0));
    found
}

#[tokio::test]
async fn an_unlinked_device_and_a_locked_account_are_logged_out() {
    for (code, expected) in [
        (401, ConnectFailureReason::LoggedOut),
        (403, ConnectFailureReason::AccountLocked),
    ] {
        let find = |event: &Event| match event {
            Event::LoggedOut(event) => Some((event.reason, event.on_connect)),
            _ => None,
        };
        let found = refused(Refusal::Code(code), find).await;
        assert_eq!(found, (expected, true));
    }
}

#[tokio::test]
async fn a_ban_says_for_how_long_when_the_server_does() {
    let ban = Refusal::TemporaryBan {
        reason: 101,
        seconds: 21_600,
    };
    let seconds = refused(ban, |event| match event {
        Event::TemporaryBan(event) => Some(event.expire.num_seconds()),
        _ => None,
    });
    assert_eq!(seconds.await, 21_600);
    let reason = refused(Refusal::Code(402), |event| match event {
        Event::ConnectFailure(event) => Some(event.reason),
        _ => None,
    });
    assert_eq!(reason.await, ConnectFailureReason::TempBanned);
}

#[tokio::test]
async fn an_old_client_is_told_so() {
    refused(Refusal::Code(405), |event| {
        matches!(event, Event::ClientOutdated(_)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_login_that_is_replaced_is_not_tried_again() {
    refused(Refusal::Replaced, |event| {
        matches!(event, Event::StreamReplaced(_)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_away_or_restarts_is_tried_again() {
    for code in [503, 515] {
        let server = FakeWhatsApp::start().await.expect("a server");
        let backend = linked(&server, SHOP).await;
        server.refuse_next(SHOP, Refusal::Code(code));
        server.refuse_next(SHOP, Refusal::Code(code));
        let mut client = TestClient::start(&server, backend).await;
        client.until_connected().await;
        assert!(server.has_refused_all());
        assert_eq!(server.logins(SHOP).len(), 1, "{code}");
        client.stop().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_replaced_is_given_up() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let mut client = TestClient::connected(&server, SHOP).await;
    server.replace_connection(SHOP);
    client
        .until(|event| matches!(event, Event::StreamReplaced(_)).then_some(()))
        .await;
    client.gave_up().await;
    assert_eq!(server.logins(SHOP).len(), 1);
}

#[tokio::test]
async fn a_second_client_of_one_device_replaces_the_first() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let backend = linked(&server, SHOP).await;
    let mut first = TestClient::start(&server, backend.clone()).await;
    first.until_connected().await;
    let mut second = TestClient::start(&server, backend).await;
    first
        .until(|event| matches!(event, Event::StreamReplaced(_)).then_some(()))
        .await;
    first.gave_up().await;
    second.until_connected().await;
    assert_eq!(server.connections(), 1);
    second.stop().await;
}

#[tokio::test]
async fn unlinking_on_the_phone_logs_a_client_out() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let mut client = TestClient::connected(&server, SHOP).await;
    server.unlink(SHOP);
    client
        .until(|event| matches!(event, Event::LoggedOut(_)).then_some(()))
        .await;
    client.gave_up().await;
    soon(server.until_gone(SHOP)).await;
    assert_eq!(server.connections(), 0);
}
