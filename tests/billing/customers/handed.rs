//! Messages that the registry has been handed: from whom they are, once for each occasion, and taken back when somebody pays or is
//! forgotten.

use chrono::TimeDelta;
use helixai::mail::transport::{Sender, Transport};
use helixai_fakes::smtp::{FakeSmtp, Mail};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Shop, worker};
use crate::http::customers::{customer, due, id, made, paid};
use crate::tenancy::snapshots::{backup, restore};

const MESSAGES: &str = "select state, address_sealed is not null or values_sealed is not null as held
                        from master.mails where kind = 'customer_message' order by id";

impl Shop {
    /// What the background does with the tenant's work.
    async fn hand_over(&self) {
        worker(&self.app.test.platform).work().await.expect("worked");
    }

    /// State and whether anything is held, of each message in the registry.
    async fn messages(&self) -> Vec<(String, bool)> {
        let rows = self.rows(MESSAGES).await.into_iter();
        rows.map(|row| {
            let state = row["state"].as_str().expect("a state");
            (state.to_owned(), row["held"].as_bool().expect("held or not"))
        })
        .collect()
    }

    /// Sends what is due to this server.
    async fn send_to(&self, server: &FakeSmtp) -> Vec<Mail> {
        let mut mailer = self.app.test.platform.mailer();
        let url = SecretString::from(server.url());
        let transport = Transport::smtp(&url, std::time::Duration::from_secs(5)).expect("a mail server");
        let sender = Sender {
            address: helixai::domain::email::Email::parse("no-reply@helixai.test").expect("an address"),
            name: "HelixAI".to_owned(),
            reply_to: Some(helixai::domain::email::Email::parse("help@helixai.test").expect("an address")),
        };
        mailer.way = Some((transport, sender));
        mailer.send_due().await.expect("sent");
        let to_customers = |mail: &Mail| mail.to.iter().any(|to| to.ends_with("@example.com"));
        server.taken().into_iter().filter(to_customers).collect()
    }

    async fn set_all(&self, settings: Value) {
        let owner = self.app.log_in(&self.tenant).await;
        let patch = self.app.patch("/api/settings").of(&self.tenant).bearer(&owner);
        patch.json(&settings).await.expect(200);
    }
}

fn one(state: &str, held: bool) -> Vec<(String, bool)> {
    vec![(state.to_owned(), held)]
}

#[tokio::test]
async fn a_message_is_from_the_tenant_answered_to_it_and_in_its_language() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    let server = FakeSmtp::start().await.expect("a free port");
    shop.remind(-3, "Olá {{primeiro_nome}}.").await;
    let ana = customer(app, tenant, "Ana Lima", json!({})).await;
    due(app, tenant, &ana, 9990, "2026-03-13").await;
    shop.hand_over().await;
    let mails = shop.send_to(&server).await;
    let (from, reply_to) = (mails[0].header("From").unwrap(), mails[0].header("Reply-To"));
    assert!(
        from.contains(&tenant.name) && from.ends_with("<no-reply@helixai.test>"),
        "{from}"
    );
    assert_eq!(reply_to, None, "the platform answers no customers of others");
    assert!(
        mails[0].text().contains("enviada automaticamente"),
        "{}",
        mails[0].text()
    );

    let words =
        json!({"company_name": "Academia da Ana", "contact_email": "oi@academia.example", "language": "en"});
    shop.set_all(words).await;
    due(app, tenant, &ana, 100, "2026-03-13").await;
    shop.hand_over().await;
    let mails = shop.send_to(&server).await;
    assert_eq!(mails.len(), 2);
    assert_eq!(
        mails[1].header("From").unwrap(),
        "\"Academia da Ana\" <no-reply@helixai.test>"
    );
    assert_eq!(mails[1].header("Reply-To").unwrap(), "oi@academia.example");
    assert!(
        mails[1].text().contains("Academia da Ana · oi@academia.example"),
        "{}",
        mails[1].text()
    );
    assert!(
        mails[1].text().contains("sent automatically"),
        "{}",
        mails[1].text()
    );
}

