//! Messages that are said later.

use futures_util::future::join_all;
use serde_json::json;

use super::{Shop, path_of, worker};

#[tokio::test]
async fn it_is_said_at_its_moment_and_once() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let planned = shop.plan(json!({"at": "2026-03-10T18:00"})).await;
    assert_eq!(planned["state"], "scheduled");
    assert_eq!(planned["next_at"], "2026-03-10T21:00:00Z");
    shop.set("2026-03-10T20:59:59Z");
    shop.work().await;
    assert_eq!(shop.said().await, json!([]));
    shop.set("2026-03-10T21:00:00Z");
    for _ in 0..3 {
        shop.work().await;
    }
    assert_eq!(shop.said().await, json!([["Oi Ana"]]));
    let done = shop.read(&planned).await;
    assert_eq!((&done["state"], &done["next_at"]), (&json!("done"), &json!(null)));
    assert_eq!(
        (&done["last_outcome"], &done["told"]),
        (&json!("queued"), &json!(1))
    );
    let message = shop.rows("select id from {}.messages").await;
    assert_eq!(message, json!([[done["last_message_id"]]]));
    // Nothing is due any more: the line rests.
    let line = shop
        .rows("select state from {}.jobs where kind = 'schedules'")
        .await;
    assert_eq!(line, json!([["done"]]));
}

#[tokio::test]
async fn two_schedulers_at_once_say_it_once() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    for n in 0..250 {
        let at = json!({"send_at": "2026-03-10T13:00:00Z", "body": format!("{n}")});
        shop.plan(at).await;
    }
    shop.set("2026-03-10T13:00:05Z");
    let other = shop.app.test.second().await;
    // As if the lease of a turn were over while it is worked on: whoever ticks finds the tenant due again.
    let due_again = "update {}.jobs set leased_by = null, leased_until = null, run_at = '2026-03-10', state = 'queued' where kind = 'schedules';
                     update helixai.due_work set due_at = '2026-03-10', leased_by = null";
    for _ in 0..3 {
        let (here, there) = (worker(&shop.app.test.platform), worker(&other));
        let ticks = [here.clone(), there.clone(), here, there];
        let overlapping = async {
            for _ in 0..5 {
                shop.run(due_again).await;
            }
        };
        let (worked, ()) = tokio::join!(join_all(ticks.iter().map(|jobs| jobs.work())), overlapping);
        assert!(worked.iter().all(Result::is_ok), "{worked:?}");
    }
    shop.run(due_again).await;
    shop.work().await;
    assert_eq!(shop.count("{}.messages").await, 250);
    assert_eq!(shop.count("{}.outbox where kind = 'send_message'").await, 250);
    assert_eq!(
        shop.count("{}.scheduled_messages where told = 1 and state = 'done'")
            .await,
        250
    );
    other.close().await;
}

#[tokio::test]
async fn what_recurs_goes_on_and_what_was_missed_is_said_once() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let daily = json!({"every": "day", "time": "09:00", "count": 3});
    let planned = shop.plan(json!({ "recurrence": daily })).await;
    assert_eq!(planned["next_at"], "2026-03-11T12:00:00Z");
    shop.set("2026-03-11T12:00:00Z");
    shop.work().await;
    assert_eq!(shop.read(&planned).await["next_at"], "2026-03-12T12:00:00Z");
    // Nobody works for four days: the last of them is made good.
    shop.set("2026-03-15T20:00:00Z");
    shop.work().await;
    assert_eq!(shop.said().await, json!([["Oi Ana"], ["Oi Ana"]]));
    let late = shop.read(&planned).await;
    assert_eq!(late["last_at"], "2026-03-15T12:00:00Z");
    assert_eq!(
        (&late["told"], &late["next_at"]),
        (&json!(2), &json!("2026-03-16T12:00:00Z"))
    );
    shop.set("2026-03-16T12:00:00Z");
    shop.work().await;
    let ended = shop.read(&planned).await;
    assert_eq!((&ended["told"], &ended["state"]), (&json!(3), &json!("done")));
}

