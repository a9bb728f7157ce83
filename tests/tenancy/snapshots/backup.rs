//! What is in a snapshot: one moment of one tenant.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use helixai::domain::platform_key::PlatformKey;
use helixai::tenancy::keeper::KeeperError;
use helixai::tenancy::snapshot::{Part, Reader};

use super::{Case, backup, fill, number};
use crate::helpers::cli_origin;

/// Everything that a snapshot holds, unpacked: its header and all rows.
fn unpacked(path: &std::path::Path, key: &PlatformKey) -> (String, String) {
    let mut reader = Reader::open(std::fs::File::open(path).unwrap(), key).unwrap();
    let header = format!("{:?}", reader.header());
    let mut rows = Vec::new();
    while let Some(part) = reader.next().unwrap() {
        if let Part::Rows(more) = part {
            rows.extend(more);
        }
    }
    (header, String::from_utf8(rows).unwrap())
}

#[tokio::test]
async fn a_snapshot_is_of_one_moment() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    // Every transaction takes from one and gives to another, in two tables that are read one after the other.
    admin
        .batch_execute(&format!(
            "insert into {schema}.settings select 'account.a' || n, to_jsonb(1000), now() from generate_series(1, 9) n;
             update {schema}.vehicles set price_cents = 1000"
        ))
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|number| {
            let (stop, test, schema) = (Arc::clone(&stop), case.test.admin(), schema.clone());
            let sql = format!(
                "with one as (update {schema}.settings set value = to_jsonb((value::int8) - 1)
                              where key = 'account.a{}' returning 1)
                 update {schema}.vehicles set price_cents = price_cents + 1
                 where id = (select id from {schema}.vehicles order by id offset {number} limit 1)",
                number + 1
            );
            (stop, test, sql)
        })
        .collect();
    let mut running = Vec::new();
    for (stop, client, sql) in writers {
        let client = client.await;
        running.push(tokio::spawn(async move {
            let mut moved = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                client.batch_execute(&sql).await.expect("a transfer");
                moved += 1;
            }
            moved
        }));
    }
    for round in 0..5 {
        case.backup("garage", &format!("{round}")).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut moved = 0;
    for writer in running {
        moved += writer.await.unwrap();
    }
    assert!(moved > 0);
    for round in 0..5 {
        let key = format!("copy-{round}");
        case.restore(&format!("{round}"), Some(&key)).await.unwrap();
        let copy = format!("tenant_copy_{round}");
        let sum = number(
            &admin,
            &format!(
                "select (select sum(value::int8) from {copy}.settings where key like 'account.%')::int8
                      + (select sum(price_cents) from {copy}.vehicles)::int8"
            ),
        )
        .await;
        assert_eq!(sum, 39_000, "{round}");
    }
}

#[tokio::test]
async fn a_snapshot_holds_nothing_of_another_tenant_and_no_session() {
    let case = Case::start().await;
    let mine = case.garage("garage").await;
    let other = case.garage("other").await;
    let admin = case.test.admin().await;
    for (schema, name) in [(&mine, "MINEONLY"), (&other, "SOMEBODYELSES")] {
        for sql in [
            "update {}.leads set notes = '@'",
            "update {}.messages set body = '@'",
            "update {}.users set name = '@'",
        ] {
            let sql = sql.replace("{}", schema).replace('@', name);
            admin.batch_execute(&sql).await.unwrap();
        }
    }
    case.backup("garage", "a").await;
    let (header, rows) = unpacked(&case.file("a"), &case.test.platform.key);
    assert!(rows.contains("MINEONLY"));
    assert!(!rows.contains("SOMEBODYELSES") && !rows.contains("other.example"));
    assert!(
        !header.contains("Empresa other") && !header.contains("other.example"),
        "{header}"
    );
    for token in admin
        .query(
            &format!("select encode(token_hash, 'hex') from {mine}.sessions"),
            &[],
        )
        .await
        .unwrap()
    {
        // An API key of the test has the same hash; a session's row has its user.
        let token: String = token.get(0);
        assert!(
            !rows
                .lines()
                .any(|line| line.contains(&token) && line.contains("-") && line.split('\t').count() == 6)
        );
    }
    assert!(
        header.contains(
            r#"left_out: ["idempotency_keys", "login_throttle", "password_links", "sessions", "notifications", "socket_tickets", "whatsapp_codes"]"#
        ),
        "{header}"
    );
}

#[tokio::test]
async fn a_file_is_its_owners_and_takes_its_name_when_it_is_whole() {
    let case = Case::start().await;
    case.garage("garage").await;
    std::fs::write(case.file("a"), "an older one").unwrap();
    let made = case.backup("garage", "a").await;
    let metadata = std::fs::metadata(case.file("a")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(metadata.len(), made.bytes);
    // A backup that fails leaves what was there, and nothing beside it.
    let before = std::fs::read(case.file("a")).unwrap();
    let admin = case.test.admin().await;
    admin
        .batch_execute("create table tenant_garage.stranger (id int primary key)")
        .await
        .unwrap();
    let refused = backup(&case.test.platform, "garage", case.file("a")).await;
    assert!(refused.unwrap_err().to_string().contains("stranger"));
    assert_eq!(std::fs::read(case.file("a")).unwrap(), before);
    let nowhere = backup(&case.test.platform, "nobody-here", case.file("b")).await;
    assert!(matches!(nowhere, Err(KeeperError::Unknown)));
    let names: Vec<_> = std::fs::read_dir(case.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a"]);
    for target in [case.folder.path().to_owned(), case.file("no/such/folder/a")] {
        assert!(backup(&case.test.platform, "garage", target).await.is_err());
    }
}

#[tokio::test]
async fn a_suspended_tenant_is_backed_up_and_comes_back() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let key = super::tenant_key("garage");
    case.test
        .platform
        .lifecycle
        .suspend(&key, "test", cli_origin())
        .await
        .unwrap();
    case.backup("garage", "a").await;
    let admin = case.test.admin().await;
    admin
        .batch_execute(&format!("delete from {schema}.messages"))
        .await
        .unwrap();
    case.restore("a", None).await.unwrap();
    assert_eq!(
        number(&admin, &format!("select count(*) from {schema}.messages")).await,
        200
    );
    let status = "select count(*) from master.tenants where status = 'suspended'";
    assert_eq!(
        number(&admin, status).await,
        1,
        "a restore does not end a suspension"
    );
    case.sound().await;
}

#[tokio::test]
async fn an_administrator_who_is_no_superuser_backs_up_and_restores() {
    let program = crate::cli::program::Program::on_empty_database().await;
    let url = program.owner_url().await;
    let program = program.with("HELIXAI__DATABASE__URL", &url);
    program.run(&["migrate"]).expect(0);
    let program = program.with("HELIXAI__DATABASE__ALLOW_EXCESS_PRIVILEGES", "true");
    let made = program.onboard("garage", "cars");
    let admin = program.admin().await;
    let schema = made["schema_name"].as_str().expect("a schema");
    fill(&admin, schema).await;
    let before = super::kept(&admin, schema).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a");
    let file = file.to_str().expect("UTF-8");
    program.run(&["tenant", "backup", "garage", file]).expect(0);
    program.run(&["tenant", "restore", file]).expect(0);
    assert_eq!(super::kept(&admin, schema).await, before);
    program.run(&["tenant", "restore", file, "copy"]).expect(0);
    program
        .run(&["tenant", "delete", "garage", "--yes", "--now"])
        .expect(0);
    program.run(&["tenant", "restore", file]).expect(0);
    assert_eq!(super::kept(&admin, schema).await, before);
}
