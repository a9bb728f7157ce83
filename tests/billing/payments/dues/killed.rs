//! The program dies as by `kill -9` at each step between a due and its money; after a restart there is one payment at the gateway and
//! one line in the tenant's books.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use chrono::TimeDelta;
use uuid::Uuid;

use super::super::killed::{SIGKILL, die, make_due, program, restart};
use super::super::till::HOST;
use super::{Desk, state};
use crate::tenancy::killed::points;

/// Starts the program, to die at this point, and answers its address.
fn serve(desk: &Desk, point: &str) -> (Child, String) {
    let mut serve = program(&desk.till)
        .arg("serve")
        .stdout(Stdio::piped())
        .env("HELIXAI__SERVER__PORT", "0")
        .env("HELIXAI__SERVER__BACKGROUND_WORK", "false")
        .env("HELIXAI__METRICS__BIND", "")
        .env("HELIXAI__LOGGING__TENANT_FILES", "false")
        .env("HELIXAI_KILL_AT", point)
        .spawn()
        .expect("the program runs");
    let mut line = String::new();
    let stdout = serve.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line
        .strip_prefix("listening on ")
        .and_then(|rest| rest.split(' ').next())
        .unwrap_or_else(|| panic!("{line:?}"));
    (serve, address.to_owned())
}

/// Asks for the charge of a due at a server that dies instead of answering.
async fn dies_asking(desk: &Desk, due: Uuid, point: &'static str) {
    let (mut child, address) = serve(desk, point);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let sent = client
        .post(format!("http://{address}/api/dues/{due}/charge"))
        .header("host", HOST)
        .header("x-tenant-key", &desk.client.key)
        .header("idempotency-key", "k")
        .bearer_auth(&desk.client.owner)
        .send()
        .await;
    assert!(sent.is_err(), "{point}: {sent:?}");
    let ended = child.wait().expect("its end");
    assert_eq!(ended.signal(), Some(SIGKILL), "{point}: {ended}");
}

async fn is_paid_once(desk: &Desk, due: Uuid, point: &str) {
    let charge = desk.ask(due).idempotency_key("k").await.expect(201).json();
    let charge: Uuid = charge["id"].as_str().expect("an id").parse().expect("an id");
    assert_eq!(desk.payments().len(), 1, "{point}");
    desk.pay(charge).await;
    desk.later(2, TimeDelta::hours(7)).await;
    assert_eq!(desk.charges(due).await, ["paid"], "{point}");
    assert_eq!(booked(desk, due).await, (1, 5000), "{point}");
}

/// How many lines the tenant's books have of a due, and what was paid of it.
async fn booked(desk: &Desk, due: Uuid) -> (i64, i64) {
    let admin = desk.till.app.test.admin().await;
    let select = "select (select count(*) from tenant_garage.due_payments where due_id = d.id), d.paid_cents
                  from tenant_garage.dues d where d.id = $1";
    let row = admin.query_one(select, &[&due]).await.expect("the due");
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_that_died_is_the_same_charge_when_it_is_repeated() {
    for point in [
        "dues.before_ordered",
        "dues.ordered",
        "payments.turn",
        "payments.before_create",
        "payments.created",
        "payments.placed",
        "dues.placed",
    ] {
        let desk = Desk::open().await;
        let due = desk.due(5000).await;
        dies_asking(&desk, due, point).await;
        desk.till.advance(TimeDelta::minutes(5));
        is_paid_once(&desk, due, point).await;
    }
}

/// Nobody repeats it: what was ordered is placed by the worker, and found.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_ordered_by_the_dead_is_placed() {
    let desk = Desk::open().await;
    let due = desk.due(5000).await;
    dies_asking(&desk, due, "dues.ordered").await;
    restart(&desk.till).await;
    assert_eq!(desk.payments().len(), 1);
    is_paid_once(&desk, due, "nobody asks").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn money_that_was_being_booked_is_one_line() {
    for point in [
        "payments.fetched",
        "payments.before_booked",
        "payments.booked",
        "payments.before_carried_out",
        "dues.before_settled",
        "dues.settled",
        "payments.carried_out",
    ] {
        let desk = Desk::open().await;
        let due = desk.due(5000).await;
        let (charge, _) = desk.charge(due).await;
        desk.pay(charge).await;
        desk.till
            .app
            .until("it was told", || async { desk.till.events().await.0 >= 1 })
            .await;
        die(&desk.till, point, &["payments", "replay"]).await;
        restart(&desk.till).await;
        assert_eq!(desk.state(due).await, state("paid", 5000, 1), "{point}");
        assert!(desk.applied(charge).await, "{point}");
    }
}

/// A worker that takes over what another was at: the schema is asked once more, and has it already.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reminders_pix_is_one_charge() {
    let desk = Desk::open().await;
    let template = desk
        .made(
            "/api/message-templates",
            serde_json::json!({"name": "L", "body": "{{valor}}\n{{pix}}"}),
        )
        .await;
    let rule = serde_json::json!({"days": -3, "template_id": template["id"]});
    desk.made("/api/reminder-rules", rule).await;
    let due = desk.due(5000).await;
    let mut worker: Command = program(&desk.till);
    worker
        .arg("worker")
        .env("HELIXAI__METRICS__BIND", "")
        .env("HELIXAI__BILLING__CLOCK", "true")
        .env("HELIXAI__LOGGING__TENANT_FILES", "false")
        .env("HELIXAI_KILL_AT", "dues.pix_ordered");
    // What is to be told is told from eight o'clock on.
    let admin = desk.till.app.test.admin().await;
    let platform = &desk.till.app.test.platform;
    crate::billing::customers::work_of(platform, &desk.client.key, "Academia").await;
    let now = "update tenant_garage.outbox set due_at = now() - interval '1 minute'; update helixai.due_work set due_at = now()";
    admin.batch_execute(now).await.expect("due now");
    let ended = tokio::task::spawn_blocking(move || worker.status().expect("the program runs"));
    let ended = ended.await.expect("its end");
    assert_eq!(ended.signal(), Some(SIGKILL), "{ended}");
    assert_eq!(desk.charges(due).await, ["pending"]);
    make_due(&desk.till).await;
    desk.later(6, TimeDelta::minutes(5)).await;
    assert_eq!(desk.charges(due).await, ["pending"]);
    assert_eq!(desk.payments().len(), 1);
    let mails: i64 = desk
        .till
        .column(
            "select count(*) from master.mails where kind = 'customer_message' and tenant_id = $1",
            desk.client.id,
        )
        .await;
    assert_eq!(mails, 1);
}

/// Each point that there is was tried above.
#[test]
fn no_point_is_left_out() {
    let tried = [
        "dues.before_ordered",
        "dues.before_settled",
        "dues.ordered",
        "dues.pix_ordered",
        "dues.placed",
        "dues.settled",
    ];
    assert_eq!(points("dues"), tried);
}
