//! The program dies as by `kill -9` between the store, the gateway and the commit; after a restart there is one payment at
//! the gateway, and one entry in the ledger.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use chrono::TimeDelta;
use helixai_fakes::gateways::{Change, Failure, Fault, Variant};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::till::{Till, id_of, paid};

pub const SIGKILL: i32 = 9;

/// The program, to be run beside the test's own platform.
pub fn program(till: &Till) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_clear()
        .env("HELIXAI__DATABASE__URL", till.app.test.db().url())
        .env("HELIXAI__PLATFORM__KEY", &till.platform_key)
        .env("HELIXAI__SERVER__BASE_DOMAIN", super::till::HOST)
        .env("HELIXAI__GATEWAYS__MERCADO_PAGO_URL", till.gateway.url());
    command
}

/// Runs the program beside the test's own platform until it dies at this point.
pub async fn die(till: &Till, point: &'static str, arguments: &[&str]) {
    let mut command = program(till);
    command.args(arguments).env("HELIXAI_KILL_AT", point);
    let ended = tokio::task::spawn_blocking(move || command.status().expect("the program runs"));
    let ended = ended.await.expect("its end");
    assert_eq!(ended.signal(), Some(SIGKILL), "{point}: {ended}");
}

/// Another process, later.
pub async fn restart(till: &Till) {
    for _ in 0..3 {
        till.advance(TimeDelta::minutes(5));
        till.work().await;
    }
}

