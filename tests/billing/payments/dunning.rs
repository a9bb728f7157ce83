//! Who is reminded of an invoice is told how to pay it, and nobody is who has paid.

use std::time::Duration;

use chrono::TimeDelta;
use helixai::domain::email::Email;
use helixai::mail::transport::{Sender, Transport};
use helixai_fakes::gateways::Change;
use helixai_fakes::smtp::{FakeSmtp, Mail};
use secrecy::SecretString;
use serde_json::json;

use super::till::Till;

/// What the server has got about invoices, after what is due was sent to it.
async fn dunned(till: &Till, server: &FakeSmtp) -> Vec<Mail> {
    let mut mailer = till.app.test.platform.mailer();
    let url = SecretString::from(server.url());
    let sender = Sender {
        address: Email::parse("no-reply@helixai.test").expect("an address"),
        name: "HelixAI".to_owned(),
        reply_to: None,
    };
    let transport = Transport::smtp(&url, Duration::from_secs(5)).expect("a mail server");
    mailer.way = Some((transport, sender));
    mailer.send_due().await.expect("sent");
    let of_an_invoice = |mail: &Mail| mail.text().contains("Vencimento:");
    server.taken().into_iter().filter(of_an_invoice).collect()
}

/// Moves to `days` from the day of the invoice, and has the clock look.
async fn look(till: &Till, days: i64) {
    let due = "select due_date::timestamptz from master.invoices where tenant_id = $1";
    let due: chrono::DateTime<chrono::Utc> = till.column(due, till.client.id).await;
    let noon = due + TimeDelta::days(days) + TimeDelta::hours(15);
    till.advance(noon - till.clock.now());
    let books = &till.app.test.platform.books;
    books.run_clock().await.expect("it runs");
}

#[tokio::test]
async fn a_notice_holds_the_pix_and_where_to_pay_and_is_not_sent_to_who_has_paid() {
    let till = Till::open_by_hand().await;
    let server = FakeSmtp::start().await.expect("a free port");
    let (_, _, payment) = till.pix().await;
    let ways = till.check_out(&json!({})).await;
    look(&till, -3).await;
    // The gateway's page and code, as they are when the mail is sent.
    let mails = dunned(&till, &server).await;
    assert_eq!(mails.len(), 1);
    let (text, html) = (mails[0].text(), mails[0].html().replace("&#x2f;", "/"));
    for way in ["pix_code", "checkout_url"] {
        let said = ways[way].as_str().expect("a way to pay");
        assert!(
            text.contains(said) && html.contains(&said.replace('&', "&amp;")),
            "{said} in {text}"
        );
    }
    // Decided, and paid before it is sent.
    look(&till, 0).await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.advance(TimeDelta::minutes(10));
    while till.work().await > 0 {}
    assert_eq!(dunned(&till, &server).await.len(), 1);
    let dropped =
        "select count(*) from master.mails where tenant_id = $1 and kind = 'dunning' and state = 'canceled'";
    assert_eq!(till.column::<i64>(dropped, till.client.id).await, 1);
}

#[tokio::test]
async fn without_a_charge_a_notice_leads_to_the_tenants_own_address() {
    let till = Till::open_by_hand().await;
    let server = FakeSmtp::start().await.expect("a free port");
    till.pix().await;
    let admin = till.app.test.admin().await;
    admin
        .batch_execute("update master.charges set status = 'canceled', next_check_at = null, pay_url = null")
        .await
        .expect("over");
    look(&till, -3).await;
    let text = dunned(&till, &server).await[0].text();
    assert!(!text.contains("PIX"), "{text}");
    assert!(
        text.contains("Pague em:") && text.contains("http://garage.localhost"),
        "{text}"
    );
}
