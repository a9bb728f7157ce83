//! What a socket hears.

use helixai::db::connect::Connector;
use helixai::db::tenant::conversations;
use helixai::db::tenant::sockets::Holder;
use helixai::domain::ids::{ApiKeyId, ConversationId};
use helixai::platform::connector;
use helixai::realtime::{Heard, Socket};
use serde_json::{Value, json};

use super::{WebSocket, conversation, say};
use crate::helpers::{TestApp, TestTenant, resolved_by, tenant_db_of};

#[tokio::test]
async fn what_happens_is_told_by_ids_to_its_own_tenant() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let imob = app.onboard("imob-beta", "real_estate").await;
    let mut at_garage = WebSocket::of(app.address, &garage, &app.log_in(&garage).await).await;
    let mut at_imob = WebSocket::of(app.address, &imob, &imob.api_key).await;

    let id = conversation(&app, &garage).await;
    let begun = at_garage.next().await;
    assert_eq!(begun["type"], "conversation.updated");
    assert_eq!(
        begun["data"],
        json!({"id": id, "status": "open", "assigned_to": null, "unread_count": 0, "version": 1})
    );
    let message = say(&app, &garage, &id, "um segredo").await;
    let told = at_garage.next().await;
    assert_eq!(told["type"], "message.created");
    assert_eq!(
        told["data"],
        json!({"id": message["id"], "conversation_id": id, "direction": "outbound", "author": "bot", "status": "queued"})
    );
    assert!(!told.to_string().contains("segredo"), "{told}");
    assert!(told["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{told}");
    let changed = at_garage.event("conversation.updated").await;
    assert_eq!(changed["data"]["id"], id);

    let path = format!("/api/conversations/{id}");
    let close = app.patch(&path).by(&garage).json(&json!({"status": "closed"}));
    close.await.expect(200);
    assert_eq!(at_garage.next().await["data"]["status"], "closed");
    app.post(&format!("{path}/read")).by(&garage).await.expect(200);
    assert_eq!(at_garage.next().await["data"]["unread_count"], 0);
    app.delete(&path).by(&garage).await.expect(204);
    let gone = at_garage.next().await;
    assert_eq!(
        (&gone["type"], &gone["data"]),
        (&json!("conversation.deleted"), &json!({"id": id}))
    );

    // Of all this the neighbour has heard nothing: the first that comes is its own.
    let own = conversation(&app, &imob).await;
    assert_eq!(at_imob.next().await["data"]["id"], own);
    // What is sent to a socket is passed over.
    at_imob
        .send(1, b"{\"type\":\"subscribe\",\"tenant\":\"garage-alpha\"}")
        .await;
    say(&app, &garage, &conversation(&app, &garage).await, "nada").await;
    let message = say(&app, &imob, &own, "nosso").await;
    assert_eq!(at_imob.next().await["data"]["id"], message["id"]);
}

#[tokio::test]
async fn what_is_said_to_a_number_is_told_with_its_conversation() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let bot = json!({"name": "Loja", "channel": "whatsapp_web", "is_active": false});
    app.post("/api/bots").by(&garage).json(&bot).await.expect(201);
    let mut socket = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let body = json!({"number": "(11) 98765-0002", "message": "um segredo", "sessionId": "loja"});
    let said = app.post("/send-message").by(&garage).json(&body);
    let said = said.await.expect(201).json();
    let told = socket.event("message.created").await;
    assert_eq!(told["data"]["id"], said["messageId"]);
    let conversation = socket.event("conversation.updated").await;
    assert_eq!(conversation["data"]["id"], told["data"]["conversation_id"]);
    // The contact's number is another from now on; the old one is still where that conversation is.
    let contacts = app.get("/api/contacts").by(&garage).await.expect(200).json();
    let path = format!(
        "/api/contacts/{}",
        contacts["items"][0]["id"].as_str().expect("an id")
    );
    let change = app
        .patch(&path)
        .by(&garage)
        .json(&json!({"phone": "(11) 98765-0003"}));
    change.await.expect(200);
    let again = app.post("/send-message").by(&garage).json(&body);
    let again = again.await.expect(201).json();
    assert_eq!(again["conversationId"], told["data"]["conversation_id"]);
}

#[tokio::test]
async fn what_one_process_writes_is_heard_at_another() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let second = app.second_process().await;
    let mut here = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let mut there = WebSocket::of(second, &garage, &garage.api_key).await;
    let id = conversation(&app, &garage).await;
    for socket in [&mut here, &mut there] {
        assert_eq!(socket.event("conversation.updated").await["data"]["id"], id);
    }
    let path = format!("/api/conversations/{id}");
    let close = app
        .patch(&path)
        .at(second)
        .by(&garage)
        .json(&json!({"status": "closed"}));
    close.await.expect(200);
    for socket in [&mut here, &mut there] {
        assert_eq!(socket.next().await["data"]["status"], "closed");
    }
}

