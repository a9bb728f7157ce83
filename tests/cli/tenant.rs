//! `helixai tenant`: onboarding, lists and states from a shell.

use helixai::accounts::hashing;
use helixai::domain::password::Password;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::program::{Program, run_bare};

const CREATE: [&str; 11] = [
    "tenant",
    "create",
    "Garage_Alpha",
    "--name",
    "Garage Alpha",
    "--niche",
    "Carros",
    "--owner-email",
    "Ana@garage.example",
    "--owner-name",
    "Ana",
];

/// The stored hash of the first user's password.
async fn owner_hash(admin: &Client, schema: &str) -> String {
    admin
        .query_one(&format!("select password_hash from {schema}.users"), &[])
        .await
        .expect("one user")
        .get(0)
}

async fn fits(password: &str, hash: String) -> bool {
    hashing::verify(Password::presented(password.to_owned()), Some(hash))
        .await
        .expect("argon2")
}

#[tokio::test]
async fn a_new_tenant_is_shown_with_its_secrets_as_the_api_shows_it() {
    let program = Program::set_up().await;
    let made = program.json(&CREATE);
    assert_eq!(made["tenant_key"], "garage-alpha");
    assert_eq!(made["niche"], "cars");
    assert_eq!(made["schema_name"], "tenant_garage_alpha");
    assert_eq!(made["status"], "active");
    assert_eq!(made["url"], "http://garage-alpha.localhost:8080");
    assert_eq!(made["owner"]["email"], "ana@garage.example");
    assert!(made["api_key"].as_str().expect("a key").starts_with("hxk_"));
    let admin = program.admin().await;
    let password = made["owner"]["temporary_password"].as_str().expect("a password");
    assert!(fits(password, owner_hash(&admin, "tenant_garage_alpha").await).await);
    let audit = admin
        .query_one(
            "select actor_kind, action, tenant_id::text from master.audit_log",
            &[],
        )
        .await
        .expect("one line");
    assert_eq!((audit.get(0), audit.get(1)), ("cli", "tenant.create"));
    assert_eq!(made["id"], audit.get::<_, String>(2));
}

#[tokio::test]
async fn the_owners_password_comes_from_standard_input() {
    let program = Program::set_up().await;
    let arguments = [&CREATE[..], &["--owner-password-stdin"]].concat();
    program
        .run_with_input(&arguments, "")
        .expect(2)
        .says("no password");
    program
        .run_with_input(&arguments, "short\n")
        .expect(2)
        .says("the password must have at least 8 characters");
    let run = program
        .run_with_input(&arguments, "correct horse\r\nignored\n")
        .expect(0);
    assert!(!format!("{run:?}").contains("horse"), "{run:?}");
    let hash = owner_hash(&program.admin().await, "tenant_garage_alpha").await;
    assert!(fits("correct horse", hash).await);
}

