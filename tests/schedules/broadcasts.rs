//! The same words to many: each of them once, nobody who wants none, and never too many at once.

use chrono::TimeDelta;
use helixai::db::tenant::{Access, sending};
use helixai::domain::ids::InstanceId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Shop;
use crate::helpers::tenant_db_of;
use crate::http::customers::made;

impl Shop {
    /// So many contacts with whom the bot talks, and whether they want no broadcasts.
    pub async fn crowd(&self, people: usize, opted_out: usize) {
        let crowd = format!(
            "with people as (
                 insert into {{}}.contacts (id, name, opted_out_at, created_at, updated_at)
                 select gen_random_uuid(), 'Pessoa ' || n, case when n <= {opted_out} then now() end, '2020-01-01', '2020-01-01'
                 from generate_series(1, {people}) n returning id)
             insert into {{}}.conversations (id, contact_id, channel, instance_id, external_id, status, last_message_at, created_at, updated_at)
             select gen_random_uuid(), id, 'telegram', '{}', id::text, 'open', now(), now(), now() from people",
            self.bot
        );
        self.run(&crowd).await;
    }

    pub async fn broadcast(&self, body: Value) -> Value {
        let mut broadcast = json!({"name": "Promo", "instance_id": self.bot, "body": "Oi {{primeiro_nome}}", "pace_per_minute": 600});
        let fields = body.as_object().expect("an object").clone();
        broadcast.as_object_mut().expect("an object").extend(fields);
        made(&self.app, &self.tenant, "/api/broadcasts", broadcast).await
    }

    /// Starts it, pauses it, and so on.
    pub async fn act(&self, broadcast: &Value, action: &str) -> Value {
        let path = format!("{}/{action}", broadcast_path(broadcast));
        self.app.post(&path).by(&self.tenant).await.expect(200).json()
    }

    pub async fn see(&self, broadcast: &Value) -> Value {
        let path = broadcast_path(broadcast);
        self.app.get(&path).by(&self.tenant).await.expect(200).json()
    }

    /// Takes what waits to be sent, as the bot does, and notes what became of it; how many that were.
    pub async fn send(&self, failure: Option<&'static str>) -> usize {
        let platform = &self.app.test.platform;
        let (db, now, worker) = (
            tenant_db_of(platform, &self.tenant.key).await,
            platform.clock.now(),
            Uuid::now_v7(),
        );
        let (access, bot) = (Access::system(now), InstanceId::from_uuid(self.bot));
        let claim = sending::claim(worker, bot, 1000, (now, now + TimeDelta::seconds(90)));
        let claimed = db.run(&access, claim).await.expect("claimed").output;
        let note = |id| match failure {
            None => sending::set_sent(id, worker, None, now),
            Some(why) => sending::set_failed(id, worker, why, now),
        };
        let notes: Vec<_> = claimed.iter().map(|message| note(message.id)).collect();
        db.run(&access, notes).await.expect("noted");
        claimed.len()
    }

    /// Lets time pass while the bot sends, until the broadcast is in this state; the most that waited at once.
    pub async fn until_it_is(&self, broadcast: &Value, state: &str) -> usize {
        let mut most = 0;
        for _ in 0..500 {
            self.work().await;
            if self.see(broadcast).await["state"] == state {
                return most;
            }
            most = most.max(self.send(None).await);
            self.app.test.clock.advance(TimeDelta::seconds(5));
        }
        panic!("it never is {state}: {}", self.see(broadcast).await);
    }
}

fn broadcast_path(broadcast: &Value) -> String {
    format!("/api/broadcasts/{}", broadcast["id"].as_str().expect("an id"))
}

/// How often each contact was told, how many contacts.
const TOLD: &str = "select told, count(*) from (select c.contact_id, count(*) as told from {}.messages m
    join {}.conversations c on c.id = m.conversation_id where m.status = 'sent' group by c.contact_id) each group by told";