#[tokio::test]
async fn a_state_of_a_bot_is_told_to_those_who_may_have_it() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let agent = app.add_user(&garage, "agent").await;
    let (owner, agent) = (app.log_in(&garage).await, app.session_of(&garage, agent).await);
    let mut of_owner = WebSocket::of(app.address, &garage, &owner).await;
    let mut of_agent = WebSocket::of(app.address, &garage, &agent).await;
    let token = format!("777777777:AA{}", "x".repeat(33));
    let bot = json!({"name": "Vendas", "token": token, "is_active": false});
    let bot = app
        .post("/api/bots")
        .of(&garage)
        .bearer(&owner)
        .json(&bot)
        .await
        .expect(201)
        .json();
    let told = of_owner.event("bot.state").await;
    assert_eq!(told["data"]["id"], bot["id"]);
    assert!(!told.to_string().contains(&token));
    // The owner's bot is none of the agent's.
    let id = conversation(&app, &garage).await;
    let first = of_agent.next().await;
    assert_eq!(
        (&first["type"], &first["data"]["id"]),
        (&json!("conversation.updated"), &json!(id))
    );
}

/// Kills the connections that hear.
async fn cut(app: &TestApp) -> i64 {
    let admin = app.test.admin().await;
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and query like '%beat_sockets%' and pid <> pg_backend_pid()";
    admin.query_one(cut, &[]).await.expect("cut").get(0)
}

#[tokio::test]
async fn after_a_lost_connection_everything_is_to_be_asked_for_again() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let mut socket = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let token = app.log_in(&garage).await;
    let mut of_user = WebSocket::of(app.address, &garage, &token).await;
    for _ in 0..2 {
        assert_eq!(
            cut(&app).await,
            1,
            "one connection hears, however many sockets there are"
        );
        assert_eq!(socket.next().await["type"], "resync");
        let id = conversation(&app, &garage).await;
        assert_eq!(socket.event("conversation.updated").await["data"]["id"], id);
    }
    // Whose session ends while nobody hears is found out afterwards.
    let end = format!("delete from {}.sessions", garage.schema);
    app.test.admin().await.batch_execute(&end).await.expect("ended");
    assert_eq!(cut(&app).await, 1);
    assert_eq!(of_user.closed().await, 4401);
    socket.event("resync").await;
}

#[tokio::test]
async fn a_process_that_was_taken_for_dead_has_missed_something() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let imob = app.onboard("imob-beta", "real_estate").await;
    let mut socket = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let over = "update helixai.socket_processes set alive_until = clock_timestamp() - interval '1 second'";
    app.test.admin().await.batch_execute(over).await.expect("over");
    // The first of its tenant: the process says at once that it lives.
    let other = WebSocket::of(app.address, &imob, &imob.api_key).await;
    assert_eq!(socket.next().await["type"], "resync");
    let id = conversation(&app, &garage).await;
    assert_eq!(socket.event("conversation.updated").await["data"]["id"], id);
    drop(other);
}

/// Whose sockets have left while nobody heard, of them nothing is told any more.
#[tokio::test]
async fn a_new_connection_begins_with_the_tenants_that_have_sockets() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let imob = app.onboard("imob-beta", "real_estate").await;
    let mut socket = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let admin = app.test.admin().await;
    let left = format!(
        "insert into helixai.socket_tenants (tenant_id, process) select '{}', process from helixai.socket_processes",
        imob.id
    );
    admin.batch_execute(&left).await.expect("left behind");
    assert_eq!(cut(&app).await, 1);
    assert_eq!(socket.next().await["type"], "resync");
    let said = "select tenant_id::text from helixai.socket_tenants";
    let said = admin.query(said, &[]).await.expect("said");
    let said: Vec<String> = said.iter().map(|row| row.get(0)).collect();
    assert_eq!(said, [garage.id.to_string()]);
}

/// What this lane's login hears of the tenant's database.
struct Ear(
    tokio::sync::mpsc::UnboundedReceiver<String>,
    #[expect(dead_code, reason = "keeps it open")] helixai::db::connect::AdminClient,
);

impl Ear {
    async fn of(app: &TestApp, tenant: &TestTenant) -> Self {
        let connector: Connector = connector(&app.test.settings).expect("an address");
        let home = resolved_by(&app.test.platform, &tenant.key).await;
        let (client, heard) = connector
            .notified(&home.home.lane.login)
            .await
            .expect("connected");
        client
            .batch_execute("listen helixai_events")
            .await
            .expect("heard");
        Self(heard, client)
    }

    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.0.recv().await.expect("a notice")).expect("JSON")
    }
}

