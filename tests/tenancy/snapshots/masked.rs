//! A copy beside a tenant, with and without the people in it.

use helixai::tenancy::keeper::{Cloned, KeeperError};

use super::{Case, content, kept, number, silent, tenant_key};
use crate::helpers::{TestApp, TestTenant, cli_origin};

async fn duplicate(case: &Case, new: &str, masked: bool) -> Result<Cloned, KeeperError> {
    let keeper = &case.test.platform.keeper;
    let keys = (&tenant_key("garage"), tenant_key(new));
    keeper
        .duplicate(keys, masked, case.folder.path(), cli_origin(), &silent())
        .await
}

#[tokio::test]
async fn a_clone_is_a_copy_of_this_moment() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let made = duplicate(&case, "clone", false).await.expect("a copy");
    assert!(made.login.is_none() && made.restored.is_copy);
    let admin = case.test.admin().await;
    let mut original = kept(&admin, &schema).await;
    let copy = kept(&admin, "tenant_clone").await;
    for table in ["api_keys", "outbox", "jobs", "reminder_rules"] {
        original.insert(table.to_owned(), Vec::new());
    }
    assert_eq!(copy, original);
    assert_eq!(
        std::fs::read_dir(case.folder.path()).unwrap().count(),
        0,
        "no file is left"
    );
    assert!(matches!(
        duplicate(&case, "clone", false).await,
        Err(KeeperError::KeyTaken)
    ));
    assert!(matches!(
        duplicate(&case, "garage", false).await,
        Err(KeeperError::KeyTaken)
    ));
    case.sound().await;
}

#[tokio::test]
async fn a_masked_clone_has_every_row_and_nobody_in_it() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    admin
        .batch_execute(&format!(
            "update {schema}.leads l set phone = c.phone, email = 'cliente@mail.example' from {schema}.contacts c where l.contact_id = c.id;
             update {schema}.contacts set email = 'cliente@mail.example', notes = 'Ligar para 11 98765-4321';
             update {schema}.messages set payload = '{{\"from\": \"Cliente\"}}', provider_message_id = 'id-' || id;
             update {schema}.conversations set labels = array['vip Cliente', 'diz \"oi\", {{sim}}', ''];
             update {schema}.audit_log set details = '{{\"who\": \"Cliente\"}}';
             update master.tenants set document = '52998224725' where tenant_key = 'garage'"
        ))
        .await
        .unwrap();
    let made = duplicate(&case, "clone", true).await.expect("a copy");
    let login = made.login.expect("a login");
    assert!(
        login
            .email
            .as_deref()
            .is_some_and(|email| email.ends_with("@masked.invalid"))
    );
    let copy = content(&admin, "tenant_clone").await;
    let original = content(&admin, &schema).await;
    let counts = |content: &std::collections::BTreeMap<String, Vec<String>>| -> Vec<(String, usize)> {
        let all = content.iter().map(|(table, rows)| (table.clone(), rows.len()));
        let silent = [
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
        all.filter(|(table, _)| !silent.contains(&table.as_str()))
            .collect()
    };
    assert_eq!(counts(&copy), counts(&original));
    let all: String = copy.values().flatten().cloned().collect::<Vec<_>>().join("\n");
    for trace in [
        "Cliente",
        "Contato",
        "cliente@",
        "+5511",
        "Oi 1",
        "Zé",
        "garage.example",
        "garage.test",
        "chat-",
        "argon2id$v=19$x",
        "52998224725",
        "0002ABC",
    ] {
        assert!(!all.contains(trace), "{trace}");
    }
    assert!(
        all.contains("Fiat Argo") && all.contains("lost_twice"),
        "what is nobody's stays"
    );
    // Who belonged together still does, and what was unique is.
    let together =
        "select count(*) from tenant_clone.leads l join tenant_clone.contacts c on c.id = l.contact_id
                    where c.phone = l.phone and c.email = l.email";
    assert_eq!(number(&admin, together).await, 61);
    let labels = "select count(*) from tenant_clone.conversations
                  where labels = array['xxx xxxxxxx', 'xxx \"xx\", {xxx}', '']";
    assert_eq!(number(&admin, labels).await, 10, "their shape stays");
    let phones = "select count(distinct phone) from tenant_clone.contacts";
    assert_eq!(number(&admin, phones).await, 10);
    let registry = "select count(*) from master.tenants where tenant_key = 'clone' and document is null
                    and owner_email like '%@masked.invalid'";
    assert_eq!(number(&admin, registry).await, 1);
    // The same again, and another tenant's other.
    let again = duplicate(&case, "again", true)
        .await
        .expect("a copy")
        .login
        .expect("a login");
    assert_eq!(again.email, login.email);
    assert_ne!(again.password, login.password);
    let same = "select count(*) from tenant_clone.contacts c join tenant_again.contacts a using (id, name, phone, email)";
    assert_eq!(number(&admin, same).await, 10);
    case.sound().await;
}

#[tokio::test]
async fn an_owner_logs_into_a_masked_clone_with_the_new_password_only() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    let folder = tempfile::tempdir().unwrap();
    let keeper = &app.test.platform.keeper;
    let keys = (&tenant_key("garage"), tenant_key("clone"));
    let made = keeper
        .duplicate(keys, true, folder.path(), cli_origin(), &silent())
        .await
        .expect("a copy");
    let login = made.login.expect("a login");
    let clone = TestTenant {
        key: "clone".to_owned(),
        ..garage.clone()
    };
    let email = login.email.expect("an owner");
    let session = app.log_in_user(&clone, &email, &login.password).await;
    app.get("/api/users")
        .of(&clone)
        .bearer(&session)
        .await
        .expect(200);
    for (email, password) in [
        (garage.owner_email.as_str(), login.password.as_str()),
        (email.as_str(), garage.owner_password.as_str()),
    ] {
        let body = serde_json::json!({"email": email, "password": password});
        app.post("/api/sessions").of(&clone).json(&body).await.expect(401);
    }
}
