//! Whose turn it is, and what becomes of a row.

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use helixai::domain::clock::Clock;
use helixai::jobs::{Handled, Jobs};
use serde_json::{Value, json};

use super::{Recorder, add, job, message, numbered, states};
use crate::helpers::TestPlatform;

async fn start() -> (TestPlatform, Clock) {
    let clock = Clock::fixed(Utc::now());
    (TestPlatform::builder().clock(clock.clone()).start().await, clock)
}

async fn due_work(test: &TestPlatform) -> Vec<Value> {
    let select = "select to_jsonb(d) - 'tenant_id' from helixai.due_work d";
    let rows = test.admin().await.query(select, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn each_row_is_done_once_however_many_work() {
    let (test, clock) = start().await;
    let tenants = [
        test.onboard("garage", "cars").await,
        test.onboard("imob", "real_estate").await,
    ];
    for tenant in &tenants {
        for number in 0..12 {
            add(&test, tenant, message("sample", numbered(number), clock.now())).await;
            add(&test, tenant, job("sample", numbered(100 + number), clock.now())).await;
        }
    }
    let recorder = Recorder::of("sample");
    let platforms = [test.second().await, test.second().await, test.second().await];
    let workers = platforms.iter().map(|platform| {
        let jobs = recorder.jobs(platform);
        async move { jobs.work().await.unwrap() }
    });
    join_all(workers).await;
    let mut expected: Vec<(String, Value)> = Vec::new();
    for tenant in &tenants {
        for number in (0..12).chain(100..112) {
            expected.push((tenant.id.to_string(), numbered(number)));
        }
    }
    let mut seen = recorder.seen();
    let order = |one: &(String, Value)| (one.0.clone(), one.1["number"].as_u64());
    seen.sort_by_key(order);
    expected.sort_by_key(order);
    assert_eq!(seen, expected);
    for tenant in &tenants {
        let states = states(&test, tenant).await;
        assert!(states.contains(&json!(["outbox", "sent", 1, null])));
        assert!(states.contains(&json!(["jobs", "done", 1, null])));
        assert_eq!(
            states.iter().filter(|state| state[2] == 1).count(),
            24,
            "{states:?}"
        );
    }
    assert_eq!(due_work(&test).await, [json!(null); 0], "nobody has work");
}

#[tokio::test]
async fn nothing_is_done_before_its_time() {
    let (test, clock) = start().await;
    let garage = test.onboard("garage", "cars").await;
    let recorder = Recorder::of("sample");
    let jobs = recorder.jobs(&test.platform);
    for hours in [2, 1] {
        let at = clock.now() + TimeDelta::hours(hours);
        add(
            &test,
            &garage,
            job("sample", numbered(usize::try_from(hours).unwrap()), at),
        )
        .await;
    }
    assert_eq!(jobs.work().await.unwrap(), 0);
    for hours in [1, 2] {
        clock.advance(TimeDelta::minutes(59));
        assert_eq!(jobs.work().await.unwrap(), 0);
        clock.advance(TimeDelta::minutes(1));
        assert_eq!(jobs.work().await.unwrap(), 1);
        assert_eq!(recorder.seen().len(), hours);
    }
    assert_eq!(recorder.seen()[0].1, numbered(1));
}

#[tokio::test]
async fn what_fails_is_tried_again_later_and_later_and_given_up_at_last() {
    let (test, clock) = start().await;
    let garage = test.onboard("garage", "cars").await;
    add(&test, &garage, message("sample", json!({}), clock.now())).await;
    let recorder = Recorder::of("sample");
    let jobs = recorder.jobs(&test.platform);
    let again = || Handled::Again("the line is busy".to_owned());
    recorder.answer(&[again(), again(), again()]);
    for seconds in [30, 60] {
        assert_eq!(jobs.work().await.unwrap(), 1);
        clock.advance(TimeDelta::seconds(seconds - 1));
        assert_eq!(jobs.work().await.unwrap(), 0, "not before {seconds} seconds");
        clock.advance(TimeDelta::seconds(1));
    }
    assert_eq!(jobs.work().await.unwrap(), 1);
    assert_eq!(
        states(&test, &garage).await,
        [json!(["outbox", "failed", 3, "the line is busy"])]
    );
    // Others end at once.
    for (handled, outbox, jobs_state) in [
        (Handled::Failed("it cannot be read".to_owned()), "failed", "dead"),
        (Handled::Canceled, "canceled", "dead"),
    ] {
        let imob = test.onboard(&format!("imob-{outbox}"), "real_estate").await;
        add(&test, &imob, message("sample", json!({}), clock.now())).await;
        add(&test, &imob, job("sample", json!({}), clock.now())).await;
        recorder.answer(&[handled.clone(), handled]);
        jobs.work().await.unwrap();
        let states = states(&test, &imob).await;
        assert_eq!([&states[0][1], &states[1][1]], [outbox, jobs_state]);
    }
    assert_eq!(due_work(&test).await, [json!(null); 0]);
}

/// A tenant with a heap of work makes nobody wait for all of it.
#[tokio::test]
async fn tenants_take_turns() {
    let (test, clock) = start().await;
    let heap = test.onboard("heap", "cars").await;
    for number in 0..40 {
        add(&test, &heap, job("sample", numbered(number), clock.now())).await;
    }
    // More tenants than are worked on at once, all of them later.
    let mut few = Vec::new();
    for number in 0..10 {
        clock.advance(TimeDelta::seconds(1));
        let tenant = test.onboard(&format!("few-{number}"), "cars").await;
        add(&test, &tenant, job("sample", numbered(0), clock.now())).await;
        few.push(tenant.id.to_string());
    }
    clock.advance(TimeDelta::seconds(1));
    let recorder = Recorder::of("sample");
    recorder.jobs(&test.platform).work().await.unwrap();
    let seen = recorder.seen();
    assert_eq!(seen.len(), 50);
    let last_of_few = seen.iter().rposition(|(tenant, _)| few.contains(tenant)).unwrap();
    let before = seen
        .iter()
        .take(last_of_few)
        .filter(|(tenant, _)| *tenant == heap.id.to_string());
    assert!(before.count() <= 15, "{last_of_few}");
}

#[tokio::test]
async fn what_nobody_here_knows_waits_for_who_does() {
    let (test, clock) = start().await;
    let garage = test.onboard("garage", "cars").await;
    add(&test, &garage, message("strange", json!({}), clock.now())).await;
    let sample = Recorder::of("sample");
    assert_eq!(sample.jobs(&test.platform).work().await.unwrap(), 1);
    assert_eq!(
        sample.jobs(&test.platform).work().await.unwrap(),
        0,
        "not again and again"
    );
    assert_eq!(
        states(&test, &garage).await,
        [json!(["outbox", "pending", 0, null])]
    );
    let strange = Recorder::of("strange");
    clock.advance(TimeDelta::hours(1));
    assert_eq!(strange.jobs(&test.platform).work().await.unwrap(), 1);
    assert_eq!(strange.seen().len(), 1);
}

/// Whatever is noted while a tenant is being worked for is seen: by that turn or by the next.
#[tokio::test]
async fn nothing_that_is_noted_meanwhile_is_lost() {
    let (test, clock) = start().await;
    let garage = test.onboard("garage", "cars").await;
    let recorder = Recorder::of("sample");
    let second = test.second().await;
    let jobs = [recorder.jobs(&test.platform), recorder.jobs(&second)];
    let db = test.tenant_db(&garage).await;
    let access = test.system();
    let writer = async {
        for number in 0..100 {
            let work = job("sample", numbered(number), clock.now());
            db.run(&access, work).await.unwrap();
        }
    };
    let workers = async {
        for _ in 0..60 {
            for worker in &jobs {
                worker.work().await.unwrap();
            }
        }
    };
    tokio::join!(writer, workers);
    for worker in &jobs {
        worker.work().await.unwrap();
    }
    let mut seen: Vec<_> = recorder.seen().into_iter().map(|(_, payload)| payload).collect();
    seen.sort_by_key(|payload| payload["number"].as_u64());
    assert_eq!(seen, (0..100).map(numbered).collect::<Vec<_>>());
    // Later than the lease of a turn, and noted while one is under way.
    let admin = test.admin().await;
    let take = "select helixai.take_due($1, $2, $3, 8)";
    let (now, worker) = (clock.now(), uuid::Uuid::now_v7());
    add(&test, &garage, job("sample", numbered(1), now)).await;
    admin
        .execute(take, &[&worker, &now, &(now + TimeDelta::minutes(3))])
        .await
        .unwrap();
    add(
        &test,
        &garage,
        job("sample", numbered(2), now + TimeDelta::hours(5)),
    )
    .await;
    let end = "select helixai.end_due($1, $2, null)";
    admin
        .execute(end, &[&garage.id.as_uuid(), &worker])
        .await
        .unwrap();
    let noted = "select due_at = $1 and leased_by is null and noted_at is null from helixai.due_work";
    let noted = admin
        .query_one(noted, &[&(now + TimeDelta::hours(5))])
        .await
        .unwrap();
    assert!(noted.get::<_, bool>(0));
}

/// A heap of one kind keeps no other kind of the same tenant waiting.
#[tokio::test]
async fn kinds_take_turns() {
    let (test, clock) = start().await;
    let garage = test.onboard("garage", "cars").await;
    for number in 0..40 {
        add(&test, &garage, message("bulk", numbered(number), clock.now())).await;
    }
    clock.advance(TimeDelta::seconds(1));
    add(&test, &garage, message("link", numbered(100), clock.now())).await;
    let bulk = Recorder::of("bulk");
    let link = bulk.as_kind("link");
    let jobs = Jobs::new(
        test.platform.clone(),
        vec![Box::new(bulk.clone()), Box::new(link)],
    );
    jobs.work().await.unwrap();
    let seen = bulk.seen();
    assert_eq!(seen.len(), 41);
    let place = seen.iter().position(|(_, payload)| *payload == numbered(100));
    assert!(place.unwrap() < 5, "{place:?}");
}

/// Addresses and words are kept for as long as there is something to be done with them.
#[tokio::test]
async fn what_has_ended_is_empty() {
    let (test, clock) = start().await;
    let garage = test.onboard("garage", "cars").await;
    let recorder = Recorder::of("sample");
    let again = Handled::Again("later".to_owned());
    for work in [message, job] {
        for handled in [
            Handled::Done,
            Handled::Canceled,
            Handled::Failed("no".to_owned()),
            again.clone(),
        ] {
            add(
                &test,
                &garage,
                work("sample", json!({"to": "ana@example.com"}), clock.now()),
            )
            .await;
            recorder.answer(&[handled]);
            recorder.jobs(&test.platform).work().await.unwrap();
        }
    }
    for (table, waiting) in [("outbox", "pending"), ("jobs", "queued")] {
        let held = format!(
            "select count(*) filter (where payload <> '{{}}'), count(*) filter (where (payload <> '{{}}') = (state = '{waiting}'))
             from {}.{table}",
            garage.schema_name
        );
        let held = test.admin().await.query_one(&held, &[]).await.unwrap();
        assert_eq!((held.get::<_, i64>(0), held.get::<_, i64>(1)), (1, 4), "{table}");
    }
}
