//! Files that people send to a number: fetched by its token, which nobody but Meta is shown.

use helixai_fakes::whatsapp_cloud::{File, Trouble};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{ANA, Number, Numbers};
use crate::channels::media::{FILES, media_of};
use crate::helpers::pictures;

async fn send(numbers: &Numbers, number: &Number, file: File) -> String {
    let id = numbers.cloud.keep(&number.id, file);
    say(numbers, number, &id).await;
    id
}

async fn say(numbers: &Numbers, number: &Number, id: &str) {
    let message = json!({"type": "image", "image": {"id": id, "mime_type": "image/jpeg", "caption": "Olha"}});
    let brought = numbers.cloud.person_does(&number.id, ANA, &message).await;
    assert_eq!(brought.1, 200);
}

fn of(bytes: &[u8]) -> File {
    File {
        bytes: bytes.to_vec(),
        mime: "image/jpeg".to_owned(),
        ..File::default()
    }
}

#[tokio::test]
async fn a_file_is_kept_once_and_served_as_it_is() {
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let imob = numbers.bots.app.onboard("imob", "real_estate").await;
    let number = numbers.greeting(&garage, 1).await;
    numbers.greeting(&imob, 2).await;
    let photo = pictures::photo();
    let id = numbers.cloud.keep(&number.id, of(&photo));
    let message = json!({"type": "image", "image": {"id": id, "mime_type": "text/html"}});
    let (wamid, _) = numbers.cloud.person_does(&number.id, ANA, &message).await;
    numbers.bots.await_files(&garage, 1).await;
    for _ in 0..5 {
        assert_eq!(numbers.cloud.redeliver(&number.id, &wamid).await, 200);
    }
    // Troubles that pass.
    let troubled = File {
        trouble: Some(Trouble::Status(503, 1)),
        ..of(b"%PDF-1.7 depois")
    };
    send(&numbers, &number, troubled).await;
    numbers.bots.await_files(&garage, 2).await;
    assert_eq!(numbers.cloud.given(&id), 1);
    let (path, messages) = numbers.bots.messages(&garage).await;
    let app = &numbers.bots.app;
    let answer = app.get(&media_of(&path, &messages[0])).by(&garage).await;
    assert_eq!(answer.expect(200).body, photo);
    assert_eq!(
        answer.header("content-type"),
        Some("image/jpeg"),
        "by its first bytes"
    );
    app.get(&media_of(&path, &messages[0]))
        .by(&imob)
        .await
        .problem(404, "not_found");
    let stored = numbers
        .bots
        .rows(&garage, "select to_jsonb(m) from messages m")
        .await;
    let shown = format!("{}{}", json!(messages), json!(stored));
    assert!(!shown.contains("EAAJB") && !shown.contains("/files/"));
}

#[tokio::test]
async fn the_token_goes_to_meta_alone() {
    let elsewhere = MockServer::start().await;
    let found = ResponseTemplate::new(200).set_body_bytes(b"de outro".to_vec());
    Mock::given(any()).respond_with(found).mount(&elsewhere).await;
    let numbers = Numbers::start().await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let number = numbers.greeting(&garage, 1).await;
    let redirected = File {
        trouble: Some(Trouble::Redirect(format!("{}/x", elsewhere.uri()))),
        ..of(b"x")
    };
    let foreign = |url: String| File {
        url: Some(url),
        ..of(b"x")
    };
    send(&numbers, &number, redirected).await;
    send(&numbers, &number, foreign(format!("{}/y", elsewhere.uri()))).await;
    send(
        &numbers,
        &number,
        foreign("http://169.254.169.254/latest".to_owned()),
    )
    .await;
    say(&numbers, &number, "../me").await;
    say(&numbers, &number, "404404").await;
    let states: Vec<Value> = [
        "redirected",
        "foreign_address",
        "foreign_address",
        "unreadable",
        "gone",
    ]
    .iter()
    .map(|why| json!(["image", "failed", why]))
    .collect();
    numbers.bots.await_rows(&garage, FILES, json!(states)).await;
    let asked = elsewhere.received_requests().await.expect("noted");
    assert!(asked.is_empty(), "{asked:?}");
    assert_eq!(numbers.bots.on_disk(&garage).len(), 0);
}

#[tokio::test]
async fn a_lie_is_cut_short_and_silence_holds_nobody_back() {
    let numbers = Numbers::start_with(&[("channels.media_max_bytes", "4096")]).await;
    let garage = numbers.bots.app.onboard("garage", "cars").await;
    let imob = numbers.bots.app.onboard("imob", "real_estate").await;
    let number = numbers.greeting(&garage, 1).await;
    let other = numbers.greeting(&imob, 2).await;
    let silent = File {
        trouble: Some(Trouble::Stall),
        ..of(&[7; 2000])
    };
    let told = File {
        size: Some(4097),
        ..of(b"small")
    };
    let lying = File {
        size: Some(10),
        ..of(&[7; 5000])
    };
    send(&numbers, &number, silent).await;
    let told = send(&numbers, &number, told).await;
    send(&numbers, &number, lying).await;
    send(&numbers, &number, of(&[7; 4096])).await;
    send(&numbers, &other, of(b"de outra loja")).await;
    let large = json!(["image", "too_large", null]);
    let states = json!([
        ["image", "pending", null],
        large,
        large,
        ["image", "stored", null]
    ]);
    numbers.bots.await_rows(&garage, FILES, states).await;
    numbers.bots.await_files(&imob, 1).await;
    assert_eq!(
        numbers.cloud.given(&told),
        0,
        "its size is believed when it is too large"
    );
    assert_eq!(
        numbers.cloud.await_said(&number.id, 1).await.len(),
        1,
        "and it greets"
    );
}
