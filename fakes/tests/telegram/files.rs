//! Files: sent along, by address, by id; downloaded.

use helixai_fakes::telegram::{FakeTelegram, Media, What};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{ANA, BOT, OTHER, call, call_as, telegram, why};

async fn upload(telegram: &FakeTelegram, method: &str, form: Form) -> (u16, Value) {
    let url = format!("{}/bot{BOT}/{method}", telegram.url());
    let form = form.text("chat_id", ANA.to_string()).text("caption", "veja");
    let answer = reqwest::Client::new()
        .post(url)
        .multipart(form)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn download(telegram: &FakeTelegram, token: &str, path: &str) -> (u16, Vec<u8>) {
    let url = format!("{}/file/bot{token}/{path}", telegram.url());
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn what_is_sent_along_has_an_id_that_sends_it_again() {
    let telegram = telegram().await;
    telegram.add_chat(BOT, ANA);
    telegram.add_chat(OTHER, ANA);
    for (method, field) in [
        ("sendDocument", "document"),
        ("sendVideo", "video"),
        ("sendAudio", "audio"),
        ("sendVoice", "voice"),
    ] {
        let part = Part::bytes(b"conte\r\n\r\n--xudo".to_vec())
            .file_name("guia.pdf")
            .mime_str("application/pdf")
            .unwrap();
        let sent = upload(&telegram, method, Form::new().part(field, part)).await;
        assert_eq!(
            (sent.0, &sent.1["result"]["caption"]),
            (200, &json!("veja")),
            "{sent:?}"
        );
        let id = sent.1["result"][field]["file_id"].clone();
        let mut again = json!({"chat_id": ANA});
        again[field] = id.clone();
        let repeated = call(&telegram, method, again.clone()).await;
        assert_eq!(repeated.1["result"][field]["file_id"], id);
        // An id is worth something to its bot alone.
        let other = call_as(&telegram, OTHER, method, again).await;
        assert_eq!(
            why(&other),
            (400, "Bad Request: wrong file identifier/HTTP URL specified")
        );
        let file = call(&telegram, "getFile", json!({"file_id": id})).await.1;
        let path = file["result"]["file_path"].as_str().unwrap();
        assert_eq!(
            download(&telegram, BOT, path).await,
            (200, b"conte\r\n\r\n--xudo".to_vec())
        );
        assert_eq!(download(&telegram, OTHER, path).await.0, 404);
    }
    let attached = Part::bytes(b"\x89PNG....".to_vec()).file_name("a.png");
    let sent = upload(
        &telegram,
        "sendPhoto",
        Form::new().text("photo", "attach://f1").part("f1", attached),
    )
    .await;
    let sizes = sent.1["result"]["photo"].as_array().unwrap();
    assert_eq!(sizes.len(), 2);
    let photo = json!({"chat_id": ANA, "document": sizes[1]["file_id"]});
    let misused = call(&telegram, "sendDocument", photo).await;
    assert_eq!(
        why(&misused),
        (400, "Bad Request: can't use file of type Photo as Document")
    );
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let telegram = telegram().await;
    telegram.add_chat(BOT, ANA);
    let text = Part::bytes(b"text".to_vec()).file_name("a.png");
    let text = upload(&telegram, "sendPhoto", Form::new().part("photo", text)).await;
    assert_eq!(why(&text), (400, "Bad Request: IMAGE_PROCESS_FAILED"));
    let empty = Part::bytes(Vec::new()).file_name("a.pdf");
    let empty = upload(&telegram, "sendDocument", Form::new().part("document", empty)).await;
    assert_eq!(why(&empty), (400, "Bad Request: file must be non-empty"));
    let none = call(&telegram, "sendPhoto", json!({"chat_id": ANA})).await;
    assert_eq!(why(&none), (400, "Bad Request: there is no photo in the request"));
    let large = json!({"chat_id": ANA, "photo": "x", "caption": "ã".repeat(1025)});
    let large = call(&telegram, "sendPhoto", large).await;
    assert_eq!(why(&large), (400, "Bad Request: message caption is too long"));
    let elsewhere = call(
        &telegram,
        "sendPhoto",
        json!({"chat_id": ANA, "photo": "https://a.test/x.jpg"}),
    )
    .await;
    assert_eq!(
        why(&elsewhere),
        (400, "Bad Request: failed to get HTTP URL content")
    );
}

#[tokio::test]
async fn what_people_send_is_downloaded_and_an_address_is_fetched() {
    let telegram = telegram().await;
    let media = Media {
        bytes: b"\xff\xd8\xffjpeg".to_vec(),
        ..Media::default()
    };
    telegram.person_does(BOT, ANA, What::Photo(media));
    let updates = call(&telegram, "getUpdates", json!({})).await.1;
    let id = &updates["result"][0]["message"]["photo"][1]["file_id"];
    let path = call(&telegram, "getFile", json!({"file_id": id})).await.1["result"]["file_path"].clone();
    let path = path.as_str().unwrap();
    assert!(path.starts_with("photos/") && path.ends_with(".jpg"));
    // Some clients write the path as one part.
    assert_eq!(
        download(&telegram, BOT, &path.replace('/', "%2F")).await.1,
        b"\xff\xd8\xffjpeg"
    );

    let address = format!("{}/file/bot{BOT}/{path}", telegram.url());
    let sent = call(&telegram, "sendPhoto", json!({"chat_id": ANA, "photo": address})).await;
    assert_eq!(sent.0, 200, "{sent:?}");
    let gone = call(
        &telegram,
        "sendPhoto",
        json!({"chat_id": ANA, "photo": format!("{}/none", telegram.url())}),
    )
    .await;
    assert_eq!(why(&gone), (400, "Bad Request: failed to get HTTP URL content"));

    let media = Media {
        size: Some(30 << 20),
        ..Media::default()
    };
    telegram.person_does(BOT, ANA, What::Video(media));
    let updates = call(&telegram, "getUpdates", json!({"offset": -1})).await.1;
    let id = &updates["result"][0]["message"]["video"]["file_id"];
    assert_eq!(
        why(&call(&telegram, "getFile", json!({"file_id": id})).await),
        (400, "Bad Request: file is too big")
    );
    assert_eq!(
        why(&call(&telegram, "getFile", json!({"file_id": "x"})).await),
        (400, "Bad Request: invalid file_id")
    );
}
