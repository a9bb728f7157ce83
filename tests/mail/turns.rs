//! Whose turn it is, in which language, and for how long anything is kept.

use chrono::{TimeDelta, Utc};
use helixai::domain::clock::Clock;
use helixai::domain::email::Email;
use helixai::domain::ids::{MailId, TenantId};
use helixai::jobs::Jobs;
use helixai::mail::{MailKind, NewMail, enqueue};
use helixai::platform::Platform;
use helixai_fakes::smtp::FakeSmtp;
use serde_json::{Value, json};

use super::{Post, rows, sending_to};

async fn decide(platform: &Platform, kind: MailKind, tenant: Option<TenantId>, to: &str, values: Value) {
    let mail = NewMail {
        id: MailId::new(),
        kind,
        tenant,
        invoice: None,
        locale: None,
        to: Email::parse(to).unwrap(),
        values,
        due_at: platform.clock.now(),
        dedupe_key: format!("{kind}:{to}"),
    };
    let mut tx = platform.master.begin().await.unwrap();
    enqueue(&mut tx, &platform.key, &mail).await.unwrap();
    tx.commit().await.unwrap();
}

fn words() -> Value {
    json!({"subject": "Lembrete", "text": "Vence hoje"})
}

#[tokio::test]
async fn no_tenants_heap_keeps_another_waiting_and_a_link_waits_for_nobody() {
    let server = FakeSmtp::start().await.unwrap();
    let clock = Clock::fixed(Utc::now());
    let test = sending_to(&server).clock(clock.clone()).start().await;
    let heap = test.onboard("heap", "cars").await;
    let few = test.onboard("few", "cars").await;
    let (platform, mailer) = (&test.platform, test.platform.mailer());
    mailer.send_due().await.unwrap();
    let before = server.taken().len();
    let message = MailKind::CustomerMessage;
    for number in 0..40 {
        let to = format!("{number}@heap.example");
        decide(platform, message, Some(heap.id), &to, words()).await;
    }
    for number in 0..3 {
        let to = format!("{number}@few.example");
        decide(platform, message, Some(few.id), &to, words()).await;
    }
    let link = json!({"name": "Ana", "token": "hxp_abc", "valid_hours": 1});
    decide(
        platform,
        MailKind::PasswordReset,
        Some(few.id),
        "ana@few.example",
        link,
    )
    .await;
    assert_eq!(mailer.send_due().await.unwrap(), 44);
    let taken = server.taken().split_off(before);
    let place = |to: &str| taken.iter().position(|mail| mail.to == [to]).unwrap();
    // Four are sent at once.
    assert!(place("ana@few.example") < 4);
    for number in 0..3 {
        assert!(place(&format!("{number}@few.example")) < 12, "{number}");
    }
}

#[tokio::test]
async fn whatever_has_ended_is_emptied_and_forgotten_however_much_it_is() {
    let server = FakeSmtp::start().await.unwrap();
    let clock = Clock::fixed(Utc::now());
    let test = sending_to(&server).clock(clock.clone()).start().await;
    let insert = "insert into master.mails (id, kind, locale, address_sealed, values_sealed, state, due_at, max_attempts, dedupe_key,
                                            updated_at)
                  select gen_random_uuid(), 'welcome', 'en', 'a', 'b', 'sent', $1, 1, 'sent:' || n, $1 from generate_series(1, 2500) n";
    test.admin().await.execute(insert, &[&clock.now()]).await.unwrap();
    // Of a platform that has no bot, what one would have told.
    let notice = "insert into master.assistant_notices (kind, subject, chat_id, due_at, noted_at) values ('welcome', gen_random_uuid(), 0, $1, $1)";
    test.admin().await.execute(notice, &[&clock.now()]).await.unwrap();
    let noted = "select to_jsonb(count(*)) from master.assistant_notices";
    let mailer = test.platform.mailer();
    let counted = "select to_jsonb(array[count(*), count(address_sealed)]) from master.mails";
    clock.advance(TimeDelta::hours(25));
    mailer.forget().await.unwrap();
    assert_eq!(rows(&test, counted).await, [json!([2500, 0])]);
    assert_eq!(rows(&test, noted).await, [json!(1)]);
    clock.advance(TimeDelta::days(400));
    mailer.forget().await.unwrap();
    assert_eq!(rows(&test, counted).await, [json!([0, 0])]);
    assert_eq!(rows(&test, noted).await, [json!(0)]);
}

#[tokio::test]
async fn what_begins_in_the_registry_is_in_the_language_of_the_tenant() {
    let post = Post::with_background(false).await;
    let (platform, mailer) = (&post.app.test.platform, post.app.test.platform.mailer());
    let garage = post.app.onboard("garage", "cars").await;
    let id: TenantId = garage.id.parse().unwrap();
    let owner = post.app.log_in(&garage).await;
    let jobs = Jobs::of(platform);
    let mut number = 0;
    let mut said = async |tenant| {
        number += 1;
        let to = format!("{number}@garage.example");
        let values = json!({"ends_on": "2026-12-31"});
        decide(platform, MailKind::Canceled, tenant, &to, values).await;
        mailer.send_due().await.unwrap();
        post.mails_to(&to, 1).await[0].text()
    };
    let is_english = |text: &str| text.contains("sent automatically");
    assert!(!is_english(&said(Some(id)).await));
    for (language, expected) in [(json!("en"), true), (Value::Null, false), (json!("en"), true)] {
        let patch = post.app.patch("/api/settings").of(&garage).bearer(&owner);
        patch.json(&json!({ "language": language })).await.expect(200);
        jobs.work().await.unwrap();
        assert_eq!(is_english(&said(Some(id)).await), expected, "{language}");
    }
    assert!(!is_english(&said(None).await), "nobody's");
}
