//! `helixai tenant backup`, `restore`, `delete`, and the scripts that call them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use super::program::{Program, argument, run_bare};

#[tokio::test]
async fn a_tenant_goes_and_comes_back() {
    let program = Program::set_up().await;
    let made = program.onboard("garage-one", "cars");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("garage.snapshot");
    let file = argument(&file);
    let backup = program.json(&["tenant", "backup", "garage_one", file]);
    assert_eq!(
        (&backup["tenant_key"], &backup["id"]),
        (&json!("garage-one"), &made["id"])
    );
    assert_eq!(backup["bytes"], std::fs::metadata(file).expect("a file").len());
    assert_eq!(backup["sha256"].as_str().map(str::len), Some(64));
    program
        .run(&["tenant", "delete", "garage-one"])
        .expect(2)
        .says("--yes");
    let deleted = program.json(&["tenant", "delete", "garage-one", "--yes", "--now"]);
    assert_eq!(deleted, json!({"tenant_key": "garage-one", "id": made["id"]}));
    program.run(&["tenant", "show", "garage-one"]).expect(4);
    program
        .run(&["tenant", "delete", "garage-one", "--yes", "--now"])
        .expect(4);
    let restored = program.json(&["tenant", "restore", file]);
    assert_eq!(
        (&restored["id"], &restored["copy"], &restored["over"]),
        (&made["id"], &json!(false), &json!(false))
    );
    assert_eq!(restored["rows"], backup["rows"]);
    assert_eq!(program.json(&["tenant", "restore", file])["over"], true);
    let copy = program.json(&["tenant", "restore", file, "garage-copy"]);
    assert_eq!(
        (&copy["tenant_key"], &copy["copy"]),
        (&json!("garage-copy"), &json!(true))
    );
    assert_eq!(copy["url"], "http://garage-copy.localhost:8080");
    let shown = program.json(&["tenant", "show", "garage-copy"]);
    assert_eq!(shown["subscription"]["plan"], "sandbox");
    // For a person, with what is being done on standard error.
    let run = program
        .run(&["tenant", "restore", file])
        .expect(0)
        .says("loading");
    assert!(
        run.stdout.contains("garage-one (in place of what it had)"),
        "{run:?}"
    );
    let run = program
        .run(&["tenant", "backup", "garage-one", file])
        .expect(0)
        .says("leads");
    assert!(run.stdout.contains(" rows of "), "{run:?}");
}

#[tokio::test]
async fn what_is_refused_has_its_code() {
    let program = Program::set_up().await;
    program.onboard("garage-one", "cars");
    program.onboard("garage-two", "cars");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let file = path("one");
    program
        .run(&["tenant", "backup", "nobody-here", argument(&file)])
        .expect(4)
        .says("nobody-here");
    program
        .run(&["tenant", "backup", "garage-one", argument(&path("no/folder"))])
        .expect(1);
    program
        .run(&["tenant", "restore", argument(&file)])
        .expect(1)
        .says("No such file");
    program
        .run(&["tenant", "backup", "garage-one", argument(&file)])
        .expect(0);
    program
        .run(&["tenant", "restore", argument(&file), "garage-two"])
        .expect(5)
        .says("another tenant");
    let whole = std::fs::read(&file).expect("a file");
    let cut = path("cut");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("own file");
    program
        .run(&["tenant", "restore", argument(&cut)])
        .expect(7)
        .says("cut off");
    let foreign = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    program
        .run(&["tenant", "restore", argument(&foreign)])
        .expect(7)
        .says("no snapshot");
    let other = Program::set_up().await;
    other
        .run(&["tenant", "restore", argument(&file)])
        .expect(7)
        .says("--other-platform");
    other
        .run(&["tenant", "restore", argument(&file), "--other-platform"])
        .expect(0);
    run_bare(&["tenant", "restore"], &[]).expect(2);
    run_bare(&["tenant", "backup", "garage-one"], &[]).expect(2);
    run_bare(&["tenant", "restore", "x", "WWW!"], &[]).expect(2);
}

fn script(program: &Program, name: &str, arguments: &[&str], folder: &Path) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
    let like = program.command(&[]);
    let mut command = Command::new(path);
    command
        .args(arguments)
        .current_dir(folder)
        .env("HELIXAI", env!("CARGO_BIN_EXE_helixai"))
        .envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.output().expect("the script runs")
}

#[tokio::test]
async fn the_scripts_back_up_one_tenant_or_all_and_bring_one_back() {
    let program = Program::set_up().await;
    for key in ["garage-one", "garage-two", "garage-three"] {
        program.onboard(key, "cars");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let run = |name: &str, arguments: &[&str]| script(&program, name, arguments, folder.path());
    let one = run("backup_tenant", &["garage-one", "one.snapshot"]);
    assert!(one.status.success(), "{one:?}");
    let copy = run("restore_tenant", &["one.snapshot", "copy"]);
    assert!(copy.status.success(), "{copy:?}");
    assert_eq!(run("backup_tenant", &[]).status.code(), Some(2));
    // One tenant that cannot be backed up.
    program
        .admin()
        .await
        .batch_execute("create table tenant_garage_two.stranger (id int primary key)")
        .await
        .expect("own database");
    let all = run("backup_all", &["all"]);
    assert_eq!(all.status.code(), Some(1), "{all:?}");
    let table = String::from_utf8_lossy(&all.stdout).into_owned();
    let line = |key: &str| {
        table
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        line("garage-two ").contains("FAILED") && line("garage-two ").contains("stranger"),
        "{table}"
    );
    for key in ["garage-one ", "garage-three ", "copy "] {
        assert!(line(key).contains(" made "), "{table}");
    }
    assert!(table.contains("3 made, 0 there already, 1 failed"), "{table}");
    program
        .admin()
        .await
        .batch_execute("drop table tenant_garage_two.stranger")
        .await
        .expect("own database");
    let again = run("backup_all", &["all"]);
    assert!(again.status.success(), "{again:?}");
    let table = String::from_utf8_lossy(&again.stdout);
    assert!(table.contains("1 made, 3 there already, 0 failed"), "{table}");
    let back = run("restore_tenant", &["all/garage-two.snapshot"]);
    assert!(back.status.success(), "{back:?}");
}