#[tokio::test]
async fn thousands_are_told_once_with_pauses() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    shop.crowd(2000, 30).await;
    let broadcast = shop.broadcast(json!({})).await;
    assert_eq!(broadcast["state"], "draft");
    let preview = shop.act(&broadcast, "preview").await;
    assert_eq!(
        (&preview["count"], &preview["opted_out"]),
        (&json!(1971), &json!(30))
    );
    assert_eq!(preview["samples"].as_array().map(Vec::len), Some(3));
    let started = shop.act(&broadcast, "start").await;
    assert_eq!(started["state"], "running");
    assert_eq!(shop.act(&broadcast, "start").await, started);
    // Whoever comes later is not meant.
    let late = shop.contact("Tarde").await;
    shop.run(&format!(
        "update {{}}.contacts set created_at = '2026-03-10T12:00:01Z' where id = '{late}'"
    ))
    .await;
    shop.talk(late).await;
    for _ in 0..5 {
        shop.work().await;
        assert!(shop.send(None).await <= 50);
        shop.app.test.clock.advance(TimeDelta::seconds(5));
    }
    // Some who are to be told want no more.
    let out = shop
        .rows("select contact_id from {}.broadcast_recipients where state = 'pending' order by contact_id desc limit 2")
        .await;
    for contact in out.as_array().unwrap() {
        let path = format!("/api/contacts/{}/opt-out", contact[0].as_str().unwrap());
        let contact = shop.app.put(&path).by(&shop.tenant).await.expect(200).json();
        assert_eq!(
            shop.app.put(&path).by(&shop.tenant).await.expect(200).json()["opted_out_at"],
            contact["opted_out_at"]
        );
    }
    shop.work().await;
    let paused = shop.act(&broadcast, "pause").await;
    assert_eq!(paused["state"], "paused");
    let before = shop.count("{}.messages").await;
    for _ in 0..3 {
        shop.app.test.clock.advance(TimeDelta::minutes(1));
        shop.work().await;
        shop.send(None).await;
    }
    shop.app.test.clock.advance(TimeDelta::minutes(1));
    shop.work().await;
    assert_eq!(shop.count("{}.messages").await, before);
    let still = shop.see(&broadcast).await;
    assert_eq!(
        (&still["progress"]["queued"], &still["state"]),
        (&json!(0), &json!("paused"))
    );
    assert_eq!(still["progress"]["sent"], before);
    shop.act(&broadcast, "resume").await;
    let most = shop.until_it_is(&broadcast, "done").await;
    assert!((1..=50).contains(&most), "{most}");
    let done = shop.see(&broadcast).await;
    let progress =
        json!({"total": 2001, "queued": 0, "sent": 1969, "failed": 0, "skipped": 0, "opted_out": 32});
    assert_eq!(done["progress"], progress);
    assert_eq!(shop.rows(TOLD).await, json!([[1, 1969]]));
    let call = shop.app.post(&format!("{}/cancel", broadcast_path(&broadcast)));
    call.by(&shop.tenant).await.problem(409, "wrong_state");
}

#[tokio::test]
async fn what_is_given_up_is_not_sent() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    shop.crowd(200, 0).await;
    let broadcast = shop.broadcast(json!({"send_at": "2026-03-10T13:00:00Z"})).await;
    assert_eq!(
        (&broadcast["state"], &broadcast["send_at"]),
        (&json!("scheduled"), &json!("2026-03-10T13:00:00Z"))
    );
    shop.set("2026-03-10T12:59:59Z");
    shop.work().await;
    assert_eq!(shop.see(&broadcast).await["state"], "scheduled");
    shop.set("2026-03-10T13:00:00Z");
    shop.work().await;
    let running = shop.see(&broadcast).await;
    assert_eq!(running["state"], "running");
    let waiting = running["progress"]["queued"].as_i64().unwrap();
    assert!(waiting > 0, "{running}");
    let canceled = shop.act(&broadcast, "cancel").await;
    assert_eq!(
        shop.act(&broadcast, "cancel").await["progress"],
        canceled["progress"]
    );
    assert_eq!(canceled["progress"]["skipped"], waiting);
    shop.set("2026-03-10T14:00:00Z");
    shop.work().await;
    assert_eq!(shop.send(None).await, 0);
    assert_eq!(
        shop.count("{}.messages where status = 'failed' and error = 'canceled'")
            .await,
        waiting
    );
    let call = shop.app.post(&format!("{}/resume", broadcast_path(&broadcast)));
    call.by(&shop.tenant).await.problem(409, "wrong_state");
}

