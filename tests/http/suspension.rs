//! Suspending and activating a tenant while it is being used, in two processes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use tokio::task::JoinSet;

use crate::helpers::{Call, TestApp, TestTenant};

/// Requests that must be made, and refused, after a suspension has answered.
const AFTERWARDS: usize = 20;

/// What somebody keeps asking.
#[derive(Debug, Clone, Copy)]
enum Errand {
    List,
    Create,
    ReadAsOwner,
    ShopWindow,
}

const ERRANDS: [Errand; 4] = [
    Errand::List,
    Errand::Create,
    Errand::ReadAsOwner,
    Errand::ShopWindow,
];

fn call(app: &TestApp, tenant: &TestTenant, owner: &str, errand: Errand, at: SocketAddr) -> Call {
    match errand {
        Errand::List => app.get("/api/leads").by(tenant),
        Errand::Create => app.post("/api/leads").by(tenant).json(&json!({"name": "Ana"})),
        Errand::ReadAsOwner => app.get("/api/me").key_header(tenant).bearer(owner),
        Errand::ShopWindow => app.get("/veiculos").of(tenant),
    }
    .at(at)
}

#[derive(Default)]
struct Watch {
    suspended: AtomicBool,
    served_before: AtomicUsize,
}

#[tokio::test]
async fn after_a_suspension_has_answered_nothing_is_served_anywhere() {
    let app = TestApp::start().await;
    let second = app.second_process().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let neighbour = app.onboard("sales-beta", "cars").await;
    let owner = app.session_of(&garage, app.owner_of(&garage).await).await;
    let admin = |step: &str, at: SocketAddr| {
        let path = format!("/api/admin/tenants/garage-alpha/{step}");
        app.post(&path).at(at).bearer(&app.admin.token)
    };
    for suspend_at in [app.address, second] {
        let watch = Arc::new(Watch::default());
        let mut people = JoinSet::new();
        for at in [app.address, second] {
            for errand in ERRANDS {
                let call = call(&app, &garage, &owner, errand, at);
                people.spawn(ask_on(call, Arc::clone(&watch)));
            }
        }
        app.until("everybody is being served", || async {
            watch.served_before.load(Ordering::SeqCst) > 40
        })
        .await;
        let reason = json!({"reason": "a test"});
        let suspended = admin("suspend", suspend_at)
            .json(&reason)
            .await
            .expect(200)
            .json();
        watch.suspended.store(true, Ordering::SeqCst);
        assert_eq!(
            (&suspended["status"], &suspended["suspended_reason"]),
            (&json!("suspended"), &json!("a test"))
        );
        people.join_all().await;
        // The neighbour on the same lane notices nothing; an administrator can still look.
        app.get("/api/leads").by(&neighbour).await.expect(200);
        let list = app
            .get("/api/admin/tenants?status=suspended")
            .bearer(&app.admin.token)
            .await;
        assert_eq!(list.expect(200).json()["items"][0]["tenant_key"], "garage-alpha");
        // Again is not an error, and still refuses.
        admin("suspend", app.address).await.expect(200);
        app.get("/api/leads")
            .by(&garage)
            .await
            .problem(403, "tenant_suspended");

        admin("activate", app.address).await.expect(200);
        app.get("/api/leads").by(&garage).await.expect(200);
        app.until("the other process serves it, too", || async {
            call(&app, &garage, &owner, Errand::List, second).await.status == 200
        })
        .await;
    }
}

/// Asks the same until enough was asked after the suspension: from then on nothing may be served.
async fn ask_on(call: Call, watch: Arc<Watch>) {
    let mut afterwards = 0;
    while afterwards < AFTERWARDS {
        let begun_after = watch.suspended.load(Ordering::SeqCst);
        let answer = call.clone().await;
        if begun_after {
            answer.problem(403, "tenant_suspended");
            afterwards += 1;
        } else if answer.status < 300 {
            watch.served_before.fetch_add(1, Ordering::SeqCst);
        } else {
            // In between the tenant is being worked on.
            assert!(matches!(answer.status, 403 | 503), "{}", answer.describe());
        }
    }
}

#[tokio::test]
async fn only_what_can_be_suspended_is() {
    let app = TestApp::start().await;
    app.onboard("garage-alpha", "cars").await;
    let step = |key: &str, step: &str| {
        let path = format!("/api/admin/tenants/{key}/{step}");
        app.post(&path).bearer(&app.admin.token)
    };
    step("nobody-here", "suspend").await.problem(404, "not_found");
    step("nobody-here", "activate").await.problem(404, "not_found");
    step("www", "suspend").await.problem(404, "not_found");
    // Active already: nothing to do.
    step("garage-alpha", "activate").await.expect(200);
    let long = json!({"reason": "x".repeat(501)});
    step("garage-alpha", "suspend")
        .json(&long)
        .await
        .refused_fields(&[("reason", "too_long")]);
    let unknown = json!({"why": "x"});
    step("garage-alpha", "suspend")
        .json(&unknown)
        .await
        .refused_fields(&[("why", "unknown_field")]);
    // The key in any spelling.
    let tenant = step("GARAGE_Alpha", "suspend").await.expect(200).json();
    assert_eq!(tenant["status"], "suspended");
}
