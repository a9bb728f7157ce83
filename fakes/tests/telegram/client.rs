//! The client that the product uses, unchanged but for its address.

use helixai_fakes::telegram::{Failure, FakeTelegram, Limits, Media, What};
use teloxide_core::net::Download as _;
use teloxide_core::payloads::{
    AnswerCallbackQuerySetters as _, GetUpdatesSetters as _, SendMessageSetters as _, SendPhotoSetters as _,
    SetWebhookSetters as _,
};
use teloxide_core::requests::Requester as _;
use teloxide_core::types::{
    AllowedUpdate, BotCommand, ChatAction, ChatId, InlineKeyboardButton, InlineKeyboardMarkup, InputFile,
    ParseMode, Recipient, Seconds, UpdateKind,
};
use teloxide_core::{ApiError, Bot, RequestError};

use crate::{ANA, BOT, telegram};

fn bot(telegram: &FakeTelegram) -> Bot {
    Bot::new(BOT).set_api_url(telegram.url().parse().unwrap())
}

#[tokio::test]
async fn it_reads_what_people_do() {
    let telegram = telegram().await;
    let bot = bot(&telegram);
    assert_eq!(bot.get_me().await.unwrap().username(), "loja_bot");
    let media = || Media {
        bytes: b"\xff\xd8\xffjpeg".to_vec(),
        name: Some("a.bin".to_owned()),
        caption: Some("veja".to_owned()),
        ..Media::default()
    };
    telegram.person_starts(BOT, ANA, Some("promo"));
    for what in [
        What::Photo(media()),
        What::Document(media()),
        What::Video(media()),
        What::Audio(media()),
        What::Voice(media()),
        What::Contact("+5511999990000".to_owned()),
        What::Location(-23.5, -46.6),
        What::Edit {
            message_id: 1,
            text: "/start outra".to_owned(),
        },
        What::Block,
        What::Unblock,
    ] {
        telegram.person_does(BOT, ANA, what);
    }
    let updates = bot
        .get_updates()
        .timeout(5)
        .allowed_updates([AllowedUpdate::Message])
        .await
        .unwrap();
    assert_eq!(updates.len(), 11);
    let unread: Vec<_> = updates
        .iter()
        .filter(|update| matches!(update.kind, UpdateKind::Error(_)))
        .collect();
    assert!(unread.is_empty(), "{unread:?}");
    let UpdateKind::Message(start) = &updates[0].kind else {
        panic!("{updates:?}");
    };
    assert_eq!((start.text(), start.chat.id), (Some("/start promo"), ChatId(ANA)));
    let UpdateKind::Message(photo) = &updates[1].kind else {
        panic!("{updates:?}");
    };
    let largest = photo.photo().unwrap().last().unwrap();
    let file = bot.get_file(largest.file.id.clone()).await.unwrap();
    let mut bytes = Vec::new();
    bot.download_file(&file.path, &mut bytes).await.unwrap();
    assert_eq!(bytes, b"\xff\xd8\xffjpeg");
    let last = updates.last().unwrap().id.as_offset();
    assert!(bot.get_updates().offset(last).await.unwrap().is_empty());
}

