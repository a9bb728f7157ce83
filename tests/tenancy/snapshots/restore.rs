//! A tenant that was deleted comes back as it was.

use helixai::domain::metering::{ActualUse, Amount, ReservationState, UsageKey};
use helixai::domain::usage::Meter;
use helixai::tenancy::keeper::{KeeperError, Purge};

use super::{Case, FORGOTTEN, content, fill, kept, number, restore};
use crate::helpers::{TestPlatform, tenant_db_of};

#[tokio::test]
async fn what_was_deleted_comes_back_row_by_row() {
    let case = Case::start().await;
    let admin = case.test.admin().await;
    for (key, niche) in [
        ("garage-alpha", "cars"),
        ("imob-beta", "real_estate"),
        ("loja", "general"),
    ] {
        let made = case.test.onboard(key, niche).await;
        fill(&admin, &made.schema_name).await;
        let before = kept(&admin, &made.schema_name).await;
        let bought = format!(
            "select count(*) from master.subscriptions s join master.tenants t on t.id = s.tenant_id
             where t.tenant_key = '{key}' and s.status = 'trialing' and s.trial_ends_at > now() + interval '6 days'"
        );
        assert_eq!(number(&admin, &bought).await, 1);
        let backed_up = case.backup(key, key).await;
        assert_eq!(
            backed_up.rows,
            before.values().map(|rows| rows.len() as u64).sum::<u64>()
        );
        case.delete(key).await;
        case.sound().await;

        let restored = case.restore(key, None).await.expect("it comes back");
        assert_eq!(
            (restored.id, restored.is_copy, restored.over),
            (made.id, false, false)
        );
        assert_eq!(restored.rows, backed_up.rows);
        let mut after = content(&admin, &made.schema_name).await;
        for table in FORGOTTEN {
            assert_eq!(after.remove(table), Some(Vec::new()), "{table}");
        }
        assert_eq!(after, before, "{niche}");
        assert_eq!(number(&admin, &bought).await, 1, "it has what it had bought");
        assert_eq!(
            number(&admin, "select count(*) from master.tenant_keys_reserved").await,
            0,
            "its key is its own again"
        );
        case.sound().await;
        let db = tenant_db_of(&case.test.second().await, key).await;
        db.run(&case.test.system(), ()).await.expect("it is served");
    }
    let audit = admin
        .query(
            "select action from master.audit_log where action <> 'tenant.create' order by id limit 4",
            &[],
        )
        .await
        .unwrap();
    let actions: Vec<String> = audit.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        actions,
        ["tenant.backup", "tenant.purge", "tenant.purged", "tenant.restore"]
    );
}

#[tokio::test]
async fn nothing_that_waited_is_sent_twice() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    admin
        .batch_execute(&format!(
            "insert into {schema}.outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
             values (gen_random_uuid(), 'send_message', '{{}}', 'pending', now(), 3, now(), now());
             insert into {schema}.jobs (id, kind, payload, state, run_at, max_attempts, created_at, updated_at, leased_by, leased_until)
             values (gen_random_uuid(), 'remind', '{{}}', 'queued', now(), 3, now(), now(), gen_random_uuid(), now());
             insert into {schema}.messages (id, conversation_id, instance_id, direction, author, kind, status, created_at)
             select gen_random_uuid(), id, instance_id, 'outbound', 'bot', 'text', 'queued', now()
             from {schema}.conversations limit 1"
        ))
        .await
        .unwrap();
    case.backup("garage", "a").await;
    case.delete("garage").await;
    case.restore("a", None).await.unwrap();
    for (sql, expected) in [
        ("outbox where state = 'pending'", 0),
        ("outbox where state = 'canceled'", 1),
        ("outbox where state = 'sent'", 4),
        ("jobs where state = 'queued' or leased_by is not null", 0),
        ("messages where status = 'queued'", 0),
        ("messages where status = 'failed'", 1),
    ] {
        assert_eq!(
            number(&admin, &format!("select count(*) from {schema}.{sql}")).await,
            expected,
            "{sql}"
        );
    }
}

