//! What people send along with what they say: fetched after it was stored, kept as it is, served to nobody else, gone with its message.

use std::path::PathBuf;

use helixai_fakes::telegram::{Failure, Fault, Incoming, Media, What};
use serde_json::{Value, json};

use super::{Bots, path_of, token};
use crate::helpers::{TestTenant, pictures};

/// What has become of each file.
pub const FILES: &str = "select jsonb_build_array(kind, file_state, file_error) from messages where direction = 'inbound' order by id";

impl Bots {
    /// Everything that was said in the only conversation, oldest first, and where it is.
    pub async fn messages(&self, tenant: &TestTenant) -> (String, Vec<Value>) {
        let inbox = self.app.get("/api/conversations").by(tenant).await;
        let inbox = inbox.expect(200).json();
        let path = format!(
            "/api/conversations/{}/messages",
            inbox["items"][0]["id"].as_str().expect("an id")
        );
        let page = self.app.get(&path).by(tenant).await.expect(200).json();
        let mut messages = page["items"].as_array().expect("messages").clone();
        messages.retain(|message| message["direction"] == "inbound");
        messages.reverse();
        (path, messages)
    }

    /// The files on the disk.
    pub fn on_disk(&self, tenant: &TestTenant) -> Vec<PathBuf> {
        let folder = self.app.test.settings.storage.folder.join(&tenant.id);
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
        paths.sort();
        paths
    }

    /// Waits until so many files are kept.
    pub async fn await_files(&self, tenant: &TestTenant, count: usize) {
        let stored = "select to_jsonb(count(*)) from messages where file_state = 'stored'";
        self.await_rows(tenant, stored, json!([count])).await;
    }
}

/// Where a message's file is.
pub fn media_of(path: &str, message: &Value) -> String {
    format!("{path}/{}/media", message["id"].as_str().expect("an id"))
}

fn document(bytes: &[u8], name: &str) -> What {
    What::Document(Media {
        bytes: bytes.to_vec(),
        name: Some(name.to_owned()),
        ..Media::default()
    })
}

fn send(bots: &Bots, token: &str, what: What) {
    bots.telegram
        .receive(token, &Incoming::new(7, what))
        .expect("an update");
}

#[tokio::test]
async fn what_is_sent_is_kept_and_served_as_it_is() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    let media = |bytes: &[u8]| Media {
        bytes: bytes.to_vec(),
        caption: Some("Olha".to_owned()),
        ..Media::default()
    };
    let photo = pictures::photo();
    let pdf = [&b"%PDF-1.7\n"[..], &vec![7; 100_000]].concat();
    let page = b"<script>alert(document.cookie)</script>";
    let sent: [(What, &[u8], &str, &str); 6] = [
        (
            What::Photo(media(&photo)),
            &photo,
            "image/jpeg",
            "inline; filename=\"ID.jpg\"",
        ),
        (
            document(&pdf, "laudo.pdf"),
            &pdf,
            "application/pdf",
            "inline; filename=\"laudo.pdf\"",
        ),
        (
            What::Voice(media(b"OggS\0\x02opus")),
            b"OggS\0\x02opus",
            "audio/ogg",
            "inline; filename=\"ID.ogg\"",
        ),
        (
            What::Video(media(b"\0\0\0\x20ftypisom....")),
            b"\0\0\0\x20ftypisom....",
            "video/mp4",
            "inline; filename=\"ID.mp4\"",
        ),
        (
            What::VideoNote(media(b"\0\0\0\x20ftypisom!")),
            b"\0\0\0\x20ftypisom!",
            "video/mp4",
            "inline; filename=\"ID.mp4\"",
        ),
        (
            document(page, "../\"foto.html"),
            page,
            "application/octet-stream",
            "attachment; filename=\"foto.html\"",
        ),
    ];
    for (what, ..) in &sent {
        send(&bots, &token, what.clone());
    }
    bots.await_files(&garage, sent.len()).await;
    let (path, messages) = bots.messages(&garage).await;
    for ((_, bytes, kind, disposition), message) in sent.iter().zip(&messages) {
        let file = json!({"state": "stored", "error": null, "content_type": kind, "byte_size": bytes.len()});
        assert_eq!(message["file"], file);
        let answer = bots.app.get(&media_of(&path, message)).by(&garage).await;
        assert_eq!(&answer.expect(200).body, bytes);
        let id = message["id"].as_str().expect("an id");
        let expected = disposition.replace("ID", id);
        assert_eq!(answer.header("content-disposition"), Some(expected.as_str()));
        assert_eq!(answer.header("content-type"), Some(*kind));
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
        assert_eq!(answer.header("content-encoding"), None);
        let tag = answer.header("etag").expect("a tag");
        let again = bots.app.get(&media_of(&path, message)).by(&garage);
        again.header("if-none-match", tag).await.expect(304);
    }
    assert_eq!(bots.on_disk(&garage).len(), sent.len());
    // The token is in the address of each file.
    let stored = bots.rows(&garage, "select to_jsonb(m) from messages m").await;
    let shown = format!("{}{}", json!(messages), json!(stored));
    assert!(!shown.contains(&token) && !shown.contains("/file/bot"));
}

