//! A managed server: the administrator owns the database and may make roles, but is no superuser.

use serde_json::json;

use super::program::Program;

#[tokio::test]
async fn what_the_administrator_may_not_revoke_a_superuser_can() {
    let program = Program::on_empty_database().await;
    let owner = program.owner_url().await;
    let program = program.with("HELIXAI__DATABASE__URL", &owner);
    let migrated = program.run(&["migrate", "--json"]).expect(0);
    let excess = migrated.json()["excess_privileges"]
        .as_array()
        .expect("a list")
        .len();
    assert!(excess > 50, "{migrated:?}");
    program
        .run(&["serve"])
        .expect(1)
        .says("revoke execute on function")
        .says(&format!("and {} more", excess - 3));
    let found = program.run(&["doctor", "--json"]).expect(1).json();
    assert_eq!(found["errors"], excess);

    // It works as it is: the program runs no SQL from outside.
    program.onboard("garage-one", "cars");

    let (warning, commands) = migrated
        .stderr
        .split_once('\n')
        .expect("a warning, then commands");
    assert!(warning.contains("as a superuser"), "{warning}");
    program
        .admin()
        .await
        .batch_execute(commands)
        .await
        .expect("a superuser may");

    let migrated = program.json(&["migrate"]);
    assert_eq!(migrated["excess_privileges"], json!([]));
    program.onboard("garage-two", "cars");
    program.run(&["tenant", "suspend", "garage-one"]).expect(0);
    program.run(&["tenant", "activate", "garage-one"]).expect(0);
    assert_eq!(program.json(&["doctor"])["errors"], 0);
}
