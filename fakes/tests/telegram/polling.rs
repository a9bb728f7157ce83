//! `getUpdates`.

use std::time::Duration;

use helixai_fakes::telegram::{Incoming, Media, What};
use serde_json::json;

use crate::{ANA, BOT, OTHER, RUI, call, call_as, ids, telegram, why};

#[tokio::test]
async fn what_was_confirmed_is_forgotten() {
    let telegram = telegram().await;
    let told: Vec<u64> = ["um", "dois", "três"]
        .into_iter()
        .map(|text| telegram.person_writes(BOT, ANA, text).into())
        .collect();
    assert_eq!(ids(&call(&telegram, "getUpdates", json!({})).await), told);
    let limited = call(&telegram, "getUpdates", json!({"limit": 2})).await;
    assert_eq!(ids(&limited), told[..2]);
    assert_eq!(limited.1["result"][0]["message"]["text"], "um");
    assert_eq!(limited.1["result"][0]["message"]["chat"]["id"], ANA);
    let rest = call(&telegram, "getUpdates", json!({"offset": told[2]})).await;
    assert_eq!(ids(&rest), told[2..]);
    assert_eq!(ids(&call(&telegram, "getUpdates", json!({})).await), told[2..]);
    telegram.person_writes(BOT, ANA, "quatro");
    let last = call(&telegram, "getUpdates", json!({"offset": -1})).await;
    assert_eq!(ids(&last), [told[2] + 1]);
    assert_eq!(telegram.pending(BOT).len(), 1);
    // Another bot's numbers are its own.
    assert_eq!(u64::from(telegram.person_writes(OTHER, RUI, "oi")), told[0]);
    telegram.redeliver(BOT, told[0].try_into().unwrap());
    let again = call(&telegram, "getUpdates", json!({"offset": told[2] + 2})).await;
    assert_eq!(ids(&again), [told[0]]);
    assert!(ids(&call(&telegram, "getUpdates", json!({})).await).is_empty());
    assert!(telegram.await_heard(BOT).await);
}

#[tokio::test]
async fn who_waits_is_told_at_once() {
    let telegram = telegram().await;
    let (answer, told) = tokio::join!(call(&telegram, "getUpdates", json!({"timeout": 50})), async {
        assert!(telegram.await_polled(BOT, true).await);
        telegram.person_starts(BOT, ANA, Some("campanha-7"))
    });
    assert_eq!(ids(&answer), [u64::from(told)]);
    let message = &answer.1["result"][0]["message"];
    assert_eq!(message["text"], "/start campanha-7");
    assert_eq!(
        message["entities"],
        json!([{"type": "bot_command", "offset": 0, "length": 6}])
    );
    assert_eq!(telegram.polled_by(BOT), None);
    let nothing = call(&telegram, "getUpdates", json!({"timeout": 1, "offset": told + 1})).await;
    assert!(ids(&nothing).is_empty());
}

#[tokio::test]
async fn the_newer_poll_ends_the_older() {
    let telegram = telegram().await;
    let newer = async {
        assert!(telegram.await_polled(BOT, true).await);
        call(&telegram, "getUpdates", json!({"timeout": 50})).await
    };
    let older = async {
        let older = call(&telegram, "getUpdates", json!({"timeout": 50})).await;
        // Only now: what is written before the newer one is there belongs to the older one.
        telegram.person_writes(BOT, ANA, "oi");
        older
    };
    let (older, newer) = tokio::join!(older, newer);
    let words =
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
    assert_eq!((why(&older), newer.0), ((409, words), 200));
    assert_eq!(telegram.conflicts(BOT), 1);
}

#[tokio::test]
async fn a_poll_ends_with_its_client_its_token_or_a_webhook() {
    let telegram = telegram().await;
    let url = format!("{}/bot{BOT}/getUpdates?timeout=50", telegram.url());
    let client = reqwest::Client::builder()
        .user_agent("processo-1")
        .build()
        .unwrap();
    let polling = tokio::spawn(client.get(url).send());
    assert!(telegram.await_polled(BOT, true).await);
    assert_eq!(telegram.polled_by(BOT).as_deref(), Some("processo-1"));
    assert_eq!(telegram.polled_bots(), 1);
    polling.abort();
    drop(client);
    assert!(telegram.await_polled(BOT, false).await);

    let hooked = tokio::join!(call(&telegram, "getUpdates", json!({"timeout": 50})), async {
        assert!(telegram.await_polled(BOT, true).await);
        call(&telegram, "setWebhook", json!({"url": "http://127.0.0.1:9/x"})).await
    });
    assert_eq!(
        why(&hooked.0),
        (409, "Conflict: terminated by setWebhook request")
    );
    let refused = call(&telegram, "getUpdates", json!({})).await;
    let words = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
    assert_eq!(why(&refused), (409, words));
    assert_eq!(call(&telegram, "deleteWebhook", json!({})).await.0, 200);

    let (revoked, ()) = tokio::join!(call(&telegram, "getUpdates", json!({"timeout": 50})), async {
        assert!(telegram.await_polled(BOT, true).await);
        telegram.revoke(BOT);
    });
    assert_eq!(why(&revoked), (401, "Unauthorized"));
}