#[tokio::test]
async fn who_wants_no_more_is_not_told_what_waits() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    // Beside the one who is there.
    shop.crowd(4, 0).await;
    let broadcast = shop.broadcast(json!({})).await;
    shop.act(&broadcast, "start").await;
    shop.work().await;
    assert_eq!(shop.see(&broadcast).await["progress"]["queued"], 5);
    let out =
        "select contact_id from {}.broadcast_recipients where state = 'queued' order by contact_id limit 1";
    let out = shop.rows(out).await;
    let path = format!("/api/contacts/{}/opt-out", out[0][0].as_str().unwrap());
    for _ in 0..2 {
        shop.app.put(&path).by(&shop.tenant).await.expect(200);
    }
    assert_eq!(shop.send(None).await, 4);
    shop.until_it_is(&broadcast, "done").await;
    let progress = &shop.see(&broadcast).await["progress"];
    let counts = ["queued", "sent", "failed", "skipped", "opted_out"].map(|name| progress[name].as_i64());
    assert_eq!(counts, [0, 4, 0, 0, 1].map(Some), "{progress}");
    let unsaid = "{}.messages where status = 'failed' and error = 'opted_out'";
    assert_eq!(shop.count(unsaid).await, 1);
}

#[tokio::test]
async fn a_broadcast_that_cannot_go_on_does_not_hold_up_the_others() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    shop.crowd(3, 0).await;
    let moments = ["0000-01-01T00:00:00Z", "+262142-01-01T00:00:00Z"];
    for moment in moments {
        let body = json!({"name": "x", "instance_id": shop.bot, "body": "Oi", "segment": {"last_seen_after": moment}});
        let refused = shop.app.post("/api/broadcasts").by(&shop.tenant).json(&body);
        refused
            .await
            .refused_fields(&[("segment.last_seen_after", "invalid_format")]);
    }
    let broken = shop.broadcast(json!({})).await;
    shop.act(&broken, "start").await;
    shop.run(&format!(
        "update {{}}.broadcasts set segment = '{{\"tags_any\": \"no list\"}}' where id = '{}'",
        broken["id"].as_str().unwrap()
    ))
    .await;
    let sound = shop.broadcast(json!({})).await;
    shop.act(&sound, "start").await;
    shop.until_it_is(&sound, "done").await;
    assert_eq!(shop.count("{}.broadcasts where state = 'running'").await, 1);
}

#[tokio::test]
async fn a_month_that_is_used_up_stops_it_and_it_goes_on() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    shop.crowd(60, 0).await;
    let broadcast = shop.broadcast(json!({})).await;
    shop.act(&broadcast, "start").await;
    shop.work().await;
    let told = shop.send(None).await;
    shop.app.test.clock.advance(TimeDelta::seconds(5));
    shop.work().await;
    assert!(shop.send(Some("limit_exceeded")).await > 0);
    shop.app.test.clock.advance(TimeDelta::seconds(5));
    shop.work().await;
    let stopped = shop.see(&broadcast).await;
    assert_eq!(
        (&stopped["state"], &stopped["reason"]),
        (&json!("paused"), &json!("limit_exceeded"))
    );
    assert_eq!(stopped["progress"]["sent"], told);
    // Nothing was said to those for whom nothing was left.
    assert_eq!(shop.count("{}.messages").await, i64::try_from(told).unwrap());
    let resumed = shop.act(&broadcast, "resume").await;
    assert_eq!(
        (&resumed["state"], &resumed["reason"]),
        (&json!("running"), &json!(null))
    );
    shop.until_it_is(&broadcast, "done").await;
    assert_eq!(shop.rows(TOLD).await, json!([[1, 61]]));
    // The same for who does not pay.
    let other = shop.broadcast(json!({})).await;
    shop.act(&other, "start").await;
    shop.subscription("suspended").await;
    shop.work().await;
    assert_eq!(shop.see(&other).await["reason"], "subscription_inactive");
    shop.subscription("active").await;
    shop.act(&other, "resume").await;
    shop.until_it_is(&other, "done").await;
    assert_eq!(shop.rows(TOLD).await, json!([[2, 61]]));
}