#[tokio::test]
async fn an_idempotency_key_makes_a_repetition_harmless() {
    let program = Program::set_up().await;
    let keyed = [&CREATE[..], &["--idempotency-key", "ticket 7"]].concat();
    let first = program.json(&keyed);
    assert_eq!(program.json(&keyed), first);
    let mut other = keyed.clone();
    other[4] = "Garage Beta";
    program.run(&other).expect(5).says("idempotency key");
    program.run(&CREATE).expect(5).says("the key is taken");
    let listed = program.json(&["tenant", "list"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn every_mistake_is_told_at_once_and_before_anything_is_connected_to() {
    let wrong = [
        "tenant",
        "create",
        "www",
        "--name",
        " ",
        "--niche",
        "padaria",
        "--owner-email",
        "ana",
        "--owner-name",
        "Ana",
        "--document",
        "1",
    ];
    let run = run_bare(&wrong, &[]).expect(2);
    for part in [
        "KEY is reserved",
        "--name is required",
        "--niche must be one of: cars, general, real_estate",
        "--owner-email must be an e-mail address",
        "--document must be a CPF",
    ] {
        assert!(run.stderr.contains(part), "{part} is not in {run:?}");
    }
    run_bare(&["tenant", "create", "garage"], &[])
        .expect(2)
        .says("--owner-email");
    run_bare(&["tenant", "show", "a b"], &[]).expect(2);
    run_bare(&["tenant", "list", "--limit", "201"], &[])
        .expect(2)
        .says("between 1 and 200");
    run_bare(&["tenant", "list", "--status", "asleep"], &[])
        .expect(2)
        .says("provisioning, active");
    run_bare(&["tenant", "list", "--cursor", "x"], &[]).expect(2);

    let program = Program::set_up().await;
    let plan = [&CREATE[..], &["--plan", "golden"]].concat();
    program.run(&plan).expect(2).says("unknown plan");
    assert_eq!(program.json(&["tenant", "list"])["items"], json!([]));
}

#[tokio::test]
async fn a_list_is_narrowed_and_paged() {
    let program = Program::set_up().await;
    for (key, niche) in [
        ("garage-one", "cars"),
        ("imob-one", "imoveis"),
        ("garage-two", "cars"),
    ] {
        program.onboard(key, niche);
    }
    let keys = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items");
        let key = |item: &Value| item["tenant_key"].as_str().expect("a key").to_owned();
        items.iter().map(key).collect()
    };
    let list = |narrowed: &[&str]| program.json(&[&["tenant", "list"], narrowed].concat());
    assert_eq!(keys(&list(&[])), ["garage-two", "imob-one", "garage-one"]);
    assert_eq!(keys(&list(&["--niche", "carros"])), ["garage-two", "garage-one"]);
    assert_eq!(keys(&list(&["--q", "IMOB"])), ["imob-one"]);
    assert_eq!(keys(&list(&["--q", "%"])), Vec::<String>::new());
    assert_eq!(keys(&list(&["--status", "suspended"])), Vec::<String>::new());
    let first = list(&["--limit", "2"]);
    assert_eq!(keys(&first), ["garage-two", "imob-one"]);
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = list(&["--limit", "2", "--cursor", cursor]);
    assert_eq!(keys(&second), ["garage-one"]);
    assert_eq!(second["next_cursor"], json!(null));

    let table = program.run(&["tenant", "list", "--limit", "2"]).expect(0);
    assert_eq!(table.stdout.lines().count(), 3, "{table:?}");
    assert!(table.stderr.contains(cursor), "{table:?}");
}

#[tokio::test]
async fn a_suspension_is_in_the_database_and_can_be_repeated() {
    let program = Program::set_up().await;
    program.onboard("garage-one", "cars");
    let admin = program.admin().await;
    let may_be_served = async || -> bool {
        admin
            .query_one(
                "select pg_has_role(l.login, t.role_name, 'MEMBER')
                 from master.tenants t join master.lanes l on l.shard_id = t.shard_id and l.number = t.lane",
                &[],
            )
            .await
            .expect("one tenant")
            .get(0)
    };
    assert!(may_be_served().await);
    for _ in 0..2 {
        let suspended = program.json(&["tenant", "suspend", "garage-one", "--reason", "did not answer"]);
        assert_eq!(suspended["status"], "suspended");
        assert_eq!(suspended["suspended_reason"], "did not answer");
        assert!(!may_be_served().await);
    }
    let shown = program.json(&["tenant", "show", "garage_one"]);
    assert_eq!(shown["status"], "suspended");
    assert_eq!(shown["subscription"]["plan"], "starter");
    let text = program.run(&["tenant", "show", "garage-one"]).expect(0).stdout;
    assert!(text.contains("did not answer"), "{text}");
    for _ in 0..2 {
        let active = program.json(&["tenant", "activate", "garage-one"]);
        assert_eq!(
            (&active["status"], &active["suspended_reason"]),
            (&json!("active"), &json!(null))
        );
        assert!(may_be_served().await);
    }
}

#[tokio::test]
async fn what_does_not_exist_and_what_is_in_the_way_have_their_codes() {
    let program = Program::set_up().await;
    for command in ["show", "suspend", "activate"] {
        program
            .run(&["tenant", command, "nobody-here"])
            .expect(4)
            .says("nobody-here");
    }
    program.onboard("garage-one", "cars");
    let admin = program.admin().await;
    admin
        .batch_execute("update master.tenants set status = 'archived'")
        .await
        .expect("own database");
    program
        .run(&["tenant", "suspend", "garage-one"])
        .expect(5)
        .says("archived");
    program
        .run(&["tenant", "activate", "garage-one"])
        .expect(5)
        .says("archived");
}

#[tokio::test]
async fn many_tenants_are_onboarded_and_a_repetition_goes_on() {
    let program = Program::set_up().await;
    let many = |count| program.json(&["tenant", "create-many", count, "--prefix", "load", "--jobs", "2"]);
    let first = many("2");
    assert_eq!(
        (&first["created"], &first["already_there"]),
        (&json!(2), &json!(0))
    );
    let second = many("3");
    assert_eq!(
        (&second["created"], &second["already_there"]),
        (&json!(1), &json!(2))
    );
    let listed = program.json(&["tenant", "list", "--q", "load-"]);
    let keys: Vec<&Value> = listed["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|tenant| &tenant["tenant_key"])
        .collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(keys.contains(&&json!("load-00003")), "{keys:?}");
    program
        .run(&["tenant", "create-many", "1", "--prefix", "Not A Key!"])
        .expect(2)
        .says("--prefix");
}
