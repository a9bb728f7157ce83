//! What is decided is sent: once, after the commit, again when it was not taken, and not for ever.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use helixai::domain::clock::Clock;
use helixai::domain::email::Email;
use helixai::domain::ids::{MailId, TenantId};
use helixai::domain::settings::Language;
use helixai::mail::{MailKind, NewMail, cancel, enqueue};
use helixai_fakes::smtp::{FakeSmtp, Fault, Step};
use serde_json::{Value, json};

use super::{FROM, rows, sending_to};
use crate::helpers::{Builder, TestPlatform};

const ANA: &str = "ana@garage.example";

fn invoice(key: &str, tenant: Option<TenantId>, due_at: DateTime<Utc>) -> NewMail {
    NewMail {
        id: MailId::new(),
        kind: MailKind::InvoiceIssued,
        tenant,
        invoice: None,
        locale: Some(Language::PtBr),
        to: Email::parse(ANA).unwrap(),
        values: json!({
            "number": 7, "total_cents": 9_990, "due_date": "2026-12-10",
            "pix_code": "00020126580014br.gov.bcb.pix", "pay_url": "https://pay.example/7",
        }),
        due_at,
        dedupe_key: key.to_owned(),
    }
}

async fn decide(test: &TestPlatform, mail: &NewMail) {
    let mut tx = test.platform.master.begin().await.unwrap();
    enqueue(&mut tx, &test.platform.key, mail).await.unwrap();
    tx.commit().await.unwrap();
}

async fn start(server: &FakeSmtp) -> (TestPlatform, Clock) {
    start_with(sending_to(server)).await
}

async fn start_with(builder: Builder) -> (TestPlatform, Clock) {
    let clock = Clock::fixed(Utc::now());
    (builder.clock(clock.clone()).start().await, clock)
}

/// State, attempts and error of all mails but those of an onboarding, in order.
async fn states(test: &TestPlatform) -> Vec<Value> {
    rows(
        test,
        "select jsonb_build_array(state, attempts, last_error) from master.mails where kind <> 'welcome' order by id",
    )
    .await
}

#[tokio::test]
async fn a_mail_is_sent_once_however_many_processes_send() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start(&server).await;
    let garage = test.onboard("garage", "cars").await;
    let others = [test.second().await, test.second().await];
    for number in 0..10 {
        decide(
            &test,
            &invoice(&format!("invoice:{number}"), Some(garage.id), clock.now()),
        )
        .await;
    }
    let mailers = [&test.platform, &others[0], &others[1]].map(helixai::platform::Platform::mailer);
    join_all(
        mailers
            .iter()
            .map(|mailer| async { mailer.send_due().await.unwrap() }),
    )
    .await;
    let taken: Vec<_> = server
        .taken()
        .into_iter()
        .filter(|mail| mail.to == [ANA])
        .collect();
    assert_eq!(taken.len(), 10);
    let mail = &taken[0];
    assert_eq!(mail.from, FROM);
    assert_eq!(mail.header("From").unwrap(), format!("HelixAI <{FROM}>"));
    assert_eq!(mail.header("To").unwrap(), ANA);
    assert_eq!(mail.header("Auto-Submitted").unwrap(), "auto-generated");
    let id = mail.header("Message-ID").unwrap();
    assert!(id.starts_with('<') && id.ends_with("@helixai.test>"), "{id}");
    for said in [
        "R$ 99,90",
        "10/12/2026",
        "00020126580014br.gov.bcb.pix",
        "https://pay.example/7",
        "Empresa garage",
    ] {
        assert!(mail.text().contains(said), "{said} in {}", mail.text());
        let html = mail.html().replace("&#x2f;", "/");
        assert!(html.contains(said), "{said} in {html}");
    }
    assert!(
        mail.text().contains("http://garage.helixai.test"),
        "its own address"
    );
    let ids: std::collections::BTreeSet<_> = taken.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids.len(), 10);
    assert_eq!(states(&test).await, vec![json!(["sent", 1, null]); 10]);
    clock.advance(TimeDelta::days(1));
    assert_eq!(mailers[0].send_due().await.unwrap(), 0, "nothing is sent again");
}

