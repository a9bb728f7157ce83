//! Sending, buttons, limits, changes.

use helixai_fakes::telegram::Limits;
use serde_json::{Value, json};

use crate::{ANA, BOT, OTHER, RUI, call, call_as, telegram, why};

#[tokio::test]
async fn only_known_chats_are_written_to() {
    let telegram = telegram().await;
    let say = json!({"chat_id": ANA, "text": "olá"});
    let unknown = call(&telegram, "sendMessage", say.clone()).await;
    assert_eq!(why(&unknown), (400, "Bad Request: chat not found"));
    telegram.person_writes(BOT, ANA, "oi");
    let sent = call(&telegram, "sendMessage", say.clone()).await;
    assert_eq!((sent.0, &sent.1["result"]["message_id"]), (200, &json!(2)));
    // Whom one bot knows, another one does not.
    assert_eq!(call_as(&telegram, OTHER, "sendMessage", say.clone()).await.0, 400);
    telegram.block(BOT, ANA);
    let blocked = call(&telegram, "sendMessage", say.clone()).await;
    assert_eq!(why(&blocked), (403, "Forbidden: bot was blocked by the user"));
    telegram.unblock(BOT, ANA);
    assert_eq!(call(&telegram, "sendMessage", say).await.0, 200);
    assert_eq!((telegram.sent(BOT).len(), telegram.sent_by_all()), (2, 2));
    assert_eq!(
        (telegram.calls(BOT).len(), telegram.asked(BOT, "sendMessage")),
        (4, 4)
    );
}

#[tokio::test]
async fn texts_and_buttons_are_checked() {
    let telegram = telegram().await;
    telegram.add_chat(BOT, ANA);
    let buttons = |button: Value| json!({"inline_keyboard": [[button]]});
    let long = "ã".repeat(4097);
    for (more, words) in [
        (json!({"text": ""}), "message text is empty"),
        (json!({"text": " \n"}), "message text is empty"),
        (json!({"text": long}), "message is too long"),
        (
            json!({"text": "<b>x", "parse_mode": "HTML"}),
            "can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        (
            json!({"text": "1.0", "parse_mode": "MarkdownV2"}),
            "can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'",
        ),
        (
            json!({"text": "x", "parse_mode": "BBCode"}),
            "unsupported parse_mode",
        ),
        (
            json!({"text": "x", "reply_markup": buttons(json!({"text": "a", "callback_data": "x".repeat(65)}))}),
            "BUTTON_DATA_INVALID",
        ),
        (
            json!({"text": "x", "reply_markup": buttons(json!({"text": "a", "url": "nothing"}))}),
            "inline keyboard button URL 'nothing' is invalid: Wrong HTTP URL",
        ),
        (
            json!({"text": "x", "reply_markup": buttons(json!({"text": "a"}))}),
            "Text buttons are unallowed in the inline keyboard",
        ),
        (
            json!({"text": "x", "reply_markup": "{"}),
            "can't parse reply keyboard markup JSON object",
        ),
        (
            json!({"text": "x", "reply_parameters": {"message_id": 99}}),
            "message to be replied not found",
        ),
    ] {
        let mut body = more;
        body["chat_id"] = ANA.into();
        let answer = call(&telegram, "sendMessage", body).await;
        assert_eq!(why(&answer), (400, format!("Bad Request: {words}").as_str()));
    }
    let bold = json!({"chat_id": ANA, "text": "<b>Olá</b> &amp; tchau", "parse_mode": "HTML"});
    let bold = call(&telegram, "sendMessage", bold).await.1;
    assert_eq!(bold["result"]["text"], "Olá & tchau");
    assert_eq!(
        bold["result"]["entities"],
        json!([{"type": "bold", "offset": 0, "length": 3}])
    );
    let most = json!({"chat_id": ANA, "text": "ã".repeat(4096)});
    assert_eq!(call(&telegram, "sendMessage", most).await.0, 200);
}

#[tokio::test]
async fn too_much_is_refused_with_a_pause() {
    let telegram = telegram().await;
    for chat in 1..=40 {
        telegram.add_chat(BOT, chat);
        telegram.add_chat(OTHER, chat);
    }
    // A window that a slow machine does not outlast.
    telegram.limit(Limits {
        window_ms: 60_000,
        ..Limits::default()
    });
    let say = |chat: i64| json!({"chat_id": chat, "text": "olá"});
    assert_eq!(call(&telegram, "sendMessage", say(1)).await.0, 200);
    let again = call(&telegram, "sendMessage", say(1)).await;
    let seconds = again.1["parameters"]["retry_after"].as_u64().unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(
        why(&again),
        (429, format!("Too Many Requests: retry after {seconds}").as_str())
    );
    for chat in 2..=30 {
        assert_eq!(call(&telegram, "sendMessage", say(chat)).await.0, 200);
    }
    assert_eq!(call(&telegram, "sendMessage", say(31)).await.0, 429);
    assert_eq!(call_as(&telegram, OTHER, "sendMessage", say(31)).await.0, 200);
    assert_eq!(telegram.sent(BOT).len(), 30);
    telegram.limit(Limits {
        window_ms: 0,
        slack_ms: 0,
        ..Limits::default()
    });
    for _ in 0..3 {
        assert_eq!(call(&telegram, "sendMessage", say(1)).await.0, 200);
    }
}

