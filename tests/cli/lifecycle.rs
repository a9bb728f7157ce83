//! `helixai tenant rename`, `archive`, `restore-archived`, `delete`, `purge`, `retry`.

use serde_json::{Value, json};

use super::program::Program;

#[tokio::test]
async fn a_tenant_is_put_away_deleted_brought_back_and_gone() {
    let program = Program::set_up().await;
    let made = program.onboard("garage-one", "cars");
    let archived = program.json(&["tenant", "archive", "garage_one"]);
    assert_eq!(
        (&archived["status"], &archived["archive"]["purge_at"]),
        (&json!("archived"), &Value::Null)
    );
    program
        .run(&["tenant", "backup", "garage-one", "/nonexistent/x"])
        .expect(5)
        .says("archived");
    program
        .run(&["tenant", "delete", "garage-one"])
        .expect(2)
        .says("--yes");
    let deleted = program.json(&["tenant", "delete", "garage-one", "--yes"]);
    assert_eq!(deleted["archive"]["sha256"], archived["archive"]["sha256"]);
    let until = deleted["archive"]["purge_at"].as_str().expect("a date");
    let run = program
        .run(&["tenant", "delete", "garage-one", "--yes"])
        .expect(0);
    assert!(run.stdout.contains(until.get(..16).expect("a moment")), "{run:?}");
    let run = program.run(&["tenant", "show", "garage-one"]).expect(0);
    assert!(run.stdout.contains("removed for good on"), "{run:?}");
    let back = program.json(&["tenant", "restore-archived", "garage-one"]);
    assert_eq!(
        (&back["id"], &back["status"], &back["archive"]),
        (&made["id"], &json!("active"), &Value::Null)
    );
    program.run(&["tenant", "purge", "garage-one", "--yes"]).expect(5);
    // For a person, with what is being done on standard error.
    let run = program
        .run(&["tenant", "archive", "garage-one"])
        .expect(0)
        .says("leads")
        .says("checking")
        .says("removing");
    assert_eq!(run.stdout.trim(), "garage-one is archived");
    program
        .run(&["tenant", "purge", "garage-one"])
        .expect(2)
        .says("--yes");
    let gone = program.json(&["tenant", "purge", "garage-one", "--yes"]);
    assert_eq!(gone, json!({"tenant_key": "garage-one", "id": made["id"]}));
    for command in ["archive", "restore-archived", "retry"] {
        program
            .run(&["tenant", command, "garage-one"])
            .expect(4)
            .says("garage-one");
    }
}

#[tokio::test]
async fn a_tenant_gets_another_key() {
    let program = Program::set_up().await;
    let made = program.onboard("garage-one", "cars");
    program.onboard("garage-two", "cars");
    let renamed = program.json(&["tenant", "rename", "garage_one", "oficina"]);
    assert_eq!(
        (&renamed["id"], &renamed["tenant_key"], &renamed["url"]),
        (
            &made["id"],
            &json!("oficina"),
            &json!("http://oficina.localhost:8080")
        )
    );
    program
        .run(&["tenant", "rename", "garage-one", "oficina"])
        .expect(0);
    program.run(&["tenant", "show", "garage-one"]).expect(4);
    program
        .run(&["tenant", "rename", "oficina", "garage-two"])
        .expect(5)
        .says("another client");
    program
        .run(&["tenant", "rename", "garage-two", "garage-one"])
        .expect(5);
    program.run(&["tenant", "rename", "oficina", "www"]).expect(2);
}

#[tokio::test]
async fn an_onboarding_that_was_given_up_is_taken_up_again() {
    let program = Program::set_up().await;
    let admin = program.admin().await;
    program.onboard("garage-one", "cars");
    program
        .run(&["tenant", "retry", "garage-one"])
        .expect(5)
        .says("active");
    // In the way, until somebody has seen to it.
    let stop = "create function master.refuse() returns trigger language plpgsql as
                    $$ begin raise exception using errcode = 'connection_failure'; end $$;
                create trigger refuse before insert on helixai.tenant_roles for each row execute function master.refuse()";
    admin.batch_execute(stop).await.expect("own database");
    let create = [
        "tenant",
        "create",
        "garage-two",
        "--name",
        "Garage Two",
        "--niche",
        "cars",
        "--owner-email",
        "ana@two.example",
        "--owner-name",
        "Ana",
    ];
    let failed = program.run(&create);
    assert_ne!(failed.code, 0, "{failed:?}");
    admin
        .batch_execute(
            "drop trigger refuse on helixai.tenant_roles;
             update master.tenants set status = 'failed', lease_owner = null, lease_expires_at = null
             where tenant_key = 'garage-two' and status = 'provisioning'",
        )
        .await
        .expect("own database");
    let retried = program.json(&["tenant", "retry", "garage-two"]);
    assert_eq!(retried["status"], "active");
    assert!(retried["api_key"].as_str().is_some_and(|key| !key.is_empty()));
    program.run(&["tenant", "retry", "garage-two"]).expect(5);
}