#[tokio::test]
async fn nobody_else_sees_a_file() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let imob = bots.app.onboard("imob", "real_estate").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    let (_, other) = bots.greeting(&imob, 2).await;
    send(&bots, &token, document(b"da garagem", "a.bin"));
    send(&bots, &other, document(b"da imob", "a.bin"));
    bots.telegram.person_writes(&token, 7, "e mais nada");
    bots.await_files(&garage, 1).await;
    bots.await_files(&imob, 1).await;
    let (path, messages) = bots.messages(&garage).await;
    let (other_path, others) = bots.messages(&imob).await;
    let app = &bots.app;
    let media = media_of(&path, &messages[0]);
    app.get(&media).of(&garage).await.problem(401, "unauthorized");
    app.get(&media).by(&imob).await.problem(404, "not_found");
    // Somebody else's message in one's own conversation, and the other way round.
    for strange in [media_of(&other_path, &messages[0]), media_of(&path, &others[0])] {
        app.get(&strange).by(&garage).await.problem(404, "not_found");
        app.get(&strange).by(&imob).await.problem(404, "not_found");
    }
    app.get(&media_of(&path, &messages[1]))
        .by(&garage)
        .await
        .problem(404, "not_found");
    let blind = app.add_api_key(&garage, &["write"]).await;
    let refused = app.get(&media).of(&garage).bearer(&blind).await;
    refused.problem(403, "insufficient_rights");
    assert_eq!(app.get(&media).by(&garage).await.expect(200).body, b"da garagem");
}

#[tokio::test]
async fn what_is_too_large_is_not_fetched_and_a_lie_is_cut_short() {
    let bots = Bots::start_with(&[("channels.media_max_bytes", "4096")]).await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    let sized = |bytes: usize, size: Option<u64>| {
        What::Document(Media {
            bytes: vec![7; bytes],
            size,
            ..Media::default()
        })
    };
    for what in [
        sized(5000, None),
        sized(1, Some(4097)),
        sized(5000, Some(10)),
        sized(4096, None),
    ] {
        send(&bots, &token, what);
    }
    bots.await_files(&garage, 1).await;
    let large = json!(["document", "too_large", null]);
    let states = json!([large, large, large, ["document", "stored", null]]);
    bots.await_rows(&garage, FILES, states).await;
    assert_eq!(
        bots.telegram.asked(&token, "getFile"),
        2,
        "those said to be small"
    );
    let (path, messages) = bots.messages(&garage).await;
    assert_eq!(messages[0]["file"]["state"], "too_large");
    let answer = bots.app.get(&media_of(&path, &messages[2])).by(&garage).await;
    answer.problem(404, "file_too_large");
    assert_eq!(bots.on_disk(&garage).len(), 1);
}

#[tokio::test]
async fn what_does_not_come_is_asked_for_again_and_given_up_visibly() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    bots.telegram.answer_next("download", Failure::Html(502));
    send(&bots, &token, document(b"ainda vem", "a.bin"));
    bots.await_files(&garage, 1).await;
    bots.telegram.answer_next("download", Failure::Status(404));
    send(&bots, &token, document(b"nunca mais", "b.bin"));
    let failed = json!([["document", "stored", null], ["document", "failed", "gone"]]);
    bots.await_rows(&garage, FILES, failed).await;
    let (path, messages) = bots.messages(&garage).await;
    assert_eq!(
        messages[1]["file"],
        json!({"state": "failed", "error": "gone", "content_type": null, "byte_size": null})
    );
    let answer = bots.app.get(&media_of(&path, &messages[1])).by(&garage).await;
    answer.problem(404, "file_failed");
    // While it does not come, what was said is answered all the same, and it is gone with its bot.
    bots.telegram.fail(Fault {
        method: "download".to_owned(),
        token: None,
        failure: Failure::Drop,
        times: 1000,
    });
    send(&bots, &token, document(b"nunca", "c.bin"));
    bots.telegram.person_starts(&token, 8, None);
    bots.telegram.await_sent(&token, 2).await;
    let (_, messages) = bots.messages(&garage).await;
    let bot = json!({"id": bots.rows(&garage, "select to_jsonb(id) from instances").await[0]});
    bots.app.delete(&path_of(&bot)).by(&garage).await.expect(204);
    let last = "select jsonb_build_array(file_state, file_error) from messages where file_state <> 'stored' order by id desc limit 1";
    bots.await_rows(&garage, last, json!([["failed", "bot_removed"]]))
        .await;
    assert!(!messages.is_empty());
}