#[tokio::test]
async fn the_usage_of_a_tenant_that_comes_back_is_counted_again() {
    let case = Case::start().await;
    let made = case.test.onboard("garage", "cars").await;
    let admin = case.test.admin().await;
    admin
        .batch_execute(&format!(
            "insert into master.usage_events (tenant_id, meter, key, period_start, amount, occurred_at)
             select '{id}', meter, key::text, date '2026-11-01', 7, now()
             from unnest(array['messages', 'ai_tokens']) meter, generate_series(1, 3) key;
             insert into master.usage_counters (tenant_id, meter, period_start, limit_value, used, created_at, updated_at)
             values ('{id}', 'messages', '2026-11-01', 1000, 21, now(), now())",
            id = made.id
        ))
        .await
        .unwrap();
    case.backup("garage", "a").await;
    case.delete("garage").await;
    case.restore("a", None).await.unwrap();
    let counted = admin
        .query(
            "select meter, used, limit_value from master.usage_counters order by 1",
            &[],
        )
        .await
        .unwrap();
    let counted: Vec<(String, i64, i64)> = counted
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!(
        counted,
        [
            ("ai_tokens".to_owned(), 21, 200_000),
            ("messages".to_owned(), 21, 1000)
        ]
    );
    // Its keys are known as what they were: settled.
    let metering = &case.test.platform.metering;
    let key = UsageKey::work("ai_reply", uuid::Uuid::nil());
    admin
        .execute(
            "insert into master.usage_events (tenant_id, meter, key, period_start, amount, occurred_at)
             values ($1, 'messages', $2, '2026-11-01', 7, now())",
            &[&made.id.as_uuid(), &key.as_str()],
        )
        .await
        .unwrap();
    let amount = Amount::parse(9).unwrap();
    let again = metering
        .reserve(made.id, Meter::Messages, amount, &key)
        .await
        .unwrap();
    assert_eq!(
        (again.state, again.settled_amount),
        (ReservationState::Settled, Some(7))
    );
    metering
        .settle(made.id, &key, ActualUse::parse(7).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_deleted_key_is_for_its_own_tenant_only() {
    let case = Case::start().await;
    case.garage("garage").await;
    case.garage("other").await;
    case.backup("garage", "garage").await;
    case.backup("other", "other").await;
    // A copy cannot take the key of a tenant that lives, nor of one that was deleted.
    assert!(matches!(
        case.restore("other", Some("garage")).await,
        Err(KeeperError::KeyTaken)
    ));
    case.delete("garage").await;
    assert!(matches!(
        case.restore("other", Some("garage")).await,
        Err(KeeperError::KeyTaken)
    ));
    assert!(case.restore("garage", None).await.is_ok());
    case.sound().await;
}

#[tokio::test]
async fn a_platform_of_its_own_takes_a_snapshot_only_when_it_is_told_to() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    case.backup("garage", "a").await;
    let before = kept(&case.test.admin().await, &schema).await;
    let elsewhere = TestPlatform::start().await;
    let refused = restore(&elsewhere.platform, case.file("a"), None).await;
    assert!(refused.unwrap_err().to_string().contains("--other-platform"));
    let request = helixai::tenancy::keeper::RestoreRequest {
        file: case.file("a"),
        key: None,
        any_platform: true,
    };
    let origin = crate::helpers::cli_origin();
    elsewhere
        .platform
        .keeper
        .restore(request, origin, &super::silent())
        .await
        .expect("it is trusted");
    assert_eq!(kept(&elsewhere.admin().await, &schema).await, before);
}

#[tokio::test]
async fn rows_of_an_older_template_are_brought_to_the_newest() {
    let case = Case::start().await;
    let admin = case.test.admin().await;
    let made = case.test.onboard("garage", "cars").await;
    let schema = made.schema_name;
    let newest = number(
        &admin,
        &format!("select max(version)::int8 from {schema}.schema_history_core"),
    )
    .await;
    let shape = columns(&admin, &schema).await;
    as_of(&admin, &schema, 4).await;
    fill(&admin, &schema).await;
    let before = kept(&admin, &schema).await;
    case.backup("garage", "a").await;
    case.delete("garage").await;
    case.restore("a", None).await.unwrap();
    let after = number(
        &admin,
        &format!("select max(version)::int8 from {schema}.schema_history_core"),
    )
    .await;
    assert_eq!(after, newest);
    let ledger = "select version::int8 from master.tenant_migrations where ledger = 'core'";
    assert_eq!(number(&admin, ledger).await, newest);
    assert_eq!(columns(&admin, &schema).await, shape);
    let after = kept(&admin, &schema).await;
    for (table, rows) in before {
        // A column may have been added since.
        assert_eq!(after.get(&table).map(Vec::len), Some(rows.len()), "{table}");
    }
    case.sound().await;
}

/// Makes the schema of a garage anew, at this version of core and the first of its niche.
async fn as_of(admin: &tokio_postgres::Client, schema: &str, version: u32) {
    let prefix = admin
        .query_one("select role_prefix from helixai.shard", &[])
        .await
        .expect("a shard");
    let prefix: String = prefix.get(0);
    let mut sql = format!(
        "drop schema {schema} cascade;
         create schema {schema} authorization {prefix}_owner;
         grant usage on schema {schema} to {prefix}_{schema};
         set role {prefix}_owner;
         alter default privileges in schema {schema} grant select on tables to {prefix}_{schema};
         set search_path = {schema}, pg_temp;
         create table schema_history_core (version int4 primary key);
         create table schema_history_cars (version int4 primary key);
         insert into schema_history_core select generate_series(1, {version});
         insert into schema_history_cars values (1);"
    );
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tenant_template");
    let mut files: Vec<(u32, std::path::PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(root.join("core")).expect("core") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let number = name
            .strip_prefix('V')
            .and_then(|rest| rest.split("__").next()?.parse().ok());
        files.extend(
            number
                .filter(|number| *number <= version)
                .map(|number| (number, path)),
        );
    }
    files.sort();
    files.push((0, root.join("cars/V1__vehicles.sql")));
    for (_, path) in files {
        sql.push_str(&std::fs::read_to_string(path).expect("a migration"));
    }
    sql.push_str(&std::fs::read_to_string(root.join("core/seed.sql")).expect("the seed"));
    sql.push_str("; reset role; reset search_path");
    admin.batch_execute(&sql).await.expect("the older schema");
}

/// Every column with its type.
async fn columns(admin: &tokio_postgres::Client, schema: &str) -> Vec<String> {
    let rows = admin
        .query(
            "select format('%s.%s %s %s', table_name, column_name, data_type, is_nullable)
             from information_schema.columns where table_schema = $1 order by 1",
            &[&schema],
        )
        .await
        .expect("columns");
    rows.iter().map(|row| row.get(0)).collect()
}

/// A file that was lost on the disk, or removed while the backup ran: it is told, and no row comes back without its files.
#[tokio::test]
async fn a_photo_whose_files_are_gone_is_left_out() {
    use crate::helpers::{TestApp, pictures};

    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    let vehicle = serde_json::json!({"title": "Fiat Uno", "make": "Fiat", "model": "Uno"});
    let made = app.post("/api/vehicles").by(&garage).json(&vehicle).await;
    let made = made.expect(201).json();
    let vehicle = format!("/api/vehicles/{}", made["id"].as_str().unwrap());
    let photo = pictures::photo();
    let added = app
        .post(&format!("{vehicle}/photos"))
        .by(&garage)
        .photos(&[&photo, &photo, &photo])
        .await
        .expect(201)
        .json();
    let id = |index: usize| added["items"][index]["id"].as_str().unwrap().to_owned();
    let folder = app.test.settings.storage.folder.join(&garage.id);
    for lost in [format!("{}.jpg", id(0)), format!("{}.thumb.jpg", id(2))] {
        std::fs::remove_file(folder.join(lost)).unwrap();
    }
    let keeping = tempfile::tempdir().unwrap();
    let (platform, file) = (&app.test.platform, keeping.path().join("a"));
    let made = super::backup(platform, "garage", file.clone()).await.unwrap();
    assert_eq!((made.files, made.photos_without_files), (4, 2));
    let restored = restore(platform, file, None).await.unwrap();
    assert_eq!((restored.over, restored.photos_left_out), (true, 2));
    assert_eq!(restored.rows + 2, made.rows);
    let key = app.add_api_key(&garage, &["read"]).await;
    let read = app
        .get(&vehicle)
        .of(&garage)
        .bearer(&key)
        .await
        .expect(200)
        .json();
    let left: Vec<&str> = read["photos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|photo| photo["id"].as_str().unwrap())
        .collect();
    assert_eq!(left, [id(1)]);
}

#[tokio::test]
async fn photos_go_with_their_rows() {
    use crate::helpers::{TestApp, pictures};

    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    let vehicle =
        serde_json::json!({"title": "Fiat Uno", "make": "Fiat", "model": "Uno", "status": "published"});
    let vehicle = app
        .post("/api/vehicles")
        .by(&garage)
        .json(&vehicle)
        .await
        .expect(201)
        .json();
    let path = format!("/api/vehicles/{}/photos", vehicle["id"].as_str().unwrap());
    let photo = pictures::photo();
    let added = app
        .post(&path)
        .by(&garage)
        .photos(&[&photo, &photo])
        .await
        .expect(201)
        .json();
    let urls: Vec<String> = added["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["url"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(urls.len(), 2);
    let shown = async |tenant: &crate::helpers::TestTenant| {
        let mut pictures = Vec::new();
        for url in &urls {
            let path = url
                .strip_prefix("http")
                .map_or(url.as_str(), |rest| &rest[rest[3..].find('/').unwrap() + 3..]);
            pictures.push(app.get(path).of(tenant).await.expect(200).body.clone());
        }
        pictures
    };
    let before = shown(&garage).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    let made = super::backup(&app.test.platform, "garage", file.clone())
        .await
        .unwrap();
    assert_eq!(made.files, 4, "two of each photo");
    let kept = std::path::Path::new(&app.test.settings.storage.folder).join(&garage.id);
    let key = super::tenant_key("garage");
    app.test
        .platform
        .keeper
        .purge(&key, Purge::Anything, crate::helpers::cli_origin())
        .await
        .unwrap();
    assert!(!kept.exists());
    restore(&app.test.platform, file.clone(), None).await.unwrap();
    app.until("the tenant is found", async || {
        app.get("/veiculos").of(&garage).await.status == 200
    })
    .await;
    assert_eq!(shown(&garage).await, before);
    let copy = restore(&app.test.platform, file, Some("copy")).await.unwrap();
    let copy = crate::helpers::TestTenant {
        key: "copy".to_owned(),
        id: copy.id.to_string(),
        ..garage.clone()
    };
    assert_eq!(shown(&copy).await, before);
    // Each has its own.
    app.test
        .platform
        .keeper
        .purge(
            &super::tenant_key("copy"),
            Purge::Anything,
            crate::helpers::cli_origin(),
        )
        .await
        .unwrap();
    assert_eq!(shown(&garage).await, before);
}