#[tokio::test]
async fn who_is_meant() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (bia, caio) = (shop.contact("Bia").await, shop.contact("Caio").await);
    let (with_bia, with_caio) = (shop.talk(bia).await, shop.talk(caio).await);
    shop.run(&format!(
        "update {{}}.conversations set labels = '{{vip,novo}}' where id = '{with_bia}';
         update {{}}.conversations set labels = '{{novo}}' where id = '{with_caio}';
         insert into {{}}.leads (id, name, stage, contact_id, created_at, updated_at)
         select gen_random_uuid(), 'Caio', code, '{caio}', now(), now() from {{}}.lead_stages order by position limit 1;
         insert into {{}}.messages (id, conversation_id, instance_id, direction, author, kind, body, status, created_at)
         select gen_random_uuid(), '{with_bia}', '{}', 'inbound', 'contact', 'text', 'Oi', 'received', '2026-03-01'",
        shop.bot
    ))
    .await;
    let stage = shop.rows("select stage from {}.leads").await;
    for (segment, expected) in [
        (json!({}), vec!["Ana Lima", "Bia", "Caio"]),
        (json!({"tags_any": ["vip", "outro", "novo"]}), vec!["Bia", "Caio"]),
        (json!({"tags_all": ["vip", "novo"]}), vec!["Bia"]),
        (json!({"lead_stage": stage[0][0]}), vec!["Caio"]),
        (json!({"last_seen_after": "2026-03-01T00:00:00Z"}), vec!["Bia"]),
        (
            json!({"last_seen_before": "2026-03-01T00:00:00Z"}),
            vec!["Ana Lima", "Caio"],
        ),
        (json!({"channel": "whatsapp_web"}), vec![]),
    ] {
        let broadcast = shop.broadcast(json!({ "segment": segment })).await;
        let preview = shop.act(&broadcast, "preview").await;
        let mut names: Vec<&str> = preview["samples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sample| sample["name"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{segment}");
        assert_eq!(preview["count"], expected.len(), "{segment}");
        shop.act(&broadcast, "start").await;
        shop.until_it_is(&broadcast, "done").await;
        let done = shop.see(&broadcast).await;
        assert_eq!(done["progress"]["sent"], expected.len(), "{segment}");
    }
    let refused = async |body: Value, expected: &[(&str, &str)]| {
        let mut broadcast = json!({"name": "Promo", "instance_id": shop.bot, "body": "Oi"});
        let fields = body.as_object().unwrap().clone();
        broadcast.as_object_mut().unwrap().extend(fields);
        let call = shop.app.post("/api/broadcasts").by(&shop.tenant);
        call.json(&broadcast).await.refused_fields(expected);
    };
    refused(
        json!({"segment": {"tags_any": [""]}}),
        &[("segment.tags_any", "required")],
    )
    .await;
    refused(
        json!({"instance_id": Uuid::now_v7()}),
        &[("instance_id", "unknown_value")],
    )
    .await;
    refused(
        json!({"send_at": "2026-03-01T00:00:00Z"}),
        &[("send_at", "in_the_past")],
    )
    .await;
    refused(
        json!({"pace_per_minute": 601}),
        &[("pace_per_minute", "out_of_range")],
    )
    .await;
    refused(json!({"body": "{{var.x}}"}), &[("variables.x", "required")]).await;
}