#[tokio::test]
async fn who_has_paid_is_not_written_to_although_the_registry_has_the_mail() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    let server = FakeSmtp::start().await.expect("a free port");
    shop.remind(-3, "Vence").await;
    let ana = customer(app, tenant, "Ana", json!({})).await;
    let first = due(app, tenant, &ana, 100, "2026-03-13").await;
    shop.hand_over().await;
    assert_eq!(shop.messages().await, one("pending", true));
    paid(app, tenant, &first, json!({"paid_on": "2026-03-10"})).await;
    shop.hand_over().await;
    assert_eq!(shop.messages().await, one("canceled", false));
    assert_eq!(shop.send_to(&server).await, []);

    // One that is being sent is taken back when that has failed.
    let second = due(app, tenant, &ana, 100, "2026-03-13").await;
    shop.hand_over().await;
    let admin = app.test.admin().await;
    let take = "update master.mails set leased_by = id, leased_until = $1 where state = 'pending' and kind = 'customer_message'";
    let until = app.test.clock.now() + TimeDelta::seconds(20);
    assert_eq!(admin.execute(take, &[&until]).await.expect("taken"), 1);
    paid(app, tenant, &second, json!({"paid_on": "2026-03-10"})).await;
    shop.hand_over().await;
    assert_eq!(shop.messages().await[1], ("pending".to_owned(), true));
    app.test.clock.advance(TimeDelta::seconds(30));
    shop.hand_over().await;
    assert_eq!(shop.messages().await[1], ("canceled".to_owned(), false));
    assert_eq!(shop.send_to(&server).await, []);
    let left = "select state, payload from {}.jobs where kind = 'take_back_mails'";
    let done = json!({"state": "done", "payload": {}});
    assert_eq!(shop.rows(left).await, [done.clone(), done]);

    // What comes to be owed on another day is another occasion; what is owed again is told again.
    let third = due(app, tenant, &ana, 100, "2026-03-13").await;
    shop.hand_over().await;
    let path = format!("/api/dues/{}", id(&third));
    for day in ["2026-03-12", "2026-03-13"] {
        let patch = app.patch(&path).by(tenant).json(&json!({"due_date": day}));
        patch.await.expect(200);
        shop.hand_over().await;
        let states: Vec<String> = shop
            .messages()
            .await
            .into_iter()
            .map(|(state, _)| state)
            .collect();
        assert_eq!(
            states.iter().filter(|state| *state == "pending").count(),
            1,
            "{day}: {states:?}"
        );
    }
    assert_eq!(shop.send_to(&server).await.len(), 1);
}

#[tokio::test]
async fn who_is_forgotten_is_forgotten_by_the_registry_too() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    let server = FakeSmtp::start().await.expect("a free port");
    shop.remind(-3, "Vence").await;
    let body = json!({"name": "Ana", "email": "ana@example.com"});
    let contact = made(app, tenant, "/api/contacts", body).await;
    let ana = made(
        app,
        tenant,
        "/api/customers",
        json!({"contact_id": contact["id"]}),
    )
    .await;
    due(app, tenant, &ana, 100, "2026-03-13").await;
    shop.hand_over().await;
    shop.send_to(&server).await;
    due(app, tenant, &ana, 100, "2026-03-13").await;
    shop.hand_over().await;
    let held = |state: &str| (state.to_owned(), true);
    assert_eq!(shop.messages().await, [held("sent"), held("pending")]);
    let owner = app.log_in(tenant).await;
    let erase = app.post(&format!("/api/contacts/{}/erase", id(&contact)));
    erase.of(tenant).bearer(&owner).await.expect(200);
    shop.hand_over().await;
    let emptied = |state: &str| (state.to_owned(), false);
    assert_eq!(shop.messages().await, [emptied("sent"), emptied("canceled")]);
    let words = "select payload from {}.outbox where payload <> jsonb_build_object()";
    assert_eq!(shop.rows(words).await, [json!(null); 0]);
}

#[tokio::test]
async fn a_restore_reminds_nobody_twice() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    let server = FakeSmtp::start().await.expect("a free port");
    shop.remind(-3, "Vence {{vencimento}}").await;
    // Of a month that is made after the snapshot, and of one that was made before.
    let ana = customer(app, tenant, "Ana", json!({"price_cents": 100, "due_day": 13})).await;
    due(app, tenant, &ana, 100, "2026-03-13").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a");
    let platform = &app.test.platform;
    backup(platform, &tenant.key, file.clone())
        .await
        .expect("a backup");
    shop.hand_over().await;
    assert_eq!(shop.send_to(&server).await.len(), 2);
    restore(platform, file, None).await.expect("restored");
    app.test.clock.advance(TimeDelta::minutes(10));
    assert_eq!(shop.work().await.reminders, 2, "it is decided again");
    shop.hand_over().await;
    let sent = shop.rows("select state from {}.outbox").await;
    assert_eq!(sent, vec![json!({"state": "sent"}); 2]);
    assert_eq!(shop.send_to(&server).await.len(), 2, "and not sent again");
}
