//! Webhooks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{ANA, BOT, RUI, call, telegram, why};

/// Path, secret and body of what came.
type Came = (String, String, Value);

#[derive(Default)]
struct Inbox {
    came: Mutex<Vec<Came>>,
    /// The next answers; afterwards an empty 200.
    answers: Mutex<VecDeque<(u16, Value)>>,
    changed: Notify,
}

struct Receiver {
    inbox: Arc<Inbox>,
    url: String,
    handle: ServerHandle,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn take(http: HttpRequest, body: web::Json<Value>, inbox: web::Data<Inbox>) -> HttpResponse {
    let secret = http.headers().get("X-Telegram-Bot-Api-Secret-Token");
    let secret = secret.map(|secret| secret.to_str().unwrap().to_owned());
    let came = (
        http.uri().to_string(),
        secret.unwrap_or_default(),
        body.into_inner(),
    );
    inbox.came.lock().unwrap().push(came);
    let next = inbox.answers.lock().unwrap().pop_front();
    inbox.changed.notify_waiters();
    match next {
        None => HttpResponse::Ok().finish(),
        Some((status, body)) => HttpResponse::build(status.try_into().unwrap()).json(body),
    }
}

impl Receiver {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inbox = Arc::new(Inbox::default());
        let data = web::Data::from(Arc::clone(&inbox));
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(take)));
        let server = server
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { inbox, url, handle }
    }

    fn answer(&self, status: u16, body: Value) {
        self.inbox.answers.lock().unwrap().push_back((status, body));
    }

    async fn came(&self, count: usize) -> Vec<Came> {
        let waiting = async {
            loop {
                let mut changed = std::pin::pin!(self.inbox.changed.notified());
                changed.as_mut().enable();
                let came = self.inbox.came.lock().unwrap().clone();
                if came.len() >= count {
                    return came;
                }
                changed.await;
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        came.unwrap_or_else(|_| panic!("{count} of {:?}", self.inbox.came.lock().unwrap()))
    }
}

fn texts(came: &[Came], chat: i64) -> Vec<&str> {
    came.iter()
        .map(|(_, _, body)| &body["message"])
        .filter(|message| message["chat"]["id"] == chat)
        .map(|message| message["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn news_are_posted_with_the_secret() {
    let telegram = telegram().await;
    let receiver = Receiver::start();
    telegram.person_writes(BOT, ANA, "antes");
    let set = json!({"url": format!("{}/hook?x=1", receiver.url), "secret_token": "seGredo_1", "max_connections": 2,
                     "allowed_updates": ["message"]});
    assert_eq!(
        call(&telegram, "setWebhook", set).await.1,
        json!({"ok": true, "result": true})
    );
    telegram.person_writes(BOT, ANA, "depois");
    let came = receiver.came(2).await;
    assert_eq!(
        (came[0].0.as_str(), came[0].1.as_str()),
        ("/hook?x=1", "seGredo_1")
    );
    assert_eq!(texts(&came, ANA), ["antes", "depois"]);
    assert!(telegram.await_heard(BOT).await);
    let info = call(&telegram, "getWebhookInfo", json!({})).await.1;
    assert_eq!(
        (
            &info["result"]["max_connections"],
            &info["result"]["allowed_updates"],
            &info["result"]["pending_update_count"]
        ),
        (&json!(2), &json!(["message"]), &json!(0))
    );
    telegram.redeliver(BOT, came[0].2["update_id"].as_u64().unwrap().try_into().unwrap());
    assert_eq!(receiver.came(3).await[2], came[0]);
}

#[tokio::test]
async fn what_is_not_taken_comes_again_in_order() {
    let telegram = telegram().await;
    telegram.set_webhook_backoff(Duration::from_millis(1));
    let receiver = Receiver::start();
    for status in [500, 503, 404] {
        receiver.answer(status, json!({}));
    }
    assert_eq!(
        call(&telegram, "setWebhook", json!({"url": receiver.url}))
            .await
            .0,
        200
    );
    telegram.person_writes(BOT, ANA, "um");
    receiver.came(3).await;
    let info = call(&telegram, "getWebhookInfo", json!({})).await.1;
    assert!(
        info["result"]["last_error_message"]
            .as_str()
            .unwrap()
            .starts_with("Wrong response from the webhook: ")
    );
    telegram.person_writes(BOT, ANA, "dois");
    telegram.person_writes(BOT, RUI, "outro");
    let came = receiver.came(6).await;
    assert_eq!(texts(&came, ANA), ["um", "um", "um", "um", "dois"]);
    assert_eq!(texts(&came, RUI), ["outro"]);
    assert!(telegram.await_heard(BOT).await);
}

#[tokio::test]
async fn while_nobody_answers_news_wait() {
    let telegram = telegram().await;
    telegram.set_webhook_backoff(Duration::from_millis(1));
    assert_eq!(
        call(&telegram, "setWebhook", json!({"url": "http://127.0.0.1:9/"}))
            .await
            .0,
        200
    );
    telegram.person_writes(BOT, ANA, "um");
    telegram.person_writes(BOT, ANA, "dois");
    let receiver = Receiver::start();
    assert_eq!(
        call(&telegram, "setWebhook", json!({"url": receiver.url}))
            .await
            .0,
        200
    );
    assert_eq!(texts(&receiver.came(2).await, ANA), ["um", "dois"]);
    // Set anew with the wish to forget, nothing of before comes.
    call(&telegram, "setWebhook", json!({"url": "http://127.0.0.1:9/"})).await;
    telegram.person_writes(BOT, ANA, "três");
    call(
        &telegram,
        "setWebhook",
        json!({"url": receiver.url, "drop_pending_updates": true}),
    )
    .await;
    telegram.person_writes(BOT, ANA, "quatro");
    assert_eq!(texts(&receiver.came(3).await, ANA), ["um", "dois", "quatro"]);
    assert_eq!(call(&telegram, "deleteWebhook", json!({})).await.0, 200);
    telegram.person_writes(BOT, ANA, "cinco");
    assert_eq!(
        call(&telegram, "getUpdates", json!({})).await.1["result"][0]["message"]["text"],
        "cinco"
    );
}

#[tokio::test]
async fn an_answer_may_be_a_call() {
    let telegram = telegram().await;
    let receiver = Receiver::start();
    receiver.answer(
        200,
        json!({"method": "sendMessage", "chat_id": ANA, "text": "olá"}),
    );
    call(&telegram, "setWebhook", json!({"url": receiver.url})).await;
    telegram.person_writes(BOT, ANA, "oi");
    assert_eq!(telegram.await_sent(BOT, 1).await[0].text(), "olá");
}

#[tokio::test]
async fn addresses_are_checked() {
    let telegram = telegram().await;
    for (url, words) in [
        (
            "http://bots.helixai.test/x",
            "An HTTPS URL must be provided for webhook",
        ),
        (
            "https://bots.helixai.test:9000/x",
            "Webhook can be set up only on ports 80, 88, 443 or 8443",
        ),
        (
            "https://bots.helixai.test/x",
            "Failed to resolve host: Name or service not known",
        ),
        ("nothing", "invalid webhook URL specified"),
    ] {
        let answer = call(&telegram, "setWebhook", json!({"url": url})).await;
        assert_eq!(
            why(&answer),
            (400, format!("Bad Request: bad webhook: {words}").as_str())
        );
    }
    let receiver = Receiver::start();
    telegram.send_webhooks_through(&receiver.url);
    let unfit = json!({"url": "https://bots.helixai.test/x", "secret_token": "com espaço"});
    let unfit = call(&telegram, "setWebhook", unfit).await;
    assert_eq!(
        why(&unfit),
        (400, "Bad Request: secret token contains unallowed characters")
    );
    let set = call(
        &telegram,
        "setWebhook",
        json!({"url": "https://bots.helixai.test/x?y=1"}),
    )
    .await;
    assert_eq!(set.0, 200);
    telegram.person_writes(BOT, ANA, "oi");
    assert_eq!(receiver.came(1).await[0].0, "/x?y=1");
}
