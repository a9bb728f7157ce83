//! The platform's own bot: it knows whom a tenant has sent, tells them what is theirs, and administrators what has happened.

use helixai_fakes::telegram::FakeTelegram;
use serde_json::{Value, json};

use super::{Bots, token};
use crate::helpers::TestTenant;

const ADMINS: i64 = -10_042;
const ANA: i64 = 7;
const BIA: i64 = 8;

/// The program with a bot of its own.
async fn start(more: &[(&str, &str)]) -> (Bots, String) {
    let own = token(99);
    let admins = ADMINS.to_string();
    let mut settings = vec![
        ("channels.assistant_token", own.as_str()),
        ("channels.assistant_admin_chat", admins.as_str()),
    ];
    settings.extend(more);
    let telegram = FakeTelegram::start().await.expect("a Telegram");
    telegram.add_bot(&own, "helix_bot");
    telegram.add_chat(&own, ADMINS);
    let bots = Bots::start_on(telegram, &settings).await;
    assert!(bots.telegram.await_polled(&own, true).await);
    (bots, own)
}

/// A user of this role, and a session of theirs.
async fn user(bots: &Bots, tenant: &TestTenant, role: &str) -> (String, String) {
    let user = bots.app.add_user(tenant, role).await;
    (user.to_string(), bots.app.session_of(tenant, user).await)
}

async fn code(bots: &Bots, tenant: &TestTenant, session: &str) -> Value {
    let call = bots.app.post("/api/assistant/links").of(tenant).bearer(session);
    call.await.expect(201).json()
}

/// Has the bot know whose session this is in the chat of a person; what it answers.
async fn link(bots: &Bots, own: &str, tenant: &TestTenant, session: &str, person: i64) -> String {
    let code = code(bots, tenant, session).await;
    let start = format!("/start {}", code["code"].as_str().unwrap());
    ask(bots, own, person, &start).await
}

async fn disable(bots: &Bots, tenant: &TestTenant, user: &str) {
    let disable = format!(
        "update {}.users set status = 'disabled' where id = '{user}'",
        tenant.schema
    );
    let admin = bots.app.test.admin().await;
    admin.batch_execute(&disable).await.unwrap();
}

/// Says something to the bot; what it answers.
async fn ask(bots: &Bots, own: &str, person: i64, words: &str) -> String {
    let before = bots.telegram.sent_to(own, person).len();
    bots.telegram.person_writes(own, person, words);
    let what = format!("{words} is answered");
    bots.app
        .until(&what, async || bots.telegram.sent_to(own, person).len() > before)
        .await;
    bots.telegram.sent_to(own, person)[before].text().to_owned()
}

#[tokio::test]
async fn it_knows_whom_a_tenant_has_sent_and_nobody_else() {
    let (bots, own) = start(&[]).await;
    let garage = bots.app.onboard("garage", "cars").await;
    let other = bots.app.onboard("other", "cars").await;
    let lead = |name: &str| json!({ "name": name });
    bots.app
        .post("/api/leads")
        .by(&garage)
        .json(&lead("Carla da Garagem"))
        .await
        .expect(201);
    bots.app
        .post("/api/leads")
        .by(&other)
        .json(&lead("Davi da Outra"))
        .await
        .expect(201);
    assert!(ask(&bots, &own, ANA, "/leads").await.contains("/start CÓDIGO"));

    let (_, agent) = user(&bots, &garage, "agent").await;
    let refused = bots
        .app
        .post("/api/assistant/links")
        .of(&garage)
        .bearer(&agent)
        .await;
    refused.problem(403, "insufficient_rights");
    let (manager_id, manager) = user(&bots, &garage, "manager").await;
    let first = code(&bots, &garage, &manager).await;
    let second = code(&bots, &garage, &manager).await;
    let start = |code: &Value| format!("/start {}", code["code"].as_str().unwrap());
    assert_eq!(
        second["url"],
        format!(
            "https://t.me/helix_bot?start={}",
            second["code"].as_str().unwrap()
        )
    );
    let kept = bots.app.test.admin().await;
    let kept = kept
        .query("select to_jsonb(c) from master.assistant_codes c", &[])
        .await
        .unwrap();
    let kept: Vec<Value> = kept.iter().map(|row| row.get(0)).collect();
    assert!(
        !json!(kept).to_string().contains(second["code"].as_str().unwrap()),
        "a code is not kept"
    );
    assert!(
        ask(&bots, &own, ANA, &start(&first)).await.contains("não vale"),
        "the newest counts"
    );
    assert!(
        ask(&bots, &own, ANA, &start(&second))
            .await
            .contains("/relatorio")
    );
    assert!(
        ask(&bots, &own, BIA, &start(&second)).await.contains("não vale"),
        "it works once"
    );

    let leads = ask(&bots, &own, ANA, "/leads").await;
    assert!(
        leads.contains("Carla da Garagem") && !leads.contains("Davi"),
        "{leads}"
    );
    let links = bots
        .app
        .get("/api/assistant/links")
        .of(&garage)
        .bearer(&manager)
        .await
        .expect(200)
        .json();
    assert_eq!(links["items"][0]["chat_id"], ANA);
    let foreign = bots
        .app
        .get("/api/assistant/links")
        .of(&other)
        .bearer(&manager)
        .await;
    foreign.expect(401);

    // Whoever is not there any more is not answered, although the chat is known.
    disable(&bots, &garage, &manager_id).await;
    assert!(ask(&bots, &own, ANA, "/leads").await.contains("terminou"));
    let enable = format!(
        "update {}.users set status = 'active' where id = '{manager_id}'",
        garage.schema
    );
    bots.app.test.admin().await.batch_execute(&enable).await.unwrap();
    assert!(ask(&bots, &own, ANA, "/sair").await.contains("não conheço mais"));
    assert!(ask(&bots, &own, ANA, "/leads").await.contains("/start CÓDIGO"));
    link(&bots, &own, &garage, &manager, ANA).await;
    let forget = bots.app.delete("/api/assistant/links").of(&garage);
    forget.bearer(&manager).await.expect(204);
    assert!(ask(&bots, &own, ANA, "/leads").await.contains("/start CÓDIGO"));
    let noted = "select jsonb_build_array(action, actor_id) from audit_log where action like 'assistant.%' order by id";
    let [invited, unlinked] =
        ["invite", "unlink"].map(|what| json!([format!("assistant.{what}"), manager_id]));
    assert_eq!(
        bots.rows(&garage, noted).await,
        [invited.clone(), invited.clone(), invited, unlinked]
    );
}

