//! Row 5 of the reliability table: a bot that believes to be connected and hears nothing is told of, and started anew. What is told is its
//! state, `helixai_channel_silent_total`, and a line of the log.

use helixai_fakes::telegram::{Failure, Fault};
use serde_json::json;

use super::{Bots, path_of};
use crate::helpers::TestApp;

/// How often it was told of bots of this channel.
async fn told(app: &TestApp, channel: &str) -> u64 {
    let metrics = app.get("/metrics").bearer(TOKEN).await.expect(200).text();
    let line = format!("helixai_channel_silent_total{{channel=\"{channel}\"}} ");
    let count = metrics.lines().find_map(|found| found.strip_prefix(&line));
    count
        .expect("it is counted from the start")
        .parse()
        .expect("a number")
}

const TOKEN: &str = "a-token-of-sixteen-or-more";

#[tokio::test]
async fn a_bot_of_telegram_whose_question_is_never_answered_is_told_of() {
    let bots = Bots::start_with(&[("channels.telegram_poll_secs", "2"), ("metrics.token", TOKEN)]).await;
    let app = &bots.app;
    let garage = app.onboard("garage", "cars").await;
    let (bot, token) = bots.greeting(&garage, 1).await;
    // Quiet is not silent: questions that end with nothing are answers.
    let asked = bots.telegram.asked(&token, "getUpdates");
    assert!(bots.telegram.await_asked(&token, "getUpdates", asked + 2).await);
    assert_eq!(told(app, "telegram").await, 0);
    bots.telegram.fail(Fault {
        method: "getUpdates".to_owned(),
        token: Some(token.clone()),
        failure: Failure::Hang(60_000),
        times: 1,
    });
    app.until("it is told", async || told(app, "telegram").await == 1)
        .await;
    // It is started anew, and loses nothing.
    bots.telegram.person_starts(&token, 7, None);
    bots.telegram.await_sent(&token, 1).await;
    let read = app.get(&path_of(&bot)).by(&garage).await.expect(200).json();
    assert_eq!(read["state"], "connected");
    assert_eq!(told(app, "telegram").await, 1);
    assert_eq!(told(app, "whatsapp_web").await, 0);
    assert_eq!(read["state_detail"], json!({}));
}

#[cfg(feature = "whatsapp_web")]
mod whatsapp {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use serde_json::json;
    use wacore::time::{TimeProvider, set_time_provider};

    use super::{TOKEN, told};
    use crate::channels::whatsapp_web::{SHOP, Shops};
    use crate::helpers::TestApp;

    /// The client's clock, which can be moved.
    struct Ahead(Arc<AtomicI64>);

    impl TimeProvider for Ahead {
        fn now_millis(&self) -> i64 {
            chrono::Utc::now().timestamp_millis() + self.0.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn a_linked_bot_that_is_never_answered_is_told_of() {
        let ahead = Arc::new(AtomicI64::new(0));
        set_time_provider(Ahead(Arc::clone(&ahead))).expect("the first one to ask");
        let pass = |seconds: i64| ahead.fetch_add(seconds * 1000, Ordering::SeqCst);
        let shops = Shops::start_from(TestApp::builder().set("metrics.token", TOKEN)).await;
        let app = &shops.bots.app;
        let garage = app.onboard("garage", "cars").await;
        let bot = shops.connected(&garage, SHOP).await;
        let heard = "select to_jsonb(count(*)) from messages where direction = 'inbound'";
        // Whoever is spoken to now and then is well, however long that goes on.
        for minute in 1..=4 {
            pass(60);
            shops.say(SHOP, "Oi").await;
            shops.bots.await_rows(&garage, heard, json!([minute])).await;
        }
        shops.whatsapp.until_confirmed(SHOP).await;
        assert_eq!(told(app, "whatsapp_web").await, 0);
        assert_eq!(shops.whatsapp.logins(SHOP).len(), 1);
        // The socket stays open, and nothing comes any more: what people say does not arrive.
        shops.whatsapp.mute(SHOP, true);
        shops.say(SHOP, "Alguém aí?").await;
        assert!(shops.whatsapp.is_connected(SHOP));
        pass(91);
        app.until("it is told", async || told(app, "whatsapp_web").await == 1)
            .await;
        let silent = shops.bots.await_state(&garage, &bot, "reconnecting").await;
        assert_eq!(silent["state_detail"]["code"], "provider_silent");
        // It comes in again, and is not greeted: that is silence, too.
        app.until("it comes again", async || shops.whatsapp.logins(SHOP).len() == 2)
            .await;
        app.until("it is told again", async || {
            pass(1);
            told(app, "whatsapp_web").await >= 2
        })
        .await;
        shops.whatsapp.mute(SHOP, false);
        shops.bots.await_rows(&garage, heard, json!([5])).await;
        shops.bots.await_state(&garage, &bot, "connected").await;
    }
}
