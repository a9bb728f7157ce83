//! A copy does not speak, and is nobody's but its own.

use helixai::domain::ids::MessageId;
use helixai::storage::TenantFile;
use helixai::tenancy::keeper::KeeperError;
use serde_json::json;

use super::{Case, backup, content, fill, kept, number, restore, silent, tenant_key};
use crate::helpers::{TestApp, TestTenant, cli_origin};

/// Tables whose rows a copy does not get.
const SILENT: [&str; 10] = [
    "sessions",
    "password_links",
    "socket_tickets",
    "notifications",
    "login_throttle",
    "idempotency_keys",
    "api_keys",
    "outbox",
    "jobs",
    "reminder_rules",
];

#[tokio::test]
async fn a_copy_has_the_rows_and_none_of_the_voice() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    let mut before = content(&admin, &schema).await;
    case.backup("garage", "a").await;
    let copy = case.restore("a", Some("garage_copy")).await.expect("a copy");
    let original = tenant_key("garage");
    let original = case.test.platform.resolver.find(&original).await.unwrap();
    assert!(copy.is_copy && !copy.over && copy.id != original.home.id);
    let mut after = content(&admin, "tenant_garage_copy").await;
    for table in SILENT {
        assert_eq!(after.remove(table), Some(Vec::new()), "{table}");
        assert_ne!(before.remove(table), Some(Vec::new()), "{table}");
    }
    assert_eq!(after, before);
    let sandbox = "select count(*) from master.subscriptions s
                   join master.tenants t on t.id = s.tenant_id and t.tenant_key = 'garage-copy'
                   join master.plan_versions v on v.id = s.plan_version_id
                   join master.plans p on p.id = v.plan_id and p.code = 'sandbox'
                   join master.plan_limits l on l.plan_version_id = v.id and l.meter in ('messages', 'ai_tokens', 'instances')
                   where l.limit_value = 0";
    assert_eq!(number(&admin, sandbox).await, 3, "it may send nothing");
    case.sound().await;
    // Its own snapshot belongs to it; its original's does not take its place.
    assert!(matches!(
        case.restore("a", Some("garage-copy")).await,
        Err(KeeperError::KeyTaken)
    ));
    case.backup("garage-copy", "b").await;
    assert!(case.restore("b", None).await.unwrap().over);
    assert_eq!(kept(&admin, &schema).await.len(), before.len() + 4);
    case.sound().await;
}

#[tokio::test]
async fn people_log_into_a_copy_with_their_passwords_and_programs_not_at_all() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    fill(&app.test.admin().await, &garage.schema).await;
    let session = app.log_in(&garage).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    backup(&app.test.platform, "garage", file.clone()).await.unwrap();
    restore(&app.test.platform, file, Some("copy")).await.unwrap();
    let copy = TestTenant {
        key: "copy".to_owned(),
        ..garage.clone()
    };
    app.get("/api/leads")
        .of(&copy)
        .bearer(&garage.api_key)
        .await
        .expect(401);
    app.get("/api/leads").of(&copy).bearer(&session).await.expect(401);
    let session = app.log_in(&copy).await;
    let leads = app
        .get("/api/leads")
        .of(&copy)
        .bearer(&session)
        .await
        .expect(200)
        .json();
    assert_eq!(leads["items"].as_array().map(Vec::len), Some(50));
    // And what is done there is done there alone.
    app.post("/api/leads")
        .of(&copy)
        .bearer(&session)
        .json(&json!({"name": "Only in the copy"}))
        .await
        .expect(201);
    let q = "/api/leads?q=copy";
    let found = app.get(q).by(&garage).await.expect(200).json();
    assert_eq!(found["items"], json!([]));
    app.get("/api/leads")
        .of(&garage)
        .bearer(&session)
        .await
        .expect(401);
}

/// What came along with messages comes back with them; what was lost says so, and nobody awaits what nobody fetches. In a copy without the
/// people there is nothing that they have sent.
#[tokio::test]
async fn what_came_along_with_messages_comes_back() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    let ids = format!("select id from {schema}.messages order by id limit 3");
    let ids = admin.query(&ids, &[]).await.expect("messages");
    let ids: Vec<MessageId> = ids.iter().map(|row| MessageId::from_uuid(row.get(0))).collect();
    assert_eq!(ids.len(), 3);
    for (id, set) in ids.iter().zip([
        "file_state = 'stored', file_type = 'image/png', file_bytes = 3",
        "file_state = 'stored', file_type = 'image/png', file_bytes = 9",
        "file_state = 'pending', file_due_at = now()",
    ]) {
        let set = format!("update {schema}.messages set {set} where id = '{id}'");
        admin.batch_execute(&set).await.expect("files");
    }
    let original = case.test.platform.resolver.find(&tenant_key("garage")).await;
    let (original, store) = (original.unwrap().home.id, &case.test.platform.keeper.store);
    let file = TenantFile::Message(ids[0]);
    store.put(original, file, b"png".to_vec()).await.unwrap();
    case.backup("garage", "a").await;
    let copy = case.restore("a", Some("garage_copy")).await.expect("a copy");
    let bytes = store.open(copy.id, file).await.unwrap();
    assert_eq!(bytes.as_deref(), Some(&b"png"[..]));
    let keys = (&tenant_key("garage"), tenant_key("clone"));
    let keeper = &case.test.platform.keeper;
    let masked = keeper
        .duplicate(keys, true, case.folder.path(), cli_origin(), &silent())
        .await
        .expect("a copy");
    assert_eq!(store.list(masked.restored.id).await.unwrap(), []);
    for (schema, first) in [
        ("tenant_garage_copy", "stored null"),
        ("tenant_clone", "failed lost"),
    ] {
        let states = format!(
            "select concat(file_state, ' ', coalesce(file_error, 'null')) from {schema}.messages where file_state is not null order by id"
        );
        let states = admin.query(&states, &[]).await.expect("messages");
        let states: Vec<String> = states.iter().map(|row| row.get(0)).collect();
        assert_eq!(states, [first, "failed lost", "failed restored"], "{schema}");
    }
    case.sound().await;
}