#[tokio::test]
async fn a_code_that_is_over_is_worth_nothing() {
    let (bots, own) = start(&[]).await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, owner) = user(&bots, &garage, "owner").await;
    let code = code(&bots, &garage, &owner).await;
    let admin = bots.app.test.admin().await;
    admin
        .batch_execute("update master.assistant_codes set expires_at = now() - interval '1 second'")
        .await
        .unwrap();
    let start = format!("/start {}", code["code"].as_str().unwrap());
    assert!(ask(&bots, &own, ANA, &start).await.contains("não vale"));
    assert!(ask(&bots, &own, ANA, "/leads").await.contains("/start CÓDIGO"));
}

#[tokio::test]
async fn a_code_of_somebody_who_is_not_there_any_more_links_nobody() {
    let (bots, own) = start(&[]).await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (manager_id, manager) = user(&bots, &garage, "manager").await;
    let code = code(&bots, &garage, &manager).await;
    disable(&bots, &garage, &manager_id).await;
    let start = format!("/start {}", code["code"].as_str().unwrap());
    assert!(ask(&bots, &own, ANA, &start).await.contains("terminou"));
    assert!(ask(&bots, &own, ANA, "/leads").await.contains("/start CÓDIGO"));
}

#[tokio::test]
async fn who_runs_a_tenant_asks_and_orders() {
    let (bots, own) = start(&[]).await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (owner_id, owner) = user(&bots, &garage, "owner").await;
    let (bot, _) = bots.greeting(&garage, 1).await;
    link(&bots, &own, &garage, &owner, ANA).await;
    let contact = bots
        .app
        .post("/api/contacts")
        .by(&garage)
        .json(&json!({"name": "Eva", "phone": "+5511987654321"}));
    let contact = contact.await.expect(201).json();
    let customer = json!({"contact_id": contact["id"], "price_cents": 12_345, "due_day": 10});
    bots.app
        .post("/api/customers")
        .by(&garage)
        .json(&customer)
        .await
        .expect(201);
    assert_eq!(
        ask(&bots, &own, ANA, "/clientes").await,
        "• Eva R$ 123,45 (active)"
    );
    assert!(
        ask(&bots, &own, ANA, "/relatorio")
            .await
            .contains("Previsto: R$ ")
    );
    assert!(
        ask(&bots, &own, ANA, "/assinatura")
            .await
            .contains("messages: 0 / ")
    );
    assert_eq!(ask(&bots, &own, ANA, "/lembretes").await, "Nada por aqui.");
    assert_eq!(ask(&bots, &own, ANA, "/cobrancas").await, "Nada por aqui.");
    assert!(ask(&bots, &own, ANA, "/pausar Outra").await.contains("/bots"));
    assert!(
        ask(&bots, &own, ANA, "/pausar vendas")
            .await
            .starts_with("⏸️ Vendas")
    );
    bots.await_state(&garage, &bot, "stopped").await;
    let by = "select to_jsonb(actor_id) from audit_log where action = 'bot.status'";
    assert_eq!(bots.rows(&garage, by).await, [json!(owner_id)]);
    assert!(
        ask(&bots, &own, ANA, "/retomar @loja_1_bot")
            .await
            .starts_with("▶️ Vendas")
    );
    bots.await_state(&garage, &bot, "connected").await;
    // Who has canceled sees what is owed, and nothing else.
    let admin = bots.app.test.admin().await;
    admin
        .batch_execute("update master.subscriptions set status = 'canceled', canceled_at = now()")
        .await
        .unwrap();
    assert!(ask(&bots, &own, ANA, "/clientes").await.contains("não permite"));
    assert!(!ask(&bots, &own, ANA, "/assinatura").await.contains("não permite"));
}

