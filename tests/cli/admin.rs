//! `helixai admin create`: administrators, and what happens to one who is made again.

use helixai::accounts::hashing;
use helixai::domain::password::Password;
use serde_json::json;

use super::program::{Program, run_bare};

const CREATE: [&str; 6] = [
    "admin",
    "create",
    "--email",
    "Root@helixai.example",
    "--name",
    "Ana Root",
];

async fn fits(password: &str, hash: &str) -> bool {
    hashing::verify(Password::presented(password.to_owned()), Some(hash.to_owned()))
        .await
        .expect("argon2")
}

#[tokio::test]
async fn one_who_is_made_again_has_a_new_password_and_no_session() {
    let program = Program::set_up().await;
    let made = program.json(&CREATE);
    assert_eq!(made["email"], "root@helixai.example");
    let admin = program.admin().await;
    let row = admin
        .query_one("select id::text, password_hash, name from master.admins", &[])
        .await
        .expect("one administrator");
    assert_eq!(made["id"], row.get::<_, String>(0));
    assert!(
        fits(
            made["temporary_password"].as_str().expect("a password"),
            row.get(1)
        )
        .await
    );
    admin
        .batch_execute(
            "insert into master.admin_sessions (id, admin_id, token_hash, created_at, expires_at)
             select gen_random_uuid(), id, sha256('token'), now(), now() + interval '1 hour' from master.admins",
        )
        .await
        .expect("a session");

    let mut again = [&CREATE[..], &["--password-stdin", "--json"]].concat();
    again[5] = "Ana Again";
    let run = program.run_with_input(&again, "correct horse\n").expect(0);
    assert_eq!(run.json()["temporary_password"], json!(null));
    let row = admin
        .query_one(
            "select id::text, password_hash, name, (select count(*) from master.admin_sessions) from master.admins",
            &[],
        )
        .await
        .expect("still one administrator");
    assert_eq!(made["id"], row.get::<_, String>(0));
    assert!(fits("correct horse", row.get(1)).await);
    assert_eq!((row.get(2), row.get(3)), ("Ana Again", 0_i64));
    let audited: i64 = admin
        .query_one(
            "select count(*) from master.audit_log
             where action = 'admin.create' and actor_kind = 'cli' and entity = 'admin' and tenant_id is null",
            &[],
        )
        .await
        .expect("a count")
        .get(0);
    assert_eq!(audited, 2);
}

#[test]
fn mistakes_are_told_without_a_database() {
    run_bare(&["admin", "create", "--email", "root", "--name", "Ana"], &[])
        .expect(2)
        .says("must be an e-mail address");
    run_bare(&[&CREATE[..], &["--password-stdin"]].concat(), &[])
        .expect(2)
        .says("no password on standard input");
}
