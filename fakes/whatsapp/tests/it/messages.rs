//! Texts between people and clients, and between two clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use fake_whatsapp::{FakeWhatsApp, SentText};
use whatsapp_rust::types::events::{Event, InboundMessage};
use whatsapp_rust::types::presence::ReceiptType;
use whatsapp_rust::{Client, InboundDurabilityHook, Jid};

use crate::client::{TestClient, linked, soon};
use crate::{PERSON, SHOP};

#[tokio::test]
async fn a_person_and_a_client_write_to_each_other() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let mut client = TestClient::connected(&server, SHOP).await;
    let id = server.send_text(PERSON, SHOP, "oi").await.expect("sent");
    let expected = (id, Jid::pn(PERSON), "oi".to_owned(), false);
    assert_eq!(client.text().await, expected);
    soon(server.until_confirmed(SHOP)).await;

    let id = client.send(PERSON, "olá, tudo bem?").await;
    let sent = soon(server.until_sent(SHOP, 1)).await;
    let expected = SentText {
        id: id.clone(),
        from: SHOP.to_owned(),
        to: PERSON.to_owned(),
        text: "olá, tudo bem?".to_owned(),
    };
    assert_eq!(sent, [expected]);
    assert_eq!(receipt(&mut client).await, (id.clone(), ReceiptType::Delivered));
    server.read(&sent[0]);
    assert_eq!(receipt(&mut client).await, (id, ReceiptType::Read));

    // The conversation goes on: both sides have answered once.
    server.send_text(PERSON, SHOP, "tudo").await.expect("sent");
    assert_eq!(client.text().await.2, "tudo");
    client.send(PERSON, "que bom").await;
    assert_eq!(soon(server.until_sent(SHOP, 2)).await[1].text, "que bom");
    assert_eq!(server.retries(), 0);
    client.stop().await;
}

async fn receipt(client: &mut TestClient) -> (String, ReceiptType) {
    let find = |event: &Event| match event {
        Event::Receipt(receipt) => Some((receipt.message_ids.first()?.clone(), receipt.r#type.clone())),
        _ => None,
    };
    client.until(find).await
}

#[tokio::test]
async fn two_clients_write_to_each_other() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let mut shop = TestClient::connected(&server, SHOP).await;
    let mut other = TestClient::connected(&server, PERSON).await;
    let id = shop.send(PERSON, "oi").await;
    let expected = (id.clone(), Jid::pn_device(SHOP, 1), "oi".to_owned(), false);
    assert_eq!(other.text().await, expected);
    // Both the phone and the client of the other account have it.
    assert_eq!(soon(server.until_sent(SHOP, 1)).await[0].id, id);
    for text in ["um", "dois", "três"] {
        other.send(SHOP, text).await;
        assert_eq!(shop.text().await.2, text);
    }
    soon(server.until_confirmed(SHOP)).await;
    soon(server.until_confirmed(PERSON)).await;
    assert_eq!(server.retries(), 0);
    shop.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn texts_wait_for_a_client_that_is_away() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let backend = linked(&server, SHOP).await;
    for text in ["um", "dois"] {
        server.send_text(PERSON, SHOP, text).await.expect("sent");
    }
    assert_eq!(server.unconfirmed(SHOP), 2);
    let mut client = TestClient::start(&server, backend).await;
    let waited = client.until(|event| {
        let texts = event
            .messages()
            .map(|message| message.message.conversation.clone());
        Some(texts.collect::<Vec<_>>()).filter(|texts| !texts.is_empty())
    });
    let mut texts = waited.await;
    while texts.len() < 2 {
        texts.push(Some(client.text().await.2));
    }
    assert_eq!(texts, [Some("um".to_owned()), Some("dois".to_owned())]);
    soon(server.until_confirmed(SHOP)).await;
    client.stop().await;
}

/// Refuses to store the first message that it sees.
struct Forgetful(AtomicBool);

#[async_trait]
impl InboundDurabilityHook for Forgetful {
    async fn on_messages(&self, _: Arc<Client>, _: &[InboundMessage]) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.swap(true, Ordering::Relaxed), "the store is away");
        Ok(())
    }
}

#[tokio::test]
async fn a_message_that_was_not_stored_is_not_confirmed_and_comes_again() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let backend = linked(&server, SHOP).await;
    let mut client = TestClient::start_with(&server, backend, |builder| {
        builder.with_inbound_durability_hook(Forgetful(AtomicBool::new(false)))
    })
    .await;
    client.until_connected().await;
    server.send_text(PERSON, SHOP, "um").await.expect("sent");
    server.send_text(PERSON, SHOP, "dois").await.expect("sent");
    // The second one is stored and confirmed; the first comes again after the next login.
    assert_eq!(client.text().await.2, "dois");
    soon(server.until_unconfirmed(SHOP, 1)).await;
    server.drop_connection(SHOP);
    assert_eq!(client.text().await.2, "um");
    soon(server.until_confirmed(SHOP)).await;
    client.stop().await;
}

#[tokio::test]
async fn what_the_owner_writes_on_the_phone_is_the_accounts_own() {
    let server = FakeWhatsApp::start().await.expect("a server");
    let mut client = TestClient::connected(&server, SHOP).await;
    let id = server.send_from_phone(SHOP, PERSON, "eu mesmo").await;
    let (chat, found) = client
        .until(|event| {
            let message = event.messages().next()?;
            Some((message.info.source.chat.clone(), message.info.id.clone()))
        })
        .await;
    assert_eq!((chat, found), (Jid::pn(PERSON), id.expect("sent")));
    soon(server.until_confirmed(SHOP)).await;
    client.stop().await;
}

#[tokio::test]
async fn a_person_may_be_named_without_a_phone_number() {
    let server = FakeWhatsApp::start().await.expect("a server");
    server.name_by_lid(true);
    let mut client = TestClient::connected(&server, SHOP).await;
    server.send_text(PERSON, SHOP, "oi").await.expect("sent");
    let (sender, other) = client
        .until(|event| {
            let source = &event.messages().next()?.info.source;
            Some((source.sender.clone(), source.sender_alt.clone()))
        })
        .await;
    assert!(sender.is_lid(), "{sender}");
    assert_eq!(other, Some(Jid::pn(PERSON)));
    // The answer finds the same person.
    let client_of = client.handle.client();
    let message = whatsapp_rust::prelude::wa::Message {
        conversation: Some("olá".to_owned()),
        ..Default::default()
    };
    soon(client_of.send_message(sender, message)).await.expect("sent");
    assert_eq!(soon(server.until_sent(SHOP, 1)).await[0].to, PERSON);
    assert_eq!(server.retries(), 0);
    client.stop().await;
}
