//! `helixai shard`: databases that tenants live in, and `helixai tenant move` between them.

use serde_json::{Value, json};

use super::program::Program;
use crate::helpers::TestDb;

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let items = list["items"].as_array().expect("a list");
    let found = items.iter().find(|shard| shard["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {list}"))
}

#[tokio::test]
async fn a_database_becomes_a_shard_takes_a_tenant_and_is_closed() {
    let program = Program::set_up().await;
    let db = TestDb::create_empty().await;
    let url = db.url();
    let added = program.run(&["shard", "add", "far-away", &url, "--max-tenants", "500", "--json"]);
    let added = added.expect(0);
    assert!(!added.stdout.contains("postgres://") && !added.stderr.contains("postgres://"));
    let id = added.json()["id"].clone();
    assert_eq!(added.json()["known"], false);
    // Repeated, and with the address on standard input.
    let again = program.run_with_input(&["shard", "add", "far-away", "--json"], &format!("{url}\n"));
    let again = again.expect(0).json();
    assert_eq!((&again["id"], &again["known"]), (&id, &json!(true)));

    program.onboard("garage", "cars");
    let list = program.json(&["shard", "list"]);
    let far = named(&list, "far-away");
    assert_eq!(
        (
            &far["kind"],
            &far["status"],
            &far["max_tenants"],
            &far["tenants"],
            &far["reachable"]
        ),
        (
            &json!("remote"),
            &json!("open"),
            &json!(500),
            &json!(0),
            &json!(true)
        )
    );
    assert!(
        far["size_bytes"].as_i64().is_some_and(|bytes| bytes > 1_000_000),
        "{far}"
    );
    assert!(
        far["connections"].is_i64() && far["max_connections"].is_i64(),
        "{far}"
    );

    let moved = program.json(&["tenant", "move", "garage", "far-away"]);
    assert_eq!(
        (&moved["from"], &moved["to"], &moved["rows_compared"]),
        (&json!("local"), &json!("far-away"), &json!(true))
    );
    assert_eq!(moved["rows_before"], moved["rows_after"]);
    assert!(
        moved["rows_before"].as_i64().is_some_and(|rows| rows > 10),
        "{moved}"
    );
    assert!(
        moved["longest_pause_ms"]
            .as_f64()
            .is_some_and(|pause| pause > 0.0),
        "{moved}"
    );
    let phases: Vec<&String> = moved["phases"].as_object().expect("phases").keys().collect();
    assert_eq!(phases.len(), 6, "{moved}");
    let there = program.json(&["tenant", "move", "garage", "far-away"]);
    assert_eq!(there["already_there"], true);
    assert_eq!(named(&program.json(&["shard", "list"]), "far-away")["tenants"], 1);

    // Closed, it keeps what it has and takes nobody.
    program.run(&["shard", "close", "far-away"]).expect(0);
    program.run(&["shard", "close", "far-away"]).expect(0);
    assert_eq!(
        named(&program.json(&["shard", "list"]), "far-away")["status"],
        "closed"
    );
    program.onboard("second", "cars");
    program
        .run(&["tenant", "move", "second", "far-away"])
        .expect(5)
        .says("the shard is closed");
    program.run(&["shard", "open", "far-away"]).expect(0);
    let words = program.run(&["tenant", "move", "second", "far-away"]).expect(0);
    assert!(words.stdout.contains("local → far-away") && words.stdout.contains("ms without writes"));
    assert!(words.stderr.contains("copying"), "{words:?}");
    let audit = program
        .admin()
        .await
        .query(
            "select action from master.audit_log where entity = 'shard' order by id",
            &[],
        )
        .await
        .unwrap();
    let audit: Vec<String> = audit.iter().map(|row| row.get(0)).collect();
    assert_eq!(audit, ["shard.add", "shard.address", "shard.close", "shard.open"]);
}

#[tokio::test]
async fn what_is_no_shard_is_refused() {
    let program = Program::set_up().await;
    let db = TestDb::create_empty().await;
    let url = db.url();
    program.run(&["shard", "add", "one", &url]).expect(0);
    let other = TestDb::create_empty().await;
    let foreign = Program::set_up().await;
    let nowhere = url.replace(db.name(), "helixai_test_nowhere");
    for (arguments, code, why) in [
        (["add", "two", &url], 5, "is the shard one already"),
        (["add", "one", &other.url()], 5, "another database"),
        (["add", "local", &other.url()], 5, "another database"),
        (["add", "mine", &program.url()], 5, "is the shard local already"),
        (
            ["add", "theirs", &foreign.url()],
            1,
            "holds the registry of a platform",
        ),
        (["add", "three", "mysql://x"], 2, "cannot be parsed"),
        (["add", "Three", &url], 2, "must be 2 to 40 of"),
        (["add", "gone", &nowhere], 6, "gone"),
    ] {
        let run = program
            .run(&[&["shard"], arguments.as_slice()].concat())
            .expect(code)
            .says(why);
        assert!(
            !run.stderr.contains(&url) && !run.stderr.contains(&nowhere),
            "{run:?}"
        );
    }
    program.run(&["shard", "close", "nobody"]).expect(4);
    let tenant = ["tenant", "move", "nobody", "one"];
    program.run(&tenant).expect(4).says("unknown tenant");
    assert_eq!(
        program.json(&["shard", "list"])["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn what_a_move_has_left_is_found_with_its_cure() {
    let program = Program::set_up().await;
    let admin = program.admin().await;
    admin
        .batch_execute("create publication helixai_move_left")
        .await
        .unwrap();
    admin
        .batch_execute("select pg_create_logical_replication_slot('helixai_move_left', 'pgoutput')")
        .await
        .unwrap();
    let found = program.run(&["doctor", "--json"]).expect(1).json();
    let cures: Vec<String> = found["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["check"] == "slots")
        .map(|finding| finding["cure"].as_str().expect("a cure").to_owned())
        .collect();
    assert_eq!(
        cures,
        [
            "select pg_drop_replication_slot('helixai_move_left')",
            "drop publication \"helixai_move_left\""
        ]
    );
    for cure in cures {
        admin.batch_execute(&cure).await.unwrap();
    }
    program.run(&["doctor", "--json"]).expect(0);
}
