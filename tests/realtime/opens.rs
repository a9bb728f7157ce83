//! Who may open a socket.

use helixai::realtime::OF_ONE_HOLDER;

use super::{RefusedWith, WebSocket, conversation};
use crate::helpers::{TestApp, TestTenant};

fn refused(status: u16, code: &str) -> Option<RefusedWith> {
    Some(RefusedWith(status, code.to_owned()))
}

async fn ticket(app: &TestApp, tenant: &TestTenant, token: &str) -> String {
    let call = app.post("/api/socket-tickets").of(tenant).bearer(token);
    let ticket = call.await.expect(201).json();
    ticket["ticket"].as_str().expect("a ticket").to_owned()
}

#[tokio::test]
async fn credentials_are_proven_before_the_upgrade() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let imob = app.onboard("imob-beta", "real_estate").await;
    let (own, foreign) = (app.log_in(&garage).await, app.log_in(&imob).await);
    let cookie = format!("helixai_session={own}");
    let foreign_cookie = format!("helixai_session={foreign}");
    let here = "http://garage-alpha.helixai.test";
    let bearer = |token: &str| format!("Bearer {token}");
    let write = bearer(&app.add_api_key(&garage, &["write"]).await);
    let (own_bearer, foreign_bearer) = (bearer(&own), bearer(&foreign));
    let foreign_key = bearer(&imob.api_key);
    let in_address = format!("/ws?ticket={own}");
    let token_parameter = format!("/ws?token={own}");
    for (path, headers, refusal) in [
        ("/ws", vec![], refused(401, "unauthorized")),
        ("/ws", vec![("cookie", &*cookie), ("origin", here)], None),
        ("/ws", vec![("cookie", &*cookie)], refused(403, "origin_mismatch")),
        (
            "/ws",
            vec![("cookie", &*cookie), ("origin", "http://imob-beta.helixai.test")],
            refused(403, "origin_mismatch"),
        ),
        (
            "/ws",
            vec![
                ("cookie", &*cookie),
                ("origin", "https://garage-alpha.helixai.test"),
            ],
            refused(403, "origin_mismatch"),
        ),
        (
            "/ws",
            vec![("cookie", &*foreign_cookie), ("origin", here)],
            refused(401, "unauthorized"),
        ),
        ("/ws", vec![("authorization", &*own_bearer)], None),
        (
            "/ws",
            vec![("authorization", &*foreign_bearer)],
            refused(401, "unauthorized"),
        ),
        (
            "/ws",
            vec![("authorization", &*foreign_key)],
            refused(401, "unauthorized"),
        ),
        (
            "/ws",
            vec![("authorization", &*write)],
            refused(403, "insufficient_rights"),
        ),
        (
            "/ws",
            vec![("authorization", &*own_bearer), ("x-tenant-key", "imob-beta")],
            refused(400, "tenant_mismatch"),
        ),
        // A session's token opens nothing from an address.
        (&in_address, vec![], refused(401, "unauthorized")),
        (&token_parameter, vec![], refused(401, "unauthorized")),
    ] {
        let outcome = WebSocket::ask(app.address, &garage, path, &headers).await;
        assert_eq!(outcome.err(), refusal, "{path} {headers:?}");
    }
    // Whatever else it would take instead.
    let either = app
        .get("/ws")
        .of(&garage)
        .cookie(&own)
        .header("upgrade", "h2c, WebSocket");
    either.await.problem(403, "origin_mismatch");
    // Asked for as if it were a page.
    let page = app.get("/ws").by(&garage).await;
    page.problem(426, "upgrade_required");
}