#[tokio::test]
async fn deciding_again_changes_nothing_and_a_rollback_decides_nothing() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start(&server).await;
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    let mut tx = test.platform.master.begin().await.unwrap();
    enqueue(
        &mut tx,
        &test.platform.key,
        &invoice("invoice:2", None, clock.now()),
    )
    .await
    .unwrap();
    drop(tx);
    // Later, and not wanted any more.
    let later = clock.now() + TimeDelta::days(3);
    decide(&test, &invoice("dunning:1:d3", None, later)).await;
    decide(&test, &invoice("dunning:1:d7", None, later)).await;
    let mut tx = test.platform.master.begin().await.unwrap();
    assert!(cancel(&mut tx, "dunning:1:d3", clock.now()).await.unwrap());
    assert!(!cancel(&mut tx, "dunning:2:d3", clock.now()).await.unwrap());
    tx.commit().await.unwrap();
    let mailer = test.platform.mailer();
    assert_eq!(mailer.send_due().await.unwrap(), 1);
    clock.set(later);
    assert_eq!(mailer.send_due().await.unwrap(), 1);
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    assert_eq!(mailer.send_due().await.unwrap(), 0);
    assert_eq!(server.taken().len(), 2);
    let mut tx = test.platform.master.begin().await.unwrap();
    assert!(
        !cancel(&mut tx, "invoice:1", clock.now()).await.unwrap(),
        "it was sent"
    );
}

#[tokio::test]
async fn a_mail_that_lacks_a_value_is_a_defect_of_who_decides_it() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start(&server).await;
    let mut mail = invoice("invoice:1", None, clock.now());
    mail.values = json!({ "number": 7, "due_date": "2026-12-10" });
    let mut tx = test.platform.master.begin().await.unwrap();
    let refused = enqueue(&mut tx, &test.platform.key, &mail).await.unwrap_err();
    assert!(refused.to_string().contains("total_cents"), "{refused}");
    // Every kind is known to the database.
    for (number, kind) in MailKind::ALL.iter().enumerate() {
        let names = kind.values();
        let values = names.required.iter().map(|name| ((*name).to_owned(), json!(1)));
        let mail = NewMail {
            id: MailId::new(),
            kind: *kind,
            values: Value::Object(values.collect()),
            ..invoice(&format!("kind:{number}"), None, clock.now())
        };
        enqueue(&mut tx, &test.platform.key, &mail).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_was_not_taken_for_now_is_sent_again_later_and_later() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start(&server).await;
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    let mailer = test.platform.mailer();
    for (minutes, fault) in [
        (1, Fault::Refuse(Step::Sender, 421)),
        (2, Fault::Refuse(Step::Recipient, 451)),
        (4, Fault::Refuse(Step::Data, 451)),
        (8, Fault::DropBeforeContent),
        // The server does not know us: nothing is wrong with the mail.
        (16, Fault::Refuse(Step::Sender, 530)),
    ] {
        let tried = server.tried();
        server.fail_next(fault.clone());
        assert_eq!(mailer.send_due().await.unwrap(), 1, "{fault:?}");
        assert_eq!(server.tried(), tried + 1);
        clock.advance(TimeDelta::minutes(minutes) - TimeDelta::seconds(1));
        assert_eq!(
            mailer.send_due().await.unwrap(),
            0,
            "{fault:?}: not before {minutes} minutes"
        );
        clock.advance(TimeDelta::seconds(1));
    }
    assert_eq!(mailer.send_due().await.unwrap(), 1);
    assert_eq!(server.taken().len(), 1);
    assert_eq!(states(&test).await, [json!(["sent", 6, null])]);
}

