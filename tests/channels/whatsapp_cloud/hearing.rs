//! What people say to a number arrives once, as what it is, from whom it is.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{ANA, ANA_TODAY, HEARD, Numbers};
use crate::channels::path_of;

#[tokio::test]
async fn a_number_greets_whoever_writes() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    numbers.cloud.person_writes(&number.id, ANA, "Tem Uno?").await;
    let said = numbers.cloud.await_said(&number.id, 1).await;
    assert_eq!((said[0].to.as_str(), said[0].text()), (ANA_TODAY, "Bem-vindo!"));
    assert_eq!(said[0].button(), Some(("Entrar no VIP", "https://t.me/+vip")));
    let app = &numbers.bots.app;
    let inbox = app.get("/api/conversations").by(&garage).await.expect(200).json();
    assert_eq!(inbox["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(inbox["items"][0]["channel"], "whatsapp_cloud");
    assert_eq!(inbox["items"][0]["contact"]["name"], "Ana Souza");
    assert_eq!(inbox["items"][0]["contact"]["phone"], format!("+{ANA_TODAY}"));
    numbers.await_booked(&garage, 1).await;
}

#[tokio::test]
async fn credentials_are_never_seen_again() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let read = numbers.bots.app.get(&path_of(&number.bot)).by(&garage).await;
    let read = read.expect(200).json();
    assert_eq!(
        read["webhook"],
        json!({"url": number.hook()}),
        "without its token"
    );
    assert_eq!(read["username"], "+55 11 4000-0001", "Meta has said so");
    let list = numbers
        .bots
        .app
        .get("/api/bots/my")
        .by(&garage)
        .await
        .expect(200)
        .json();
    let stored = numbers
        .bots
        .rows(&garage, "select to_jsonb(i) from instances i")
        .await;
    let audit = numbers
        .bots
        .rows(&garage, "select to_jsonb(a) from audit_log a")
        .await;
    let shown = [number.bot.clone(), read, list, json!(stored), json!(audit)].map(|value| value.to_string());
    for (place, text) in shown.iter().enumerate() {
        assert!(
            !text.contains("EAAJB") && !text.contains(&number.secret),
            "{place}"
        );
        assert_eq!(
            text.contains(number.verify_token()),
            place == 0,
            "told once: {place}"
        );
    }
}

#[tokio::test]
async fn what_is_delivered_again_has_one_effect() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let second = numbers.bots.app.second_process().await;
    let wamid = numbers.cloud.person_writes(&number.id, ANA, "Oi").await;
    for n in 0..20 {
        let process = if n % 2 == 0 {
            second
        } else {
            numbers.bots.app.address
        };
        numbers.cloud.send_webhooks_through(&format!("http://{process}"));
        assert_eq!(numbers.cloud.redeliver(&number.id, &wamid).await, 200);
    }
    // Somebody else is answered after all of it.
    numbers
        .cloud
        .person_writes(&number.id, "5521999990000", "Olá")
        .await;
    let said = numbers.cloud.await_said(&number.id, 2).await;
    assert_eq!(said.iter().filter(|said| said.to == ANA_TODAY).count(), 1);
    assert_eq!(
        numbers.bots.rows(&garage, HEARD).await,
        [json!("Oi"), json!("Olá")]
    );
    let unread = "select to_jsonb(unread_count) from conversations order by id";
    assert_eq!(numbers.bots.rows(&garage, unread).await, [json!(1), json!(1)]);
}

/// Row 1 of the reliability table: 50 messages of somebody new, each brought while the others are.
#[tokio::test]
async fn fifty_at_once_are_each_handled_once() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let words: Vec<String> = (0..50).map(|n| format!("{n}")).collect();
    let brought = words
        .iter()
        .map(|words| numbers.cloud.person_writes(&number.id, ANA, words));
    join_all(brought).await;
    let counts = "select jsonb_build_array((select count(*) from contacts), (select count(*) from conversations), \
        (select unread_count from conversations), (select count(distinct body) from messages where direction = 'inbound'), \
        (select count(*) from messages where direction = 'inbound'))";
    assert_eq!(
        numbers.bots.rows(&garage, counts).await,
        [json!([1, 1, 50, 50, 50])]
    );
    let waiting =
        "select to_jsonb(count(*)) from messages where direction = 'inbound' and processed_at is null";
    numbers.bots.await_rows(&garage, waiting, json!([0])).await;
    numbers.cloud.await_said(&number.id, 1).await;
    let said = "select to_jsonb(count(*)) from messages where direction = 'outbound'";
    assert_eq!(numbers.bots.rows(&garage, said).await, [json!(1)], "greeted once");
}

