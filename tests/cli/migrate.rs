//! `helixai migrate`: what it says it did, and that it can be repeated by anybody at any time.

use serde_json::json;

use super::program::Program;

#[tokio::test]
async fn the_first_run_makes_everything_and_the_second_nothing() {
    let program = Program::on_empty_database().await;
    let first = program.json(&["migrate"]);
    assert_eq!(first["database"], program.database());
    assert_eq!(first["master"]["from"], json!(null));
    let newest = &first["master"]["to"];
    assert!(newest.as_i64() >= Some(7), "{first}");
    assert_eq!(first["excess_privileges"], json!([]));

    let second = program.json(&["migrate"]);
    assert_eq!(second["master"], json!({ "from": newest, "to": newest }));
    assert_eq!(second["role_prefix"], first["role_prefix"]);
    let text = program.run(&["migrate"]).expect(0).stdout;
    assert!(text.contains("nothing to do"), "{text}");
}

#[tokio::test]
async fn several_at_once_are_as_good_as_one() {
    let program = Program::on_empty_database().await;
    let started: Vec<_> = (0..4)
        .map(|_| {
            let mut command = program.command(&["migrate", "--json"]);
            command.stdout(std::process::Stdio::piped());
            command.spawn().expect("the program runs")
        })
        .collect();
    let mut prefixes = Vec::new();
    for child in started {
        let output = child.wait_with_output().expect("its end");
        assert!(output.status.success(), "{output:?}");
        let printed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        prefixes.push(printed["role_prefix"].as_str().expect("a prefix").to_owned());
    }
    prefixes.dedup();
    assert_eq!(prefixes.len(), 1, "{prefixes:?}");
    assert_eq!(program.json(&["doctor"])["errors"], 0);
}

#[tokio::test]
async fn a_changed_platform_key_gives_every_login_its_new_password() {
    let mut program = Program::set_up().await;
    program.onboard("garage-key", "cars");
    let admin = program.admin().await;
    let passwords = async || -> Vec<(String, String)> {
        admin
            .query(
                "select rolname::text, rolpassword from pg_authid, helixai.shard
                 where starts_with(rolname, role_prefix || '_') and rolcanlogin order by 1",
                &[],
            )
            .await
            .expect("a superuser")
            .into_iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect()
    };
    let before = passwords().await;
    assert_eq!(
        before.len(),
        2,
        "the login of the registry and of a lane: {before:?}"
    );
    program.change_key();
    program.run(&["migrate"]).expect(0);
    let after = passwords().await;
    for ((login, old), (_, new)) in before.iter().zip(&after) {
        assert_ne!(old, new, "{login}");
    }
    program.run(&["tenant", "show", "garage-key"]).expect(0);
}

#[tokio::test]
async fn drift_is_shown_and_ends_with_an_exit_code() {
    let program = Program::set_up().await;
    program.onboard("garage-key", "cars");
    assert_eq!(
        program.json(&["migrate", "--drift"]),
        json!({ "drift": [], "unreachable": [] })
    );
    let admin = program.admin().await;
    admin
        .batch_execute("alter table tenant_garage_key.leads drop column notes cascade")
        .await
        .unwrap();
    let run = program.run(&["migrate", "--drift"]).expect(1);
    assert!(run.stdout.contains("column leads.notes is missing"), "{run:?}");
    let found = program.run(&["migrate", "--drift", "--json"]).expect(1).json();
    assert_eq!(found["drift"][0]["tenant_key"], "garage-key");
    let found = program.run(&["doctor", "--json"]).expect(1).json();
    let told = found["findings"].as_array().expect("findings").iter();
    let told: Vec<_> = told.filter(|finding| finding["level"] == "error").collect();
    assert_eq!(told.len(), 1, "{found}");
    assert_eq!(told[0]["check"], "drift");
}

#[tokio::test]
async fn arguments_that_contradict_each_other_are_refused() {
    let program = Program::set_up().await;
    for arguments in [
        ["migrate", "--status", "--drift"].as_slice(),
        &["migrate", "--status", "--all"],
        &["migrate", "--drift", "--jobs", "2"],
        &["migrate", "--jobs", "0"],
        &["migrate", "--canary", "not a key"],
    ] {
        program.run(arguments).expect(2);
    }
    program
        .run(&["migrate", "--canary", "nobody"])
        .expect(4)
        .says("nobody");
}

#[cfg(feature = "kill_points")]
#[tokio::test]
async fn tenants_are_migrated_by_a_newer_program() {
    let mut program = Program::set_up().await;
    for key in ["garage-key", "imob-key", "shop-key"] {
        program.onboard(key, "general");
    }
    let admin = program.admin().await;
    let version: i32 = admin
        .query_one(
            "select max(version) from tenant_garage_key.schema_history_core",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    let sql = "alter table users add constraint users_odd_check check (email not like '%imob%')";
    let file = tempfile::NamedTempFile::new().unwrap();
    let files = json!({ format!("core/V{}__odd.sql", version + 1): sql });
    std::fs::write(file.path(), files.to_string()).unwrap();
    program = program.with(
        "HELIXAI_TEST_MORE_TEMPLATE",
        super::program::argument(file.path()),
    );

    let found = program.run(&["doctor", "--json"]).expect(1).json();
    let behind = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["check"] == "behind");
    let what = behind.expect("a finding")["what"].as_str().unwrap();
    assert!(what.contains("garage-key, imob-key, shop-key"), "{what}");

    let canary = program
        .run(&["migrate", "--json", "--canary", "imob-key"])
        .expect(1)
        .json();
    assert_eq!(canary["tenants"]["failed"][0]["tenant_key"], "imob-key");
    assert_eq!(canary["tenants"]["not_begun"], 2);
    let run = program.run(&["migrate", "--max-failures", "0"]).expect(1);
    assert!(run.stdout.contains("failed: imob-key: "), "{run:?}");
    assert!(run.stdout.contains("users_odd_check"), "{run:?}");

    let status = program.json(&["migrate", "--status"]);
    assert_eq!(status["behind"], json!(["imob-key"]));
    assert_eq!(status["failed"][0]["tenant_key"], "imob-key");
    let newest = json!({ "ledger": "core", "version": version + 1, "tenants": 2, "newest": version + 1, "minimum": version + 1 });
    assert!(
        status["versions"].as_array().unwrap().contains(&newest),
        "{status}"
    );
    let text = program.run(&["migrate", "--status"]).expect(0).stdout;
    assert!(text.contains("failed: imob-key stays at core"), "{text}");

    admin
        .batch_execute("update tenant_imob_key.users set email = 'dono@example.com'")
        .await
        .unwrap();
    let healed = program.json(&["migrate"]);
    assert_eq!(healed["tenants"]["migrated"], 1);
    assert_eq!(program.json(&["migrate", "--status"])["failed"], json!([]));
    assert_eq!(
        program.json(&["migrate", "--drift"]),
        json!({ "drift": [], "unreachable": [] })
    );
    let text = program.run(&["migrate"]).expect(0).stdout;
    assert!(text.contains("tenants: 0 migrated, 0 failed"), "{text}");
}