#[tokio::test]
async fn nothing_is_notified_while_nobody_listens() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let imob = app.onboard("imob-beta", "real_estate").await;
    let mut ear = Ear::of(&app, &garage).await;
    say(&app, &garage, &conversation(&app, &garage).await, "para ninguém").await;
    let socket = WebSocket::of(app.address, &imob, &imob.api_key).await;
    // Of another tenant still nothing.
    say(&app, &garage, &conversation(&app, &garage).await, "para ninguém").await;
    let id = conversation(&app, &imob).await;
    let first = ear.next().await;
    assert_eq!(
        (&first["tenant"], &first["data"]["id"]),
        (&json!(imob.id), &json!(id))
    );

    drop(socket);
    let admin = app.test.admin().await;
    app.until("nobody listens", async || {
        let count = "select count(*) from helixai.socket_tenants";
        admin
            .query_one(count, &[])
            .await
            .expect("counted")
            .get::<_, i64>(0)
            == 0
    })
    .await;
    say(&app, &imob, &id, "para ninguém").await;
    let again = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let id = conversation(&app, &garage).await;
    assert_eq!(ear.next().await["data"]["id"], id);
    drop(again);
}

/// A socket without a network, that is read when the test says so.
async fn silent(app: &TestApp, tenant: &TestTenant) -> Socket {
    let resolved = resolved_by(&app.test.platform, &tenant.key).await;
    let select = format!(
        "select id from {}.api_keys where revoked_at is null",
        tenant.schema
    );
    let key = app
        .test
        .admin()
        .await
        .query_one(&select, &[])
        .await
        .expect("a key")
        .get(0);
    let holder = Holder::ApiKey(ApiKeyId::from_uuid(key));
    let mut socket = app
        .test
        .platform
        .realtime
        .enter(&resolved, holder)
        .expect("a socket");
    socket.open().await.expect("it hears");
    socket
}

async fn next(socket: &mut Socket) -> Value {
    match socket.next().await {
        Heard::Text(text) => serde_json::from_str(&text).expect("JSON"),
        Heard::End(ending) => panic!("{ending:?}"),
    }
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_to_ask_for_everything() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let id = conversation(&app, &garage).await;
    let mut slow = silent(&app, &garage).await;
    let mut quick = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let db = tenant_db_of(&app.test.platform, &garage.key).await;
    let parsed: ConversationId = id.parse().expect("an id");
    for _ in 0..300 {
        db.run(&app.test.system(), conversations::tell(parsed))
            .await
            .expect("told");
        assert_eq!(quick.next().await["data"]["id"], id);
    }
    assert_eq!(next(&mut slow).await["type"], "resync");
    // And what happens after that, in order.
    let message = say(&app, &garage, &id, "depois").await;
    assert_eq!(next(&mut slow).await["data"]["id"], message["id"]);
}

#[tokio::test]
async fn much_at_once_is_told_as_a_whole() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let id = conversation(&app, &garage).await;
    let mut socket = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let db = tenant_db_of(&app.test.platform, &garage.key).await;
    let parsed: ConversationId = id.parse().expect("an id");
    let many: Vec<_> = (0..500).map(|_| conversations::tell(parsed)).collect();
    db.run(&app.test.system(), many).await.expect("told");
    // The same said again within a transaction is said once; the rest of it is not said at all.
    assert_eq!(socket.next().await["data"]["id"], id);
    assert_eq!(socket.next().await["type"], "resync");
    let message = say(&app, &garage, &id, "depois").await;
    assert_eq!(socket.next().await["data"]["id"], message["id"]);
}

#[tokio::test]
async fn a_notification_is_told_to_its_user_alone() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let agent = app.add_user(&garage, "agent").await;
    let (owner, token) = (app.log_in(&garage).await, app.session_of(&garage, agent).await);
    let id = conversation(&app, &garage).await;
    let mut of_agent = WebSocket::of(app.address, &garage, &token).await;
    let mut of_owner = WebSocket::of(app.address, &garage, &owner).await;
    let path = format!("/api/conversations/{id}");
    let assign = app
        .patch(&path)
        .of(&garage)
        .bearer(&owner)
        .json(&json!({ "assigned_to": agent }));
    assign.await.expect(200);
    let told = of_agent.event("notification.created").await;
    assert_eq!(
        (&told["data"]["kind"], &told["data"]["conversation_id"]),
        (&json!("conversation_assigned"), &json!(id))
    );
    let note = app
        .post(&format!("{path}/notes"))
        .of(&garage)
        .bearer(&owner)
        .json(&json!({"body": "segredo"}));
    note.await.expect(201);
    for _ in 0..2 {
        let event = of_owner.next().await;
        assert_eq!(
            (&event["type"], &event["data"]["id"]),
            (&json!("conversation.updated"), &json!(id))
        );
        assert!(!event.to_string().contains("segredo"));
    }
}
