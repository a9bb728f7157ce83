//! `/api/bots`: made, seen, changed, stopped and removed, by whoever may.

use serde_json::{Value, json};

use super::{Bots, path_of, token};
use crate::helpers::TestApp;

#[tokio::test]
async fn a_bot_is_made_and_its_token_is_never_seen_again() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let token = token(1);
    bots.telegram.add_bot(&token, "garage_bot");
    let made = bots.make(&garage, &token).await;
    assert_eq!(made["name"], "Vendas");
    assert_eq!(made["channel"], "telegram");
    assert_eq!(made["is_active"], true);
    assert_eq!(made["state"], "created");
    let now = bots.await_state(&garage, &made, "connected").await;
    assert_eq!(now["username"], "garage_bot", "Telegram has said so");
    let list = bots.app.get("/api/bots/my").by(&garage).await.expect(200).json();
    assert_eq!(list["items"][0]["id"], made["id"]);
    let stats = bots
        .app
        .get("/api/bots/stats")
        .by(&garage)
        .await
        .expect(200)
        .json();
    let expected = json!({
        "total_bots": 1, "active_bots": 1, "inactive_bots": 0, "connected_bots": 1, "failed_bots": 0, "conversations": 0,
    });
    assert_eq!(stats, expected);
    let secret = token.split_once(':').unwrap().1;
    for shown in [&made, &now, &list] {
        assert!(!shown.to_string().contains(secret));
    }
    let stored = bots.rows(&garage, "select to_jsonb(i) from instances i").await;
    assert!(!json!(stored).to_string().contains(secret));
}

#[tokio::test]
async fn bad_bots_are_refused_and_leave_nothing() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    let create = async |body: Value| app.post("/api/bots").by(&garage).json(&body).await;
    create(json!({}))
        .await
        .refused_fields(&[("token", "required"), ("name", "required")]);
    let wrong = json!({
        "name": "", "token": "not a token", "initial_message": " ", "vip_link": "javascript:alert(1)", "message_delay_ms": -1,
        "max_attempts": 0, "username": "a b",
    });
    create(wrong).await.refused_fields(&[
        ("token", "invalid_format"),
        ("name", "required"),
        ("username", "invalid_format"),
        ("initial_message", "required"),
        ("vip_link", "invalid_format"),
        ("message_delay_ms", "out_of_range"),
        ("max_attempts", "out_of_range"),
    ]);
    let list = app.get("/api/bots/my").by(&garage).await.expect(200).json();
    assert_eq!(list["items"], json!([]));
    let none = "/api/bots/0190163d-8694-739b-aea5-966c26f8ad91";
    app.get(none).by(&garage).await.expect(404);
    app.call(reqwest::Method::PUT, none)
        .by(&garage)
        .json(&json!({"name": "X"}))
        .await
        .expect(404);
    app.delete(none).by(&garage).await.expect(404);
}

#[tokio::test]
async fn a_plan_includes_so_many_bots() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let mut made = Vec::new();
    let refused = loop {
        let number = u32::try_from(made.len()).unwrap();
        let body = json!({"name": "Vendas", "token": token(number), "is_active": false});
        let answer = bots.app.post("/api/bots").by(&garage).json(&body).await;
        if answer.status != 201 {
            break answer;
        }
        made.push(answer.json());
    };
    let problem = refused.problem(402, "limit_exceeded");
    assert_eq!(
        (&problem["limit"], &problem["used"]),
        (&json!(made.len()), &json!(made.len()))
    );
    assert_eq!(problem["plan"], "pro");
    // The token that was refused is free, and so is that of one that is removed.
    bots.app.delete(&path_of(&made[0])).by(&garage).await.expect(204);
    let number = u32::try_from(made.len()).unwrap();
    for number in [number, 0] {
        let body = json!({"name": "Vendas", "token": token(number), "is_active": false});
        let answer = bots.app.post("/api/bots").by(&garage).json(&body).await;
        let bot = answer.expect(201).json();
        bots.app.delete(&path_of(&bot)).by(&garage).await.expect(204);
    }
}

#[tokio::test]
async fn an_agent_has_the_bots_that_are_theirs() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    let set = "update master.subscriptions set plan_version_id = '01900000-0000-7000-8000-000000000102'";
    app.test.admin().await.batch_execute(set).await.unwrap();
    app.test.platform.resolver.changed(&garage.key);
    let agent = app.add_user(&garage, "agent").await;
    let agent = app.session_of(&garage, agent).await;
    let body = |number| json!({"name": "Vendas", "token": token(number), "is_active": false});
    let owners = app
        .post("/api/bots")
        .by(&garage)
        .json(&body(1))
        .await
        .expect(201)
        .json();
    let call = app.post("/api/bots").of(&garage).bearer(&agent).json(&body(2));
    let agents = call.await.expect(201).json();
    assert!(agents["user_id"].is_string());
    let list = app
        .get("/api/bots/my")
        .of(&garage)
        .bearer(&agent)
        .await
        .expect(200)
        .json();
    assert_eq!(list["items"], json!([agents]));
    let stats = app.get("/api/bots/stats").of(&garage).bearer(&agent).await;
    assert_eq!(stats.expect(200).json()["total_bots"], 1);
    let path = path_of(&owners);
    app.get(&path).of(&garage).bearer(&agent).await.expect(404);
    app.delete(&path).of(&garage).bearer(&agent).await.expect(404);
    let call = app.patch(&format!("{path}/status")).of(&garage).bearer(&agent);
    call.json(&json!({"is_active": true})).await.expect(404);
    let all = app.get("/api/bots/my").by(&garage).await.expect(200).json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_repeated_request_makes_one_bot() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    let body = json!({"name": "Vendas", "token": token(1), "is_active": false});
    let post = async || {
        let call = app.post("/api/bots").by(&garage).idempotency_key("one");
        call.json(&body).await.expect(201).json()
    };
    let first = post().await;
    assert_eq!(post().await, first);
    let list = app.get("/api/bots/my").by(&garage).await.expect(200).json();
    assert_eq!(list["items"], json!([first]));
}

#[tokio::test]
async fn telegram_says_whose_a_token_is() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    bots.telegram.add_bot(&token(1), "garage_bot");
    let ask = async |token: &str| {
        let call = bots.app.post("/api/bots/validate-token").by(&garage);
        call.json(&json!({ "token": token })).await
    };
    let valid = ask(&token(1)).await.expect(200).json();
    assert_eq!(
        (&valid["valid"], &valid["username"]),
        (&json!(true), &json!("garage_bot"))
    );
    assert_eq!(valid["bot_id"], 100_000_001);
    assert_eq!(ask(&token(2)).await.expect(200).json()["valid"], false);
    ask("123").await.refused_fields(&[("token", "invalid_format")]);
    bots.telegram
        .answer_next("getMe", helixai_fakes::telegram::Failure::Drop);
    let away = ask(&token(1)).await;
    away.problem(503, "telegram_unavailable");
    assert!(away.header("retry-after").is_some());
}