#[tokio::test]
async fn buttons_are_pressed_and_answered() {
    let telegram = telegram().await;
    telegram.person_writes(BOT, ANA, "oi");
    let ask = json!({"chat_id": ANA, "text": "Quer?",
                     "reply_markup": {"inline_keyboard": [[{"text": "Sim", "callback_data": "sim"}, {"text": "Site", "url": "https://a.test/"}]]}});
    assert_eq!(call(&telegram, "sendMessage", ask).await.0, 200);
    let sent = telegram.await_sent(BOT, 1).await.remove(0);
    assert_eq!(sent.buttons()[0], ("Sim".to_owned(), "sim".to_owned()));
    let update = telegram.person_presses(BOT, ANA, sent.message_id(), "sim");
    let updates = call(&telegram, "getUpdates", json!({"offset": update})).await.1;
    let query = &updates["result"][0]["callback_query"];
    assert_eq!(
        (&query["data"], &query["message"]["text"]),
        (&json!("sim"), &json!("Quer?"))
    );
    let answered = call(
        &telegram,
        "answerCallbackQuery",
        json!({"callback_query_id": query["id"], "text": "Obrigado"}),
    )
    .await;
    assert_eq!(answered.1, json!({"ok": true, "result": true}));
    let unknown = call(
        &telegram,
        "answerCallbackQuery",
        json!({"callback_query_id": "1"}),
    )
    .await;
    assert_eq!(unknown.0, 400);
}

#[tokio::test]
async fn messages_are_changed_and_deleted() {
    let telegram = telegram().await;
    telegram.person_writes(BOT, ANA, "oi");
    call(&telegram, "sendMessage", json!({"chat_id": ANA, "text": "olá"})).await;
    let edit = json!({"chat_id": ANA, "message_id": 2, "text": "bom dia"});
    let edited = call(&telegram, "editMessageText", edit.clone()).await;
    assert_eq!((edited.0, &edited.1["result"]["text"]), (200, &json!("bom dia")));
    assert_eq!(telegram.message(BOT, ANA, 2).unwrap()["text"], "bom dia");
    let same = call(&telegram, "editMessageText", edit).await;
    assert!(
        why(&same).1.starts_with("Bad Request: message is not modified"),
        "{same:?}"
    );
    for (id, words) in [(1, "message can't be edited"), (9, "message to edit not found")] {
        let answer = call(
            &telegram,
            "editMessageText",
            json!({"chat_id": ANA, "message_id": id, "text": "x"}),
        )
        .await;
        assert_eq!(why(&answer), (400, format!("Bad Request: {words}").as_str()));
    }
    let delete = json!({"chat_id": ANA, "message_id": 2});
    assert_eq!(call(&telegram, "deleteMessage", delete.clone()).await.0, 200);
    assert_eq!(telegram.message(BOT, ANA, 2), None);
    let again = call(&telegram, "deleteMessage", delete).await;
    assert_eq!(why(&again), (400, "Bad Request: message to delete not found"));
}

#[tokio::test]
async fn the_small_methods_answer() {
    let telegram = telegram().await;
    telegram.person_writes(BOT, ANA, "oi");
    let typing = json!({"chat_id": ANA, "action": "typing"});
    assert_eq!(call(&telegram, "sendChatAction", typing).await.1["result"], true);
    let dancing = call(
        &telegram,
        "sendChatAction",
        json!({"chat_id": ANA, "action": "dancing"}),
    )
    .await;
    assert_eq!(
        why(&dancing),
        (400, "Bad Request: wrong parameter action in request")
    );
    assert_eq!(
        call(&telegram, "getChat", json!({"chat_id": ANA})).await.1["result"]["type"],
        "private"
    );
    assert_eq!(call(&telegram, "getChat", json!({"chat_id": RUI})).await.0, 400);
    let commands = json!([{"command": "start", "description": "Começar"}]);
    assert_eq!(
        call(&telegram, "setMyCommands", json!({"commands": commands}))
            .await
            .0,
        200
    );
    assert_eq!(
        call(&telegram, "getMyCommands", json!({})).await.1["result"],
        commands
    );
    assert_eq!(
        call(&telegram, "getMyCommands", json!({"language_code": "pt"}))
            .await
            .1["result"],
        json!([])
    );
    let loud = json!({"commands": [{"command": "START", "description": "x"}]});
    assert_eq!(
        why(&call(&telegram, "setMyCommands", loud).await),
        (400, "Bad Request: BOT_COMMAND_INVALID")
    );
    assert_eq!(call(&telegram, "logOut", json!({})).await.1["result"], true);
    assert_eq!(
        why(&call(&telegram, "getMe", json!({})).await),
        (400, "Logged out")
    );
}