#[tokio::test]
async fn a_number_with_and_without_its_ninth_digit_is_one_person() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let contact = json!({"name": "Ana", "phone": "(11) 8765-4321"});
    let call = numbers.bots.app.post("/api/contacts").by(&garage).json(&contact);
    let contact = call.await.expect(201).json();
    for (from, words) in [(ANA, "um"), (ANA_TODAY, "dois"), (ANA, "três")] {
        numbers.cloud.person_writes(&number.id, from, words).await;
    }
    let counts =
        "select jsonb_build_array((select count(*) from contacts), (select count(*) from conversations))";
    assert_eq!(numbers.bots.rows(&garage, counts).await, [json!([1, 1])]);
    let of = "select to_jsonb(contact_id) from conversations";
    assert_eq!(numbers.bots.rows(&garage, of).await, [contact["id"].clone()]);
    assert_eq!(
        numbers.bots.rows(&garage, HEARD).await,
        [json!("um"), json!("dois"), json!("três")]
    );
    assert_eq!(numbers.cloud.await_said(&number.id, 1).await[0].to, ANA_TODAY);
}

#[tokio::test]
async fn whatever_is_said_is_kept_as_what_it_is() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let media =
        json!({"id": "2754859441498128", "mime_type": "image/jpeg", "sha256": "x", "caption": "Olha"});
    let kept = json!({"media_id": "2754859441498128", "mime_type": "image/jpeg", "sha256": "x"});
    let file = json!({"id": "1", "mime_type": "application/pdf", "filename": "laudo.pdf"});
    let place = json!({"latitude": -23.5, "longitude": -46.6, "name": "Loja"});
    let card = json!([{"name": {"formatted_name": "Rui"}, "phones": [{"phone": "+55 11 91234-5678"}]}]);
    let reply = json!({"type": "button_reply", "button_reply": {"id": "sim-1", "title": "Sim"}});
    let table: [(Value, Value); 9] = [
        (
            json!({"type": "image", "image": media}),
            json!(["image", "Olha", kept]),
        ),
        (
            json!({"type": "audio", "audio": {"id": "1", "voice": true}}),
            json!(["audio", null, {"media_id": "1", "voice": true}]),
        ),
        (
            json!({"type": "document", "document": file}),
            json!(["document", null, {"media_id": "1", "mime_type": "application/pdf", "file_name": "laudo.pdf"}]),
        ),
        (
            json!({"type": "sticker", "sticker": {"id": "1"}}),
            json!(["sticker", null, {"media_id": "1"}]),
        ),
        (
            json!({"type": "location", "location": place}),
            json!(["location", null, place]),
        ),
        (
            json!({"type": "contacts", "contacts": card}),
            json!(["contact", null, {"name": "Rui", "phone": "+55 11 91234-5678"}]),
        ),
        (
            json!({"type": "interactive", "interactive": reply}),
            json!(["text", "Sim", {"button": "sim-1"}]),
        ),
        (
            json!({"type": "button", "button": {"text": "Quero", "payload": "q"}}),
            json!(["text", "Quero", {"button": "q"}]),
        ),
        (
            json!({"type": "order", "order": {"catalog_id": "9"}}),
            json!(["other", null, {"type": "order", "order": {"catalog_id": "9"}}]),
        ),
    ];
    for (message, _) in &table {
        assert_eq!(
            numbers.cloud.person_does(&number.id, ANA, message).await.1,
            200,
            "{message}"
        );
    }
    // Neither is a message.
    for passed_over in [
        json!({"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": "👍"}}),
        json!({"type": "text", "text": {"body": "no grupo"}, "group_id": "g1"}),
    ] {
        assert_eq!(
            numbers.cloud.person_does(&number.id, ANA, &passed_over).await.1,
            200
        );
    }
    let heard =
        "select jsonb_build_array(kind, body, payload) from messages where direction = 'inbound' order by id";
    let expected: Vec<&Value> = table.iter().map(|(_, kept)| kept).collect();
    assert_eq!(json!(numbers.bots.rows(&garage, heard).await), json!(expected));
}

#[tokio::test]
async fn one_who_has_no_number_is_called_by_an_id() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let person = "BR.13491208655302741918";
    numbers.cloud.person_writes(&number.id, person, "Oi").await;
    let said = numbers.cloud.await_said(&number.id, 1).await;
    assert_eq!(said[0].request["recipient"], person);
    let contact = "select jsonb_build_array(name, phone) from contacts";
    assert_eq!(
        numbers.bots.rows(&garage, contact).await,
        [json!(["Ana Souza", null])]
    );
}
