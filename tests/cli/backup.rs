//! `helixai backup run`, `helixai tenant backups` and `helixai tenant verify`.

use serde_json::json;

use super::program::{Program, argument};

#[tokio::test]
async fn backups_by_the_clock_from_a_shell() {
    let program = Program::set_up().await;
    program.onboard("garage-one", "cars");
    program.run(&["backup", "run"]).expect(3).says("backup.folder");
    let folder = tempfile::tempdir().expect("a folder");
    let program = program.with("HELIXAI__BACKUP__FOLDER", argument(folder.path()));
    let none = program.json(&["backup", "run"]);
    assert_eq!(
        none,
        json!({"written": 0, "verified": 0, "failed": 0, "forgotten": 0})
    );
    let all = program.json(&["backup", "run", "--all", "--jobs", "2"]);
    assert_eq!(
        all,
        json!({"written": 1, "verified": 1, "failed": 0, "forgotten": 0})
    );
    let listed = program.json(&["tenant", "backups", "garage_one"]);
    let backup = &listed["items"][0];
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert!(
        backup["verified_at"].is_string() && backup["error"].is_null(),
        "{backup}"
    );
    let file = backup["file"].as_str().expect("a path");
    assert_eq!(backup["bytes"], std::fs::metadata(file).expect("a file").len());
    let found = program.json(&["tenant", "verify", file]);
    assert_eq!(
        (&found["rows"], &found["tenant_key"]),
        (&backup["rows"], &json!("garage-one"))
    );
    // For a person.
    let table = program.run(&["tenant", "backups", "garage-one"]).expect(0);
    assert!(
        table.stdout.contains("proven") && table.stdout.contains(file),
        "{table:?}"
    );
    program.run(&["tenant", "backups", "nobody-here"]).expect(4);
    let run = program
        .run(&["tenant", "verify", file])
        .expect(0)
        .says("checking");
    assert!(run.stdout.contains("is good: garage-one"), "{run:?}");
    // What cannot be trusted has its code.
    let bytes = std::fs::read(file).expect("a file");
    let cut = folder.path().join("cut");
    std::fs::write(&cut, &bytes[..bytes.len() - 9]).expect("a file");
    program
        .run(&["tenant", "verify", argument(&cut)])
        .expect(7)
        .says("cut off");
    program
        .admin()
        .await
        .batch_execute("create table tenant_garage_one.stranger (id int primary key)")
        .await
        .expect("own database");
    let failed = program.run(&["backup", "run", "--all", "--json"]).expect(1);
    assert_eq!(failed.json()["failed"], 1);
    let listed = program.json(&["tenant", "backups", "garage-one"]);
    assert!(
        listed["items"][0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("stranger")),
        "{listed}"
    );
}