#[tokio::test]
async fn files_go_with_their_person_and_with_their_conversation() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let owner = bots.app.log_in(&garage).await;
    let (_, token) = bots.greeting(&garage, 1).await;
    send(&bots, &token, document(b"de Ana", "ana.bin"));
    let of_bia = Incoming::new(8, document(b"de Bia", "bia.bin"));
    bots.telegram.receive(&token, &of_bia).expect("an update");
    bots.await_files(&garage, 2).await;
    let of = async |chat: &str| {
        let select = format!(
            "select jsonb_build_object('id', id, 'contact', contact_id) from conversations where external_id = '{chat}'"
        );
        bots.rows(&garage, &select).await.remove(0)
    };
    let (ana, bia) = (of("7").await, of("8").await);
    let contact = ana["contact"].as_str().expect("an id");
    let export = bots.app.get(&format!("/api/contacts/{contact}/export"));
    let export = export.of(&garage).bearer(&owner).await.expect(200).json();
    assert_eq!(export["conversations"][0]["messages"][0]["file"], "stored");
    let messages = format!(
        "/api/conversations/{}/messages",
        ana["id"].as_str().expect("an id")
    );
    let page = bots.app.get(&messages).by(&garage).await.expect(200).json();
    let items = page["items"].as_array().expect("messages");
    let sent = items
        .iter()
        .find(|message| message["direction"] == "inbound")
        .expect("one");
    let media = media_of(&messages, sent);
    bots.app.get(&media).by(&garage).await.expect(200);
    let erase = bots.app.post(&format!("/api/contacts/{contact}/erase"));
    erase.of(&garage).bearer(&owner).await.expect(200);
    bots.app.get(&media).by(&garage).await.problem(404, "not_found");
    assert_eq!(bots.on_disk(&garage).len(), 1, "Bia's");
    let page = bots.app.get(&messages).by(&garage).await.expect(200).json();
    assert!(
        page["items"]
            .as_array()
            .expect("messages")
            .iter()
            .all(|message| message["file"].is_null())
    );
    let conversation = format!("/api/conversations/{}", bia["id"].as_str().expect("an id"));
    bots.app.delete(&conversation).by(&garage).await.expect(204);
    assert_eq!(bots.on_disk(&garage).len(), 0);
}

/// While the plan's storage is used up what is said is heard, and its files wait.
#[tokio::test]
async fn without_storage_left_files_wait() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let admin = bots.app.test.admin().await;
    let full = format!(
        "insert into master.tenant_storage (tenant_id, schema_bytes, file_bytes, measured_at)
         values ('{}', {}, 0, now()) on conflict (tenant_id) do update set schema_bytes = excluded.schema_bytes",
        garage.id,
        i64::MAX / 2
    );
    let token = token(1);
    bots.telegram.add_bot(&token, "garage_bot");
    let bot = bots.make(&garage, &token).await;
    bots.await_state(&garage, &bot, "connected").await;
    let status = format!("{}/status", path_of(&bot));
    let set = async |active: bool| {
        let call = bots.app.patch(&status).by(&garage);
        call.json(&json!({"is_active": active})).await.expect(200);
        bots.await_state(&garage, &bot, if active { "connected" } else { "stopped" })
            .await;
    };
    set(false).await;
    admin.batch_execute(&full).await.expect("full");
    set(true).await;
    send(&bots, &token, document(b"cabe?", "a.bin"));
    let tried = "select to_jsonb(file_attempts > 0) from messages where file_state = 'pending'";
    bots.await_rows(&garage, tried, json!([true])).await;
    assert_eq!(bots.telegram.asked(&token, "getFile"), 0);
    let (path, messages) = bots.messages(&garage).await;
    let answer = bots.app.get(&media_of(&path, &messages[0])).by(&garage).await;
    answer.problem(404, "file_pending");
    set(false).await;
    admin
        .batch_execute("delete from master.tenant_storage")
        .await
        .expect("empty");
    set(true).await;
    bots.await_files(&garage, 1).await;
    assert_eq!(
        bots.app
            .get(&media_of(&path, &messages[0]))
            .by(&garage)
            .await
            .expect(200)
            .body,
        b"cabe?"
    );
}
