//! One token is one bot on the whole platform, and credentials are worth nothing anywhere else.

use helixai::domain::ids::{InstanceId, TenantId};
use helixai::domain::instance::BotToken;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Bots, path_of, token};

#[tokio::test]
async fn a_token_is_one_bots_on_the_whole_platform() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let imob = bots.app.onboard("imob", "real_estate").await;
    bots.telegram.add_bot(&token(1), "garage_bot");
    let first = bots.make(&garage, &token(1)).await;
    // One that is starting while it is removed may take its token once more, for a while.
    bots.await_state(&garage, &first, "connected").await;
    let body = json!({"name": "Outro", "token": token(1)});
    for tenant in [&garage, &imob] {
        let again = bots.app.post("/api/bots").by(tenant).json(&body).await;
        again.problem(409, "bot_token_taken");
    }
    bots.grow(&imob).await;
    // Nor may a bot take another's later.
    let other = json!({"name": "Outro", "token": token(2), "is_active": false});
    let other = bots
        .app
        .post("/api/bots")
        .by(&imob)
        .json(&other)
        .await
        .expect(201)
        .json();
    let put = bots.app.call(reqwest::Method::PUT, &path_of(&other)).by(&imob);
    put.json(&json!({"token": token(1)}))
        .await
        .problem(409, "bot_token_taken");
    // Removed, its token is free.
    bots.app.delete(&path_of(&first)).by(&garage).await.expect(204);
    bots.app.post("/api/bots").by(&imob).json(&body).await.expect(201);
}

#[tokio::test]
async fn a_claim_without_its_bot_counts_no_more_after_a_while() {
    let bots = Bots::start_with(&[("server.background_work", "false")]).await;
    let garage = bots.app.onboard("garage", "cars").await;
    let imob = bots.app.onboard("imob", "real_estate").await;
    let channels = &bots.app.test.platform.channels;
    let parsed = BotToken::parse(&token(1)).unwrap();
    let id: TenantId = garage.id.parse().unwrap();
    // Whoever claims it dies before the bot is stored.
    assert!(
        channels
            .claim_token(id, InstanceId::new(), &parsed.into())
            .await
            .unwrap()
    );
    let body = json!({"name": "Vendas", "token": token(1)});
    let refused = bots.app.post("/api/bots").by(&imob).json(&body).await;
    refused.problem(409, "bot_token_taken");
    let admin = bots.app.test.admin().await;
    admin
        .batch_execute("update master.bot_tokens set created_at = created_at - interval '3 minutes'")
        .await
        .unwrap();
    bots.app.post("/api/bots").by(&imob).json(&body).await.expect(201);
}

#[tokio::test]
async fn credentials_open_in_their_own_row_only() {
    let bots = Bots::start_with(&[("server.background_work", "false")]).await;
    let channels = &bots.app.test.platform.channels;
    let (garage, imob) = (TenantId::new(), TenantId::new());
    let (bot, other) = (InstanceId::new(), InstanceId::new());
    let parsed = BotToken::parse(&token(1)).unwrap();
    let sealed = channels.seal_token(garage, bot, &parsed.into());
    let opened = channels.open_token(garage, bot, &sealed).expect("its own");
    assert_eq!(opened.secret().expose_secret(), &token(1));
    assert!(channels.open_token(imob, bot, &sealed).is_none());
    assert!(channels.open_token(garage, other, &sealed).is_none());
}