#[tokio::test]
async fn who_has_not_paid_says_nothing_and_is_told_so() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let once = shop.plan(json!({"send_at": "2026-03-10T13:00:00Z"})).await;
    let daily = json!({"every": "day", "time": "10:00"});
    let daily = shop.plan(json!({ "recurrence": daily })).await;
    shop.subscription("suspended").await;
    shop.set("2026-03-10T13:00:00Z");
    shop.work().await;
    let once = shop.read(&once).await;
    assert_eq!(
        (&once["state"], &once["last_outcome"]),
        (&json!("done"), &json!("skipped"))
    );
    assert_eq!(once["last_reason"], "subscription_inactive");
    assert_eq!(shop.said().await, json!([]));
    shop.subscription("active").await;
    shop.set("2026-03-11T13:00:00Z");
    shop.work().await;
    assert_eq!(shop.said().await, json!([["Oi Ana"]]));
    let daily = shop.read(&daily).await;
    assert_eq!((&daily["last_reason"], &daily["told"]), (&json!(null), &json!(1)));
}

#[tokio::test]
async fn taken_back_or_said_but_never_both() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let mut planned = Vec::new();
    for n in 0..30 {
        let body = json!({"send_at": "2026-03-10T13:00:00Z", "body": format!("{n}")});
        planned.push(shop.plan(body).await);
    }
    shop.set("2026-03-10T13:00:00Z");
    let cancel = |row: &serde_json::Value| shop.app.delete(&path_of(row)).by(&shop.tenant);
    let canceling = join_all(planned.iter().map(|row| async { cancel(row).await.status }));
    let (statuses, ()) = tokio::join!(canceling, shop.work());
    shop.work().await;
    for (row, status) in planned.iter().zip(statuses) {
        let state = shop.read(row).await;
        let said = shop
            .count(&format!(
                "{{}}.messages where id = '{}'",
                state["last_message_id"]
                    .as_str()
                    .unwrap_or("00000000-0000-0000-0000-000000000000")
            ))
            .await;
        match status {
            204 => assert_eq!((&state["state"], said), (&json!("canceled"), 0), "{state}"),
            409 => assert_eq!((&state["state"], said), (&json!("done"), 1), "{state}"),
            other => panic!("{other}"),
        }
        // Asked again, it is answered the same.
        assert_eq!(cancel(row).await.status, status);
    }
}

#[tokio::test]
async fn a_change_moves_it_and_a_stale_one_is_told() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let planned = shop.plan(json!({"send_at": "2026-03-10T13:00:00Z"})).await;
    let patch = async |body: serde_json::Value| {
        let call = shop.app.patch(&path_of(&planned)).by(&shop.tenant);
        call.json(&body).await
    };
    let moved = patch(
        json!({"at": "2026-03-11T09:00", "time_zone": "America/Manaus", "body": "Até logo", "version": 1}),
    )
    .await;
    let moved = moved.expect(200).json();
    assert_eq!(
        (&moved["next_at"], &moved["version"]),
        (&json!("2026-03-11T13:00:00Z"), &json!(2))
    );
    patch(json!({"body": "Tarde demais", "version": 1}))
        .await
        .problem(409, "stale_version");
    shop.set("2026-03-10T14:00:00Z");
    shop.work().await;
    assert_eq!(shop.said().await, json!([]));
    // Earlier again, and again and again from then on.
    let weekly = json!({"every": "week", "weekdays": ["tuesday"], "time": "12:00"});
    let again = patch(json!({ "recurrence": weekly })).await.expect(200).json();
    assert_eq!(again["next_at"], "2026-03-10T16:00:00Z");
    let once = patch(json!({"recurrence": null, "send_at": "2026-03-10T15:00:00Z"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&once["recurrence"], &once["next_at"]),
        (&json!(null), &json!("2026-03-10T15:00:00Z"))
    );
    shop.set("2026-03-10T15:00:00Z");
    shop.work().await;
    assert_eq!(shop.said().await, json!([["Até logo"]]));
    patch(json!({"body": "Zu spät"}))
        .await
        .problem(409, "wrong_state");
    let cancel = shop.app.delete(&path_of(&planned)).by(&shop.tenant);
    cancel.await.problem(409, "wrong_state");
}
