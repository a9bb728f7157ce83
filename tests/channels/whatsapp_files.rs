//! Files that people send to a linked telephone: fetched sealed, opened with the key that came along, which nobody else sees and which is
//! not kept.

use fake_whatsapp::{File, FileFault, FileKind};
use serde_json::{Value, json};

use super::media::{FILES, media_of};
use super::whatsapp_web::{PERSON, SHOP, Shops};
use crate::helpers::{TestApp, pictures};

const SEALED: &str = "select jsonb_build_array(file_state, file_sealed is not null) from messages where direction = 'inbound' order by id";

impl Shops {
    async fn send(&self, file: &File) {
        self.whatsapp.send_file(PERSON, SHOP, file).await.expect("sent");
    }
}

#[tokio::test]
async fn what_is_sent_is_kept_as_it_was_and_its_key_is_not() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    let imob = shops.bots.app.onboard("imob", "real_estate").await;
    shops.connected(&garage, SHOP).await;
    let photo = pictures::photo();
    let pdf = [&b"%PDF-1.7\n"[..], &vec![7; 100_001]].concat();
    let film = b"\0\0\0\x20ftypisom....";
    let sent: [(FileKind, &[u8], &str, &str); 6] = [
        (FileKind::Image, &photo, "image", "image/jpeg"),
        (FileKind::Document, &pdf, "document", "application/pdf"),
        (FileKind::Audio, b"OggS\0\x02opus", "audio", "audio/ogg"),
        (FileKind::Video, film, "video", "video/mp4"),
        (FileKind::VideoNote, film, "video", "video/mp4"),
        (
            FileKind::Sticker,
            b"RIFF\x10\0\0\0WEBPVP8 ....",
            "sticker",
            "image/webp",
        ),
    ];
    for (kind, bytes, ..) in &sent {
        let mut file = File::new(*kind, *bytes);
        file.caption = Some("Olha".to_owned());
        file.name = Some("laudo.pdf".to_owned());
        shops.send(&file).await;
    }
    shops.bots.await_files(&garage, sent.len()).await;
    let (path, messages) = shops.bots.messages(&garage).await;
    for ((_, bytes, kind, media_type), message) in sent.iter().zip(&messages) {
        assert_eq!(&message["kind"], kind);
        let file =
            json!({"state": "stored", "error": null, "content_type": media_type, "byte_size": bytes.len()});
        assert_eq!(message["file"], file);
        let media = media_of(&path, message);
        assert_eq!(
            &shops.bots.app.get(&media).by(&garage).await.expect(200).body,
            bytes
        );
        shops
            .bots
            .app
            .get(&media)
            .by(&imob)
            .await
            .problem(404, "not_found");
    }
    assert_eq!(
        (&messages[1]["payload"]["file_name"], &messages[1]["body"]),
        (&json!("laudo.pdf"), &json!("Olha"))
    );
    assert_eq!(
        shops.bots.rows(&garage, SEALED).await,
        vec![json!(["stored", false]); sent.len()]
    );
    // Also what the owner sends on the telephone.
    let own = File::new(FileKind::Image, photo.clone());
    let own = shops.whatsapp.send_file_from_phone(SHOP, PERSON, &own).await;
    own.expect("sent");
    shops.bots.await_files(&garage, sent.len() + 1).await;
    let shown = json!(messages).to_string();
    assert!(!shown.contains("whatsapp.net") && !shown.contains("/v/t62"));
}

#[tokio::test]
async fn what_cannot_be_had_says_so() {
    let shops = Shops::start().await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    shops.connected(&garage, SHOP).await;
    let photo = File::new(FileKind::Image, pictures::photo());
    let faulty = |fault| File {
        fault: Some(fault),
        ..photo.clone()
    };
    let once = File {
        view_once: true,
        ..photo.clone()
    };
    for file in [faulty(FileFault::Gone), faulty(FileFault::Spoiled), once] {
        shops.send(&file).await;
    }
    let states = json!([
        ["image", "failed", "gone"],
        ["image", "failed", "unreadable"],
        ["image", null, null]
    ]);
    shops.bots.await_rows(&garage, FILES, states).await;
    assert_eq!(
        shops.whatsapp.fetched(),
        2,
        "what is to be seen once is not asked for"
    );
    assert_eq!(shops.bots.on_disk(&garage).len(), 0);
}

#[tokio::test]
async fn no_file_is_larger_than_allowed_whatever_is_said_of_it() {
    let shops = Shops::start_from(TestApp::builder().set("channels.media_max_bytes", 4096)).await;
    let garage = shops.bots.app.onboard("garage", "cars").await;
    shops.connected(&garage, SHOP).await;
    let sized = |bytes: usize, length: Option<u64>| File {
        length,
        ..File::new(FileKind::Document, vec![7; bytes])
    };
    for file in [
        sized(5000, None),
        sized(1, Some(4097)),
        sized(5000, Some(10)),
        sized(4097, Some(10)),
        sized(4096, None),
    ] {
        shops.send(&file).await;
    }
    shops.bots.await_files(&garage, 1).await;
    let large = json!(["document", "too_large", null]);
    let states = json!([large, large, large, large, ["document", "stored", null]]);
    shops.bots.await_rows(&garage, FILES, states).await;
    assert_eq!(shops.whatsapp.fetched(), 3, "those said to be small");
    assert_eq!(shops.bots.on_disk(&garage).len(), 1);
    let left: Vec<Value> = shops.bots.rows(&garage, SEALED).await;
    assert!(left.iter().all(|row| row[1] == json!(false)));
}
