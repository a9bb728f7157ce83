//! What each role and each scope may do, at every route.

use helixai::domain::rights::{Need, roles_allowed, scope_for_api_key};

use super::document::{Document, Operation, Plane};
use super::rows::filled_with_strangers;
use crate::helpers::{Call, TestApp};

/// What an operation demands. A GET reads and everything else writes, but for these.
fn need(operation: &Operation) -> Need {
    let resource = operation.path.split('/').nth(2).unwrap_or_default();
    match (operation.id.as_str(), resource) {
        (_, "notifications" | "socket-tickets") | ("delete_session" | "change_my_password", _) => {
            Need::SignedIn
        }
        // Whoever has a code links a telephone.
        ("get_bot_qr" | "get_bot_qr_png" | "get_bot_qr_svg" | "get_bot_pair_code", _) => Need::Write,
        ("get_session_qr" | "get_named_qr", _) => Need::Write,
        ("reset_user_password" | "export_account", _) => Need::Own,
        ("list_session_backups" | "create_session_backup" | "restore_session_backup", _) => Need::Own,
        (_, "subscription" | "invoices" | "checkout") if !operation.reads() => Need::Own,
        (_, "payment-accounts") => Need::Own,
        ("export_contact" | "erase_contact", _) => Need::Manage,
        (_, "users" | "api-keys" | "settings" | "assistant") => Need::Manage,
        // The funnel is a setting that everybody sees.
        (_, "lead-stages") if !operation.reads() => Need::Manage,
        _ if operation.reads() => Need::Read,
        (
            _,
            "customers" | "customer-plans" | "orders" | "dues" | "message-templates" | "reminder-rules"
            | "broadcasts",
        ) => Need::Trade,
        _ => Need::Write,
    }
}

#[tokio::test]
async fn every_route_asks_for_its_right() {
    let app = TestApp::start().await;
    let document = Document::read();
    let tenant = app.onboard("quartz-motors", "cars").await;
    let mut users = Vec::new();
    for role in ["owner", "manager", "agent"] {
        users.push((role, app.add_user(&tenant, role).await));
    }
    let keys = [
        (
            vec!["read", "write"],
            app.add_api_key(&tenant, &["read", "write"]).await,
        ),
        (vec!["read"], app.add_api_key(&tenant, &["read"]).await),
        (vec!["write"], app.add_api_key(&tenant, &["write"]).await),
    ];
    for operation in document.protected(Plane::Tenant) {
        let need = need(operation);
        // Of nothing that exists, with a body that nobody accepts: whoever may is told that, and nothing changes.
        let path = filled_with_strangers(&operation.path);
        let call = || {
            let call = app.call(operation.method.clone(), &path).of(&tenant);
            match operation.body {
                Some(_) => call.text(r#"{"no_such_field":1}"#),
                None => call,
            }
        };
        for (role, user) in &users {
            // A new session each time: some operations end the one that they are asked with.
            let token = app.session_of(&tenant, *user).await;
            let may = roles_allowed(need).contains(role);
            judged(call().bearer(&token), may, &format!("{role} at {}", operation.id)).await;
        }
        for (scopes, key) in &keys {
            let may = scope_for_api_key(need).is_some_and(|scope| scopes.contains(&scope.as_str()));
            judged(
                call().bearer(key),
                may,
                &format!("a key to {scopes:?} at {}", operation.id),
            )
            .await;
        }
    }
}

async fn judged(call: Call, may: bool, who: &str) {
    let answer = call.await;
    let told = format!("{who}: {}", answer.describe());
    if may {
        assert!(![401, 403].contains(&answer.status), "{told}");
    } else {
        assert_eq!(answer.status, 403, "{told}");
        assert_eq!(answer.json()["code"], "insufficient_rights", "{told}");
    }
}