#[tokio::test]
async fn what_will_never_be_taken_is_given_up_at_once_and_anything_at_last() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start(&server).await;
    server.refuse_address(ANA, 550);
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    let mailer = test.platform.mailer();
    assert_eq!(mailer.send_due().await.unwrap(), 1);
    // The server repeats the address; we do not.
    assert_eq!(
        states(&test).await,
        [json!(["failed", 1, "the mail server said 550 5.1.1"])]
    );
    server.refuse_address(ANA, 450);
    decide(&test, &invoice("invoice:2", None, clock.now())).await;
    for _ in 0..12 {
        assert_eq!(mailer.send_due().await.unwrap(), 1);
        clock.advance(TimeDelta::hours(1));
    }
    assert_eq!(mailer.send_due().await.unwrap(), 0);
    let given_up = json!(["failed", 12, "the mail server said 450 4.1.1"]);
    assert_eq!(states(&test).await[1], given_up);
    assert_eq!(server.taken(), []);
}

/// Nobody knows whether it was taken, so it is sent again: under the same name.
#[tokio::test]
async fn a_repeated_mail_is_recognised_by_its_message_id() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start_with(sending_to(&server).set("mail.timeout_secs", 1)).await;
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    let mailer = test.platform.mailer();
    server.fail_next(Fault::DropAfterContent);
    server.fail_next(Fault::Stall);
    for _ in 0..3 {
        assert!(mailer.send_due().await.unwrap() <= 1);
        clock.advance(TimeDelta::minutes(10));
    }
    let taken = server.taken();
    assert_eq!(taken.len(), 3, "{:?}", states(&test).await);
    for mail in &taken {
        assert_eq!(mail.header("Message-ID"), taken[0].header("Message-ID"));
    }
    assert_eq!(states(&test).await[0][0], "sent");
}

#[tokio::test]
async fn an_answer_that_comes_late_is_no_answer_to_another_mail() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start_with(sending_to(&server).set("mail.timeout_secs", 1)).await;
    let mailer = test.platform.mailer();
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    server.fail_next(Fault::Stall);
    assert_eq!(mailer.send_due().await.unwrap(), 1);
    server.answer_late();
    decide(&test, &invoice("invoice:2", None, clock.now())).await;
    server.fail_next(Fault::Refuse(Step::Content, 451));
    assert_eq!(mailer.send_due().await.unwrap(), 1);
    assert_eq!(
        states(&test).await,
        [
            json!(["pending", 1, "timed out"]),
            json!(["pending", 1, "the mail server said 451"])
        ]
    );
    clock.advance(TimeDelta::minutes(1));
    assert_eq!(mailer.send_due().await.unwrap(), 2);
    assert_eq!(states(&test).await, vec![json!(["sent", 2, null]); 2]);
}

/// The sender, our address, our words: nothing is wrong with the recipient, and somebody will mend it.
#[tokio::test]
async fn what_is_refused_about_us_is_sent_again() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start(&server).await;
    let mailer = test.platform.mailer();
    let ours = [
        (Step::Sender, "550 5.7.1 sender refused", "550 5.7.1"),
        (Step::Sender, "550 no such user", "550"),
        (Step::Sender, "553 5.1.8 no such domain", "553 5.1.8"),
        (Step::Recipient, "554 5.7.1 relaying denied", "554 5.7.1"),
        (Step::Recipient, "550 5.7.26 not authenticated", "550 5.7.26"),
        (Step::Recipient, "552 5.2.2 mailbox full", "552 5.2.2"),
        (Step::Content, "554 5.7.1 spam", "554 5.7.1"),
        (Step::Content, "550 refused", "550"),
    ];
    let theirs = [
        (Step::Recipient, "550 no such user", "550"),
        (Step::Recipient, "553 no such user", "553"),
        (Step::Recipient, "550 5.2.1 disabled", "550 5.2.1"),
        (Step::Content, "550 5.1.1 no such user", "550 5.1.1"),
    ];
    let mut expected = Vec::new();
    for (number, (step, words, said)) in ours.iter().chain(&theirs).enumerate() {
        decide(&test, &invoice(&format!("invoice:{number}"), None, clock.now())).await;
        server.fail_next(Fault::Say(*step, words));
        assert_eq!(mailer.send_due().await.unwrap(), 1, "{words}");
        let state = if number < ours.len() { "pending" } else { "failed" };
        expected.push(json!([state, 1, format!("the mail server said {said}")]));
    }
    assert_eq!(states(&test).await, expected);
    clock.advance(TimeDelta::minutes(1));
    assert_eq!(mailer.send_due().await.unwrap(), ours.len());
    assert_eq!(server.taken().len(), ours.len());
}