#[tokio::test]
async fn empresa_id_names_the_tenant_that_is_asked_or_nobody() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let imob = app.onboard("imob-beta", "real_estate").await;
    let bearer = format!("Bearer {}", garage.api_key);
    for (named, refusal) in [
        (garage.id.as_str(), None),
        (garage.key.as_str(), None),
        (imob.id.as_str(), refused(404, "not_found")),
        (imob.key.as_str(), refused(404, "not_found")),
        ("5", refused(404, "not_found")),
        ("", refused(404, "not_found")),
    ] {
        let path = format!("/ws?empresa_id={named}");
        let outcome = WebSocket::ask(app.address, &garage, &path, &[("authorization", &bearer)]).await;
        assert_eq!(outcome.err(), refusal, "{named}");
    }
}

#[tokio::test]
async fn a_ticket_opens_one_socket_of_its_own_tenant() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let imob = app.onboard("imob-beta", "real_estate").await;
    let token = app.log_in(&garage).await;
    let unauthorized = refused(401, "unauthorized");
    let path = format!("/ws?ticket={}", ticket(&app, &garage, &token).await);
    // Another tenant's is worth nothing, and is not used up by the attempt.
    assert_eq!(
        WebSocket::ask(app.address, &imob, &path, &[]).await.err(),
        unauthorized
    );
    let mut socket = WebSocket::open(app.address, &garage, &path, &[]).await;
    assert_eq!(
        WebSocket::ask(app.address, &garage, &path, &[]).await.err(),
        unauthorized
    );
    let id = conversation(&app, &garage).await;
    assert_eq!(socket.event("conversation.updated").await["data"]["id"], id);

    // It opens nothing else, and no socket when its time is over.
    let late = ticket(&app, &garage, &token).await;
    app.get("/api/me")
        .of(&garage)
        .bearer(&late)
        .await
        .problem(401, "unauthorized");
    let over = format!(
        "update {}.socket_tickets set expires_at = now() - interval '1 second'",
        garage.schema
    );
    app.test
        .admin()
        .await
        .batch_execute(&over)
        .await
        .expect("changed");
    let late = format!("/ws?ticket={late}");
    assert_eq!(
        WebSocket::ask(app.address, &garage, &late, &[]).await.err(),
        unauthorized
    );

    // It ends with the session that has asked for it.
    let other = app.log_in(&garage).await;
    let orphan = format!("/ws?ticket={}", ticket(&app, &garage, &other).await);
    app.delete("/api/sessions/current")
        .of(&garage)
        .bearer(&other)
        .await
        .expect(204);
    assert_eq!(
        WebSocket::ask(app.address, &garage, &orphan, &[]).await.err(),
        unauthorized
    );

    // A program has no need of one.
    let by_key = app.post("/api/socket-tickets").by(&garage).await;
    by_key.problem(403, "insufficient_rights");
}

#[tokio::test]
async fn a_ticket_is_taken_once_by_many_at_once() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&garage).await;
    let path = format!("/ws?ticket={}", ticket(&app, &garage, &token).await);
    let second = app.second_process().await;
    let all = (0..10).map(|n| {
        let address = if n % 2 == 0 { app.address } else { second };
        WebSocket::ask(address, &garage, &path, &[])
    });
    let all = futures_util::future::join_all(all).await;
    assert_eq!(all.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn one_user_has_so_many_sockets_and_no_more() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&garage).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let mut sockets = Vec::new();
    for _ in 0..OF_ONE_HOLDER {
        sockets.push(WebSocket::open(app.address, &garage, "/ws", &headers).await);
    }
    let ask = async || WebSocket::ask(app.address, &garage, "/ws", &headers).await;
    assert_eq!(ask().await.err(), refused(429, "too_many_sockets"));
    // Somebody else is not concerned.
    WebSocket::of(app.address, &garage, &garage.api_key).await;
    drop(sockets.pop());
    app.until("there is room again", async || ask().await.is_ok())
        .await;
}

/// It takes none of what requests of its tenant share.
#[tokio::test]
async fn an_open_socket_is_no_request_under_way() {
    let app = TestApp::builder().set("tenancy.tenant_requests", 2).start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(WebSocket::of(app.address, &garage, &garage.api_key).await);
    }
    app.get("/api/leads").by(&garage).await.expect(200);
}
