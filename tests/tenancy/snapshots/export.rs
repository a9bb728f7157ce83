//! The zip that a tenant takes along.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use helixai::storage::TenantFile;
use helixai::tenancy::keeper::KeeperError;
use serde_json::Value;

use super::{Case, number, silent, tenant_key};
use crate::helpers::cli_origin;

fn entry(archive: &mut zip::ZipArchive<std::fs::File>, name: &str) -> String {
    let mut text = String::new();
    archive
        .by_name(name)
        .expect(name)
        .read_to_string(&mut text)
        .expect("UTF-8");
    text
}

#[tokio::test]
async fn an_export_holds_every_table_twice_and_no_credential() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let keeper = &case.test.platform.keeper;
    let (key, file) = (tenant_key("garage"), case.file("a.zip"));
    let made = keeper
        .export(&key, &file, cli_origin(), &silent())
        .await
        .expect("an export");
    let metadata = std::fs::metadata(&file).unwrap();
    assert_eq!(
        (metadata.len(), metadata.permissions().mode() & 0o777),
        (made.bytes, 0o600)
    );
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.expect("UTF-8").into_owned())
        .collect();
    for table in [
        "users",
        "contacts",
        "leads",
        "messages",
        "vehicles",
        "audit_log",
        "settings",
    ] {
        assert!(
            names.contains(&format!("csv/{table}.csv")) && names.contains(&format!("jsonl/{table}.jsonl")),
            "{names:?}"
        );
    }
    assert_eq!(names.len(), made.tables * 2 + 1);
    assert!(
        !names
            .iter()
            .any(|name| name.contains("sessions") || name.contains("idempotency"))
    );
    let admin = case.test.admin().await;
    let (mut all, mut rows) = (String::new(), 0);
    for name in &names {
        let text = entry(&mut archive, name);
        if name.ends_with(".jsonl") {
            let table = name.trim_start_matches("jsonl/").trim_end_matches(".jsonl");
            let lines: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).expect("JSON"))
                .collect();
            assert_eq!(
                lines.len() as i64,
                number(&admin, &format!("select count(*) from {schema}.{table}")).await,
                "{table}"
            );
            rows += lines.len();
        }
        all.push_str(&text);
    }
    assert!(rows > 300, "{rows}");
    for secret in ["argon2", "password_hash", "key_hash", "abababab"] {
        assert!(!all.contains(secret), "{secret}");
    }
    // Values are whole, whatever is in them.
    let lead: Value =
        serde_json::from_str(entry(&mut archive, "jsonl/leads.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(lead["notes"], "\\N \\. linha\r\n 日本 🚗");
    let users = entry(&mut archive, "csv/users.csv");
    assert!(users.starts_with("id,email,name,role,status,"), "{users}");
    assert!(users.contains("\"Zé\tda \\ Silva\n1\""), "{users}");
    let readme = entry(&mut archive, "README.txt");
    assert!(
        readme.contains("garage") && readme.contains("Os seus dados"),
        "{readme}"
    );
    let noted = "select count(*) from master.audit_log where action = 'tenant.export'";
    assert_eq!(number(&admin, noted).await, 1);
}

#[tokio::test]
async fn photos_are_in_an_export_and_a_failed_one_leaves_nothing() {
    let case = Case::start().await;
    let made = case.test.onboard("garage", "cars").await;
    let photo = helixai::domain::ids::PhotoId::new();
    let store = &case.test.platform.keeper.store;
    let [full, _] = TenantFile::of_photo(photo);
    store.put(made.id, full, b"a picture".to_vec()).await.unwrap();
    let message = helixai::domain::ids::MessageId::new();
    let sent = TenantFile::Message(message);
    store.put(made.id, sent, b"a paper".to_vec()).await.unwrap();
    let keeper = &case.test.platform.keeper;
    let (key, file) = (tenant_key("garage"), case.file("a.zip"));
    keeper
        .export(&key, &file, cli_origin(), &silent())
        .await
        .expect("an export");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
    assert_eq!(entry(&mut archive, &format!("photos/{photo}.jpg")), "a picture");
    assert_eq!(entry(&mut archive, &format!("media/{message}")), "a paper");
    let admin = case.test.admin().await;
    // A table of which nobody has said whose it is.
    admin
        .batch_execute("create table tenant_garage.stranger (id int primary key)")
        .await
        .unwrap();
    let target = case.file("b.zip");
    assert!(
        keeper
            .export(&key, &target, cli_origin(), &silent())
            .await
            .is_err()
    );
    assert!(!target.exists());
    let nobody = keeper
        .export(&tenant_key("nobody-here"), &target, cli_origin(), &silent())
        .await;
    assert!(matches!(nobody, Err(KeeperError::Unknown)));
}
