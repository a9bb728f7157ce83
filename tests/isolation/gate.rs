//! What a subscription opens, at every route and in every state.

use super::document::{Document, Operation, Plane};
use super::rows::filled_with_strangers;
use crate::helpers::{TestApp, TestTenant};

/// The part of the product that an operation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Served whatever was paid.
    Always,
    /// Served while the tenant may still read.
    Read,
    /// Served to who has paid.
    Write,
}

/// A GET reads and everything else writes, but for these.
fn section(operation: &Operation) -> Section {
    match operation.id.as_str() {
        "create_session" | "delete_session" | "change_my_password" => Section::Always,
        "get_subscription" | "get_usage" | "export_account" => Section::Always,
        "list_invoices" | "get_invoice" | "reactivate_subscription" | "cancel_subscription" => {
            Section::Always
        }
        "pay_invoice" | "get_invoice_pdf" | "get_invoice_pix_png" | "get_invoice_pix_svg" => Section::Always,
        // Who is suspended may decide what is paid, and whether.
        "change_subscription" | "create_checkout" => Section::Read,
        "create_password_reset" | "confirm_password_reset" | "accept_invitation" => Section::Always,
        // Who does not pay links no telephone.
        "get_bot_qr" | "get_bot_qr_png" | "get_bot_qr_svg" | "get_bot_pair_code" => Section::Write,
        "get_session_qr" | "get_named_qr" => Section::Write,
        // What was reserved while there was a plan is settled while there is none that includes more.
        "settle_reservation" | "release_reservation" => Section::Read,
        // To hear is to read.
        "create_socket_ticket" => Section::Read,
        _ if operation.reads() => Section::Read,
        _ => Section::Write,
    }
}

const STATES: [(&str, &[Section]); 6] = [
    ("trialing", &[Section::Always, Section::Read, Section::Write]),
    ("active", &[Section::Always, Section::Read, Section::Write]),
    ("past_due", &[Section::Always, Section::Read, Section::Write]),
    ("suspended", &[Section::Always, Section::Read]),
    ("canceled", &[Section::Always]),
    ("none", &[Section::Always]),
];

#[tokio::test]
async fn every_route_asks_for_its_part_of_the_subscription() {
    let app = TestApp::start().await;
    let document = Document::read();
    let tenant = app.onboard("quartz-motors", "cars").await;
    let owner = app.owner_of(&tenant).await;
    for (state, open) in STATES {
        subscribe(&app, &tenant, state).await;
        for operation in document.of(Plane::Tenant) {
            let path = filled_with_strangers(&operation.path);
            let call = || {
                let call = app.call(operation.method.clone(), &path).of(&tenant);
                match operation.body {
                    Some(_) => call.text(r#"{"no_such_field":1}"#),
                    None => call,
                }
            };
            let served = open.contains(&section(operation));
            let token = app.session_of(&tenant, owner).await;
            for answer in [call().await, call().bearer(&token).await] {
                let told = format!("{} when {state}: {}", operation.id, answer.describe());
                let refused = answer.status == 403;
                assert_eq!(refused, !served, "{told}");
                if refused {
                    assert_eq!(answer.json()["code"], "subscription_inactive", "{told}");
                }
            }
        }
    }
}

/// What has been due for too long closes the gate by itself, and a date that is put right opens it, in every process.
#[tokio::test]
async fn a_gate_follows_the_date_on_which_payment_was_due() {
    let app = TestApp::start().await;
    let second = app.second_process().await;
    let tenant = app.onboard("quartz-motors", "cars").await;
    let id: uuid::Uuid = tenant.id.parse().expect("an id");
    let admin = app.test.admin().await;
    let due = async |days: i32| {
        let change = "update master.subscriptions
                      set status = 'past_due', past_due_at = now() - make_interval(days => $2) where tenant_id = $1";
        assert_eq!(admin.execute(change, &[&id, &days]).await.expect("changed"), 1);
    };
    for (days, status) in [(6, 201), (8, 403), (6, 201), (31, 403), (1, 201)] {
        due(days).await;
        for address in [app.address, second] {
            app.until("the gate follows", || async {
                let lead = app.post("/api/leads").at(address).by(&tenant);
                lead.json(&serde_json::json!({"name": "Ana"})).await.status == status
            })
            .await;
        }
    }
}

/// Gives the tenant a subscription in this state, or none, and sees to it that the server knows.
async fn subscribe(app: &TestApp, tenant: &TestTenant, state: &str) {
    let id: uuid::Uuid = tenant.id.parse().expect("an id");
    let admin = app.test.admin().await;
    let change = match state {
        "none" => "delete from master.subscriptions where tenant_id = $1".to_owned(),
        _ => format!(
            "update master.subscriptions set status = '{state}', trial_ends_at = now() + interval '7 days',
                 past_due_at = now() - interval '1 second', suspended_at = now(),
                 canceled_at = case when '{state}' = 'canceled' then now() end
             where tenant_id = $1"
        ),
    };
    assert_eq!(admin.execute(&change, &[&id]).await.expect("changed"), 1);
    let key = helixai::domain::tenant_key::TenantKey::parse(&tenant.key).expect("a key");
    app.test.platform.resolver.find_fresh(&key).await.expect("found");
}