pub async fn make_due(till: &Till) {
    let admin = till.app.test.admin().await;
    admin
        .execute(
            "update master.charges set next_check_at = now() - interval '1 minute' where next_check_at is not null",
            &[],
        )
        .await
        .expect("due");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_charge_that_was_being_placed_is_one_payment() {
    for point in [
        "payments.turn",
        "payments.before_create",
        "payments.created",
        "payments.placed",
    ] {
        let till = Till::open_by_hand().await;
        till.gateway
            .fail(Fault::repeated("POST /v1/payments", Failure::Status(503), 20));
        let call = till.owner(Method::POST, "/api/checkout");
        call.json(&json!({"method": "pix"}))
            .await
            .problem(503, "payment_unavailable");
        let charge = till.only_charge().await;
        while till.gateway.asked("POST /v1/payments") < 20 {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            let url = format!("{}/v1/payments", till.gateway.url());
            client.post(url).send().await.expect("the rest of the failures");
        }
        make_due(&till).await;
        die(&till, point, &["payments", "replay", "--dead"]).await;
        restart(&till).await;
        let payments = till.pix_payments();
        assert_eq!(payments.len(), 1, "{point}: {payments:#?}");
        assert_eq!(payments[0].reference, charge.to_string());
        let code: Option<String> = till
            .column("select pix_code from master.charges where id = $1", charge)
            .await;
        assert!(code.is_some(), "{point}: the payer can pay");
        let (invoice, again, payment) = till.pix().await;
        assert_eq!(again, charge, "{point}");
        till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
        // Whoever placed it may be gone, and with it the address of its webhooks: the gateway is asked.
        till.advance(TimeDelta::hours(7));
        till.work().await;
        assert_eq!(till.ledger(invoice).await, [paid(payment.cents)], "{point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_was_being_looked_into_is_one_entry() {
    for point in ["payments.fetched", "payments.before_booked", "payments.booked"] {
        let till = Till::open_by_hand().await;
        let (invoice, charge, payment) = till.pix().await;
        till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
        till.app
            .until("it was told", || async { till.events().await.0 >= 1 })
            .await;
        die(&till, point, &["payments", "replay"]).await;
        restart(&till).await;
        assert_eq!(till.charge_status(charge).await, "paid", "{point}");
        assert_eq!(till.invoice_status(invoice).await, "paid", "{point}");
        assert_eq!(till.ledger(invoice).await, [paid(payment.cents)], "{point}");
        let (stored, done) = till.events().await;
        assert_eq!(stored, done, "{point}");
        // And all of it once more.
        let which = Default::default();
        let payments = &till.app.test.platform.payments;
        assert_eq!(
            payments.replay(&which).await.expect("replayed"),
            stored.unsigned_abs()
        );
        till.work().await;
        assert_eq!(till.ledger(invoice).await, [paid(payment.cents)], "{point}");
    }
}

/// Stored, and dead before the gateway was answered: it sends the same again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_webhook_that_got_no_answer_is_stored_once() {
    use std::io::{BufRead as _, BufReader};
    let till = Till::open_by_hand().await;
    till.hold_webhooks();
    let (invoice, _, payment) = till.pix().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    let event = till.gateway.events().pop().expect("an event");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_helixai"))
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .env_clear()
        .env("HELIXAI__DATABASE__URL", till.app.test.db().url())
        .env("HELIXAI__PLATFORM__KEY", &till.platform_key)
        .env("HELIXAI__SERVER__PORT", "0")
        .env("HELIXAI__SERVER__BASE_DOMAIN", super::till::HOST)
        .env("HELIXAI__SERVER__BACKGROUND_WORK", "false")
        .env("HELIXAI__METRICS__BIND", "")
        .env("HELIXAI__LOGGING__TENANT_FILES", "false")
        .env("HELIXAI__GATEWAYS__MERCADO_PAGO_URL", till.gateway.url())
        .env("HELIXAI_KILL_AT", "payments.stored")
        .spawn()
        .expect("the program runs");
    let mut line = String::new();
    BufReader::new(serve.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    let port = line
        .split_whitespace()
        .find_map(|word| word.rsplit_once(':')?.1.parse::<u16>().ok())
        .unwrap_or_else(|| panic!("{line:?}"));
    let mut to_serve = event.clone();
    to_serve.url = Some(format!(
        "http://localhost:{port}/hooks/mercado-pago/{}",
        till.account
    ));
    assert_eq!(
        till.gateway.send(&to_serve, 1, false, Variant::Good).await,
        [0],
        "no answer"
    );
    let ended = serve.wait().expect("its end");
    assert_eq!(ended.signal(), Some(SIGKILL), "{ended}");
    assert_eq!(till.events().await, (1, 0));
    assert_eq!(
        till.gateway.send(&event, 2, false, Variant::Good).await,
        [200, 200]
    );
    assert_eq!(till.events().await, (1, 0));
    restart(&till).await;
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn money_that_was_being_given_back_goes_back_once() {
    let till = Till::open_by_hand().await;
    let (invoice, _, payment) = till.pix().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.app
        .until("it was told", || async { till.events().await.0 >= 1 })
        .await;
    till.work().await;
    let on = format!("POST /v1/payments/{}/refunds", payment.id);
    till.gateway.fail(Fault::repeated(&on, Failure::Status(503), 20));
    let path = format!("/api/admin/invoices/{invoice}/refund");
    let refund = till
        .admin(Method::POST, &path)
        .json(&json!({}))
        .await
        .expect(201)
        .json();
    assert_eq!(refund["state"], "requested");
    let id: Uuid = id_of(&refund["id"]);
    while till.gateway.asked(&on) < 20 {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url = format!("{}/v1/payments/{}/refunds", till.gateway.url(), payment.id);
        client.post(url).send().await.expect("the rest of the failures");
    }
    let admin = till.app.test.admin().await;
    admin
        .execute(
            "update master.refunds set due_at = now() - interval '1 minute' where id = $1",
            &[&id],
        )
        .await
        .expect("due");
    die(&till, "payments.given_back", &["payments", "replay", "--dead"]).await;
    restart(&till).await;
    for _ in 0..4 {
        till.advance(TimeDelta::minutes(30));
        till.work().await;
    }
    assert_eq!(till.gateway.payment(&payment.id).refunds.len(), 1);
    let back = ("refunded".to_owned(), payment.cents);
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents), back]);
    let state: String = till
        .column("select state from master.refunds where id = $1", id)
        .await;
    assert_eq!(state, "done");
}
