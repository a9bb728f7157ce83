//! Reminders carry the PIX, where there is one.

use chrono::TimeDelta;
use helixai_fakes::gateways::{Failure, Fault};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::till::Till;
use super::{Desk, due_of, of};

/// Customers are reminded three days before, which is now.
async fn remind(till: &Till, client: &super::Client) -> Value {
    let made = async |path: &str, body: Value| -> Value {
        let call = of(till, client, Method::POST, path).json(&body);
        call.await.expect(201).json()
    };
    let body = "Olá {{primeiro_nome}}, {{valor}}.\nPIX: {{pix}}\n{{empresa}}";
    let template = made(
        "/api/message-templates",
        json!({"name": "Lembrete", "body": body}),
    )
    .await;
    let rule = json!({"days": -3, "template_id": template["id"]});
    made("/api/reminder-rules", rule).await;
    template
}

/// The words of the mails to customers.
async fn told(till: &Till) -> Vec<String> {
    let admin = till.app.test.admin().await;
    let select =
        "select id::text, values_sealed from master.mails where kind = 'customer_message' order by id";
    let rows = admin.query(select, &[]).await.expect("mails");
    let key = &till.app.test.platform.key;
    let open = |row: &tokio_postgres::Row| {
        let (id, sealed): (String, Vec<u8>) = (row.get(0), row.get(1));
        let values = key.open(&format!("mail:{id}:values"), &sealed).expect("opened");
        let values: Value = serde_json::from_slice(&values).expect("JSON");
        values["text"].as_str().expect("words").to_owned()
    };
    rows.iter().map(open).collect()
}

#[tokio::test]
async fn a_reminder_carries_the_pix_of_its_due() {
    let desk = Desk::open().await;
    remind(&desk.till, &desk.client).await;
    let due = desk.due(9990).await;
    desk.morning().await;
    assert_eq!(
        desk.payments().len(),
        0,
        "no gateway is asked while days are looked at, nor by the queue"
    );
    assert_eq!(told(&desk.till).await.len(), 0, "it waits for its PIX");
    desk.till.work().await;
    desk.later(1, TimeDelta::minutes(1)).await;
    let made = desk
        .get(&format!("/api/dues/{due}/charge"))
        .await
        .expect(200)
        .json();
    let code = made["pix_code"].as_str().expect("a code");
    let name = format!("Empresa {}", desk.client.key);
    let words = format!("Olá Ana, R$ 99,90.\nPIX: {code}\n{name}");
    assert_eq!(told(&desk.till).await, std::slice::from_ref(&words));
    assert_eq!(desk.shown(due).await["pix_code"], made["pix_code"]);
    // Whoever asks for the charge has the one that was told.
    assert_eq!(desk.charge(due).await.1["id"], made["id"]);
    desk.later(3, TimeDelta::hours(1)).await;
    assert_eq!(told(&desk.till).await, [words]);
    assert_eq!(desk.payments().len(), 1);
}

#[tokio::test]
async fn without_an_account_a_reminder_goes_without() {
    let till = Till::open_by_hand().await;
    let client = till.client.clone();
    let template = remind(&till, &client).await;
    let path = format!(
        "/api/message-templates/{}/preview",
        template["id"].as_str().unwrap()
    );
    let preview = of(&till, &client, Method::GET, &path).await.expect(200).json();
    assert_eq!(preview["pix_missing"], true);
    assert!(!preview["body"].as_str().unwrap().contains("PIX"), "{preview}");
    let due = due_of(&till, &client, 9990).await;
    let desk = Desk {
        client,
        account: Value::Null,
        till,
    };
    desk.morning().await;
    let name = format!("Empresa {}", desk.client.key);
    assert_eq!(told(&desk.till).await, [format!("Olá Ana, R$ 99,90.\n{name}")]);
    assert_eq!(desk.charges(due).await.len(), 0);
    super::connect(&desk.till, &desk.client, super::KEY, 500).await;
    let preview = desk.get(&path).await.expect(200).json();
    assert_eq!(preview["pix_missing"], false);
    assert!(
        preview["body"].as_str().unwrap().contains("PIX: 0002"),
        "{preview}"
    );
}

/// A gateway that is away for long keeps nobody from being reminded.
#[tokio::test]
async fn a_reminder_waits_for_its_pix_for_a_while_only() {
    let desk = Desk::open().await;
    remind(&desk.till, &desk.client).await;
    let due = desk.due(9990).await;
    desk.till
        .gateway
        .fail(Fault::repeated("POST /v1/payments", Failure::Status(503), 10_000));
    desk.morning().await;
    assert_eq!(told(&desk.till).await.len(), 0);
    desk.later(12, TimeDelta::minutes(10)).await;
    let told = told(&desk.till).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(!told[0].contains("PIX"), "{told:?}");
    assert_eq!(desk.charges(due).await, ["pending"]);
}