#[tokio::test]
async fn a_server_that_is_away_loses_nothing() {
    let server = FakeSmtp::start().await.unwrap();
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let away = sending_to(&server).set("mail.smtp_url", format!("smtp://{nowhere}"));
    let (test, clock) = start_with(away).await;
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    assert_eq!(test.platform.mailer().send_due().await.unwrap(), 1);
    assert_eq!(
        states(&test).await,
        [json!(["pending", 1, "the mail server cannot be reached"])]
    );
}

#[tokio::test]
async fn mails_are_written_to_a_folder_or_given_up() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mails = folder.path().join("mail");
    let builder = TestPlatform::builder()
        .set("mail.transport", "folder")
        .set("mail.folder", mails.display())
        .set("mail.from", FROM)
        .set("mail.reply_to", "help@helixai.test");
    let (test, clock) = start_with(builder).await;
    let mail = invoice("invoice:1", None, clock.now());
    decide(&test, &mail).await;
    assert_eq!(test.platform.mailer().send_due().await.unwrap(), 1);
    let names: Vec<_> = std::fs::read_dir(&mails)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [std::ffi::OsString::from(format!("{}.eml", mail.id))]);
    let file = mails.join(&names[0]);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(
        text.contains("Reply-To: help@helixai.test") && text.contains(ANA),
        "{text}"
    );

    let (test, clock) = start_with(TestPlatform::builder()).await;
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    assert_eq!(test.platform.mailer().send_due().await.unwrap(), 0);
    assert_eq!(
        states(&test).await,
        [json!(["canceled", 0, "mails are not sent: mail.transport"])]
    );
}

#[tokio::test]
async fn what_was_sent_is_emptied_after_a_day_and_stays_decided() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start(&server).await;
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    decide(&test, &invoice("later", None, clock.now() + TimeDelta::days(30))).await;
    let mailer = test.platform.mailer();
    mailer.send_due().await.unwrap();
    let held = "select to_jsonb(address_sealed is not null and values_sealed is not null) from master.mails order by id";
    clock.advance(TimeDelta::hours(23));
    mailer.forget().await.unwrap();
    assert_eq!(rows(&test, held).await, [json!(true), json!(true)]);
    clock.advance(TimeDelta::hours(2));
    mailer.forget().await.unwrap();
    assert_eq!(rows(&test, held).await, [json!(false), json!(true)]);
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    assert_eq!(mailer.send_due().await.unwrap(), 0);
    clock.advance(TimeDelta::days(401));
    mailer.send_due().await.unwrap();
    mailer.forget().await.unwrap();
    assert_eq!(
        states(&test).await,
        [json!(["sent", 1, null])],
        "what has just been sent is known"
    );
}

#[tokio::test]
async fn nothing_of_a_mail_can_be_read_in_the_registry() {
    let server = FakeSmtp::start().await.unwrap();
    let (test, clock) = start(&server).await;
    decide(&test, &invoice("invoice:1", None, clock.now())).await;
    let row = rows(
        &test,
        "select to_jsonb(encode(address_sealed || values_sealed, 'escape')) from master.mails",
    )
    .await;
    let text = row[0].as_str().unwrap();
    assert!(!text.contains("ana@") && !text.contains("pix"), "{text}");
    // Sealed for this row: another's does not open.
    let admin = test.admin().await;
    let swap = "update master.mails set address_sealed = values_sealed";
    admin.batch_execute(swap).await.unwrap();
    test.platform.mailer().send_due().await.unwrap();
    assert_eq!(
        states(&test).await,
        [json!([
            "failed",
            1,
            "it does not open: was platform.key changed?"
        ])]
    );
    assert_eq!(server.tried(), 0);
}
