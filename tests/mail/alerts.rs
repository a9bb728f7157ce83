//! Who has used much of the plan is told, and so is who looks after backups.

use chrono::{TimeDelta, Utc};
use helixai::domain::clock::Clock;
use helixai::domain::metering::Amount;
use helixai::domain::metering::UsageKey;
use helixai::domain::usage::Meter;
use helixai_fakes::smtp::FakeSmtp;

use super::sending_to;

#[tokio::test]
async fn an_owner_is_told_of_each_threshold_once() {
    let server = FakeSmtp::start().await.unwrap();
    let clock = Clock::fixed(Utc::now());
    let test = sending_to(&server).clock(clock.clone()).start().await;
    let garage = test.onboard("garage", "cars").await;
    let metering = &test.platform.metering;
    let admin = test.admin().await;
    let limit =
        "select limit_value from master.plan_limits l join master.plan_versions v on v.id = l.plan_version_id
                 join master.plans p on p.id = v.plan_id where p.code = 'starter' and l.meter = 'messages'";
    let limit: i64 = admin.query_one(limit, &[]).await.unwrap().get(0);
    let used = limit * 4 / 5;
    let record = async |amount: i64, key: &str| {
        let (amount, key) = (Amount::parse(amount).unwrap(), UsageKey::parse(key).unwrap());
        metering
            .record(garage.id, Meter::Messages, amount, &key)
            .await
            .unwrap();
    };
    record(used, "first").await;
    let second = test.second().await;
    let told = tokio::join!(
        metering.tell_alerts(&test.platform.key),
        second.metering.tell_alerts(&second.key)
    );
    assert_eq!(told.0.unwrap() + told.1.unwrap(), 1);
    record(1, "second").await;
    assert_eq!(metering.tell_alerts(&test.platform.key).await.unwrap(), 0);
    record(limit - used, "third").await;
    assert_eq!(metering.tell_alerts(&test.platform.key).await.unwrap(), 1);
    test.platform.mailer().send_due().await.unwrap();
    let subjects: Vec<String> = server
        .taken()
        .iter()
        .filter(|mail| mail.to == [garage.owner_email.clone()])
        .map(helixai_fakes::smtp::Mail::text)
        .filter(|text| text.contains("mensagens do plano"))
        .collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    clock.advance(TimeDelta::hours(1));
    assert_eq!(test.platform.mailer().send_due().await.unwrap(), 0);
}

#[tokio::test]
async fn administrators_are_told_once_a_day_that_backups_fail() {
    let server = FakeSmtp::start().await.unwrap();
    let clock = Clock::fixed("2026-03-10T15:00:00Z".parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let builder = sending_to(&server).set("backup.folder", folder.path().display());
    let test = builder.clock(clock.clone()).start().await;
    let garage = test.onboard("garage", "cars").await;
    let imob = test.onboard("imob", "real_estate").await;
    let admin = test.admin().await;
    let add = "insert into master.admins (id, email, name, password_hash, status, created_at, updated_at)
               select gen_random_uuid(), n || '@helixai.test', n, '$argon2id$none', s, now(), now()
               from (values ('ada', 'active'), ('bob', 'active'), ('cid', 'disabled')) v (n, s)";
    admin.batch_execute(add).await.unwrap();
    let vault = test.platform.vault.clone().expect("a vault");
    assert_eq!(vault.tell_failures().await.unwrap(), 0);
    let note = async |tenant, minutes: i64, error: Option<&str>| {
        let at = clock.now() + TimeDelta::minutes(minutes);
        let insert = "insert into master.tenant_backups (tenant_id, id, taken_at, encrypted, error, file_name, bytes, sha256, rows)
                      select $1, gen_random_uuid(), $2, false, $3, n, length(n), sha256(n::bytea), length(n)
                      from (select case when $3::text is null then '1.snapshot' end as n) x";
        let tenant: helixai::domain::ids::TenantId = tenant;
        admin
            .execute(insert, &[&tenant.as_uuid(), &at, &error])
            .await
            .unwrap();
    };
    note(garage.id, -60, Some("no space")).await;
    // The one after it was good.
    note(imob.id, -60, Some("no space")).await;
    note(imob.id, -30, None).await;
    assert_eq!(vault.tell_failures().await.unwrap(), 1);
    assert_eq!(vault.tell_failures().await.unwrap(), 1);
    test.platform.mailer().send_due().await.unwrap();
    let told = |server: &FakeSmtp| {
        let mails = server
            .taken()
            .into_iter()
            .filter(|mail| mail.text().contains("backup"));
        let mut told: Vec<String> = mails
            .inspect(|mail| {
                assert!(mail.text().contains("- garage\n") || mail.text().contains("- garage\r\n"))
            })
            .flat_map(|mail| mail.to)
            .collect();
        told.sort();
        told
    };
    assert_eq!(told(&server), ["ada@helixai.test", "bob@helixai.test"]);
    clock.advance(TimeDelta::hours(22));
    vault.tell_failures().await.unwrap();
    test.platform.mailer().send_due().await.unwrap();
    assert_eq!(told(&server).len(), 4, "the next day");
    clock.advance(TimeDelta::hours(3));
    assert_eq!(vault.tell_failures().await.unwrap(), 0, "it is no news any more");
}