#[tokio::test]
async fn what_has_happened_is_told_once_to_whom_it_concerns() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let mails = [
        ("mail.transport", "folder"),
        ("mail.folder", folder),
        ("mail.from", "helix@example.com"),
    ];
    let (bots, own) = start(&mails).await;
    let garage = bots.app.onboard("garage", "cars").await;
    let told = async |chat: i64, count: usize| {
        bots.app
            .until("it is told", async || {
                bots.telegram.sent_to(&own, chat).len() >= count
            })
            .await;
        let sent = bots.telegram.sent_to(&own, chat);
        assert_eq!(sent.len(), count);
        sent[count - 1].text().to_owned()
    };
    let welcome = told(ADMINS, 1).await;
    assert!(
        welcome.contains("Novo cliente") && welcome.contains("(garage)"),
        "{welcome}"
    );
    let (_, owner) = user(&bots, &garage, "owner").await;
    link(&bots, &own, &garage, &owner, ANA).await;
    let admin = bots.app.test.admin().await;
    let note = |kind: &str| {
        format!(
            "with m as (select * from master.mails where kind = 'welcome')
             insert into master.mails (id, kind, tenant_id, locale, address_sealed, values_sealed, state, due_at, max_attempts, dedupe_key, updated_at)
             select gen_random_uuid(), '{kind}', tenant_id, locale, '', '', 'pending', now() + interval '1 day', 1, '{kind}', now() from m;
             update master.mails set state = 'sent' where kind = '{kind}';
             update master.mails set state = 'pending' where kind = '{kind}'; update master.mails set state = 'sent' where kind = '{kind}';"
        )
    };
    admin.batch_execute(&note("usage_alert")).await.unwrap();
    assert!(told(ANA, 2).await.contains("do plano já foi usada"));
    // Who may not ask any more is told nothing, and is forgotten.
    let (manager_id, manager) = user(&bots, &garage, "manager").await;
    link(&bots, &own, &garage, &manager, BIA).await;
    disable(&bots, &garage, &manager_id).await;
    admin.batch_execute(&note("dunning")).await.unwrap();
    assert!(told(ANA, 3).await.contains("fatura a pagar"));
    bots.app
        .until("who may not ask is forgotten", async || {
            let known = "select count(*) from master.assistant_chats";
            admin.query_one(known, &[]).await.unwrap().get::<_, i64>(0) == 1
        })
        .await;
    assert_eq!(bots.telegram.sent_to(&own, BIA).len(), 1, "the welcome alone");
    // However many administrators have a mail of it.
    let fails = "insert into master.mails (id, kind, locale, address_sealed, values_sealed, state, due_at, max_attempts, dedupe_key, updated_at)
                 select gen_random_uuid(), 'backup_failed', 'en', '', '', 'pending', now() + interval '1 day', 1, 'backup_failed:2026-11-22:' || n, now()
                 from generate_series(1, 2) n";
    admin.batch_execute(fails).await.unwrap();
    for n in 1..=2 {
        let sent = format!(
            "update master.mails set state = 'sent' where dedupe_key = 'backup_failed:2026-11-22:{n}'"
        );
        admin.batch_execute(&sent).await.unwrap();
        assert!(told(ADMINS, 2).await.contains("Backups falharam"));
    }
    // Who has stopped the bot is forgotten, and it goes on with the others.
    bots.telegram.block(&own, ANA);
    admin.batch_execute(&note("suspended")).await.unwrap();
    assert!(told(ADMINS, 3).await.contains("suspensa"));
    let left = async || {
        let rows = "select (select count(*) from master.assistant_chats) + (select count(*) from master.assistant_notices)";
        admin.query_one(rows, &[]).await.unwrap().get::<_, i64>(0)
    };
    bots.app
        .until("nothing is left", async || left().await == 0)
        .await;
}
