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