#[tokio::test]
async fn it_sends_and_hears_of_presses() {
    let telegram = telegram().await;
    let bot = bot(&telegram);
    telegram.person_writes(BOT, ANA, "oi");
    let row = [
        InlineKeyboardButton::url("VIP", "https://vip.test/".parse().unwrap()),
        InlineKeyboardButton::callback("Sim", "sim"),
    ];
    let message = bot
        .send_message(ChatId(ANA), "<b>Bem-vinda</b>")
        .parse_mode(ParseMode::Html)
        .reply_markup(InlineKeyboardMarkup::new([row]))
        .await
        .unwrap();
    assert_eq!(message.text(), Some("Bem-vinda"));
    assert_eq!(
        telegram.sent(BOT)[0].buttons()[0],
        ("VIP".to_owned(), "https://vip.test/".to_owned())
    );
    telegram.person_presses(BOT, ANA, i64::from(message.id.0), "sim");
    let updates = bot.get_updates().offset(-1).await.unwrap();
    let UpdateKind::CallbackQuery(query) = &updates[0].kind else {
        panic!("{updates:?}");
    };
    assert_eq!(query.data.as_deref(), Some("sim"));
    bot.answer_callback_query(query.id.clone())
        .text("Obrigado")
        .await
        .unwrap();
    bot.edit_message_text(ChatId(ANA), message.id, "Até logo")
        .await
        .unwrap();
    bot.delete_message(ChatId(ANA), message.id).await.unwrap();
    bot.send_chat_action(ChatId(ANA), ChatAction::Typing)
        .await
        .unwrap();
    bot.set_my_commands([BotCommand::new("start", "Começar")])
        .await
        .unwrap();
    assert_eq!(bot.get_my_commands().await.unwrap()[0].command, "start");
    assert_eq!(bot.get_chat(ChatId(ANA)).await.unwrap().id, ChatId(ANA));

    let picture = InputFile::memory(b"\x89PNG....".to_vec()).file_name("a.png");
    let photo = bot
        .send_photo(ChatId(ANA), picture)
        .caption("veja")
        .await
        .unwrap();
    let id = photo.photo().unwrap()[1].file.id.clone();
    bot.send_photo(ChatId(ANA), InputFile::file_id(id)).await.unwrap();
    let memory = || InputFile::memory(b"x".to_vec()).file_name("a.bin");
    bot.send_document(ChatId(ANA), memory()).await.unwrap();
    bot.send_video(ChatId(ANA), memory()).await.unwrap();
    bot.send_audio(ChatId(ANA), memory()).await.unwrap();
    bot.send_voice(ChatId(ANA), memory()).await.unwrap();
    assert_eq!(telegram.sent_to(BOT, ANA).len(), 7);
}

#[tokio::test]
async fn it_understands_the_refusals() {
    let telegram = telegram().await;
    let bot = bot(&telegram);
    let refused = async |chat: i64| {
        bot.send_message(Recipient::Id(ChatId(chat)), "olá")
            .await
            .unwrap_err()
    };
    assert!(matches!(
        refused(ANA).await,
        RequestError::Api(ApiError::ChatNotFound)
    ));
    telegram.block(BOT, ANA);
    assert!(matches!(
        refused(ANA).await,
        RequestError::Api(ApiError::BotBlocked)
    ));
    telegram.unblock(BOT, ANA);
    telegram.limit(Limits {
        window_ms: 60_000,
        ..Limits::default()
    });
    bot.send_message(ChatId(ANA), "olá").await.unwrap();
    assert!(
        matches!(refused(ANA).await, RequestError::RetryAfter(seconds) if seconds > Seconds::from_seconds(0))
    );
    telegram.answer_next("sendMessage", Failure::ActThenDrop);
    assert!(matches!(refused(ANA).await, RequestError::Network(_)));
    telegram.answer_next("sendMessage", Failure::Html(403));
    assert!(matches!(refused(ANA).await, RequestError::InvalidJson { .. }));

    let url: reqwest::Url = "http://127.0.0.1:9/hook".parse().unwrap();
    bot.set_webhook(url.clone())
        .secret_token("abc".to_owned())
        .await
        .unwrap();
    assert_eq!(bot.get_webhook_info().await.unwrap().url, Some(url));
    let words = bot.get_updates().await.unwrap_err().to_string();
    assert!(
        words.contains("can't use getUpdates method while webhook is active"),
        "{words}"
    );
    bot.delete_webhook().await.unwrap();
    let (first, ()) = tokio::join!(
        async { bot.get_updates().offset(i32::MAX).timeout(10).await },
        async {
            assert!(telegram.await_polled(BOT, true).await);
            bot.get_updates().offset(i32::MAX).timeout(1).await.unwrap();
        }
    );
    assert!(matches!(
        first,
        Err(RequestError::Api(ApiError::TerminatedByOtherGetUpdates))
    ));
    telegram.revoke(BOT);
    assert!(matches!(
        bot.get_me().await,
        Err(RequestError::Api(ApiError::InvalidToken))
    ));
}