#[tokio::test]
async fn only_what_is_wanted_is_told() {
    let telegram = telegram().await;
    let wanted = json!({"allowed_updates": ["callback_query"]});
    assert!(ids(&call(&telegram, "getUpdates", wanted).await).is_empty());
    let told = telegram.receive(BOT, &Incoming::new(ANA, What::Text("oi".to_owned())));
    assert_eq!(told, Ok(None));
    // Said once, it stays so; an empty list is the usual again.
    call(&telegram, "getUpdates", json!({})).await;
    assert_eq!(
        telegram.receive(BOT, &Incoming::new(ANA, What::Start(None))),
        Ok(None)
    );
    call(&telegram, "getUpdates", json!({"allowed_updates": []})).await;
    assert!(telegram.person_writes(BOT, ANA, "oi") > 0);
}

#[tokio::test]
async fn people_do_more_than_write() {
    let telegram = telegram().await;
    let first = telegram.person_writes(BOT, ANA, "oi");
    let edit = What::Edit {
        message_id: 1,
        text: "olá".to_owned(),
    };
    telegram.person_does(BOT, ANA, edit);
    for part in 0..2 {
        let media = Media {
            bytes: vec![part],
            caption: (part == 0).then(|| "fotos".to_owned()),
            album: Some("a1".to_owned()),
            ..Media::default()
        };
        telegram.person_does(BOT, ANA, What::Photo(media));
    }
    telegram.person_does(BOT, ANA, What::Contact("+5511999990000".to_owned()));
    telegram.block(BOT, ANA);
    let group = Incoming::new(RUI, What::Text("bom dia".to_owned())).in_group(-100);
    telegram.receive(BOT, &group).unwrap();
    let answer = call(&telegram, "getUpdates", json!({"offset": first})).await;
    let updates = &answer.1["result"];
    assert_eq!(updates[1]["edited_message"]["text"], "olá");
    assert_eq!(updates[2]["message"]["media_group_id"], "a1");
    assert_eq!(updates[2]["message"]["caption"], "fotos");
    assert_eq!(updates[3]["message"]["photo"].as_array().unwrap().len(), 2);
    assert_eq!(updates[4]["message"]["contact"]["phone_number"], "+5511999990000");
    let member = &updates[5]["my_chat_member"];
    assert_eq!(
        (
            &member["old_chat_member"]["status"],
            &member["new_chat_member"]["status"]
        ),
        (&json!("member"), &json!("kicked"))
    );
    assert_eq!(updates[6]["message"]["chat"]["type"], "group");
    assert_eq!(updates[6]["message"]["from"]["id"], RUI);
    assert!(telegram.receive("5009:x", &group).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_bots_wait_at_once() {
    let telegram = telegram().await;
    let tokens: Vec<String> = (1..=1000).map(|bot| format!("{bot}:AAF")).collect();
    let client = reqwest::Client::new();
    let mut polls = tokio::task::JoinSet::new();
    for token in &tokens {
        telegram.add_bot(token, "bot");
        let url = format!("{}/bot{token}/getUpdates?timeout=50", telegram.url());
        let client = client.clone();
        polls.spawn(async move {
            let answer = client
                .get(url)
                .timeout(Duration::from_secs(60))
                .send()
                .await
                .unwrap();
            answer.json::<serde_json::Value>().await.unwrap()
        });
    }
    assert!(telegram.await_polled_bots(1000).await);
    for (place, token) in tokens.iter().enumerate() {
        telegram.person_writes(token, ANA, &format!("oi {place}"));
    }
    let mut texts: Vec<String> = polls
        .join_all()
        .await
        .into_iter()
        .map(|answer| answer["result"][0]["message"]["text"].to_string())
        .collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 1000);
    assert_eq!(telegram.polled_bots(), 0);
    assert_eq!(call_as(&telegram, BOT, "getUpdates", json!({})).await.0, 200);
}
