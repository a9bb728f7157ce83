//! `helixai doctor`: each way in which a platform can differ from what it should be is found, and its cure cures it.

use serde_json::{Value, json};
use tokio_postgres::Client;

use super::program::{Program, run_bare};

/// The check, the level and the cure of everything found about this platform, less what the test's server is like.
fn findings(program: &Program, arguments: &[&str]) -> Vec<Value> {
    let run = program.run(&[&["doctor", "--json"], arguments].concat());
    let printed = run.json();
    let all = printed["findings"].as_array().expect("findings").clone();
    let errors = all.iter().filter(|finding| finding["level"] == "error").count();
    assert_eq!(printed["errors"], errors);
    assert_eq!(run.code, i32::from(errors > 0), "{run:?}");
    let of_server = ["locks", "wal_level", "durability", "passwords"];
    all.into_iter()
        .filter(|finding| !of_server.iter().any(|check| finding["check"] == *check))
        .collect()
}

/// A sound platform with two tenants, and how SQL names its parts.
struct Sound {
    program: Program,
    admin: Client,
    prefix: String,
}

impl Sound {
    async fn new() -> Self {
        let program = Program::set_up().await;
        program.onboard("garage-one", "cars");
        program.onboard("imob-one", "real_estate");
        let admin = program.admin().await;
        let prefix = admin
            .query_one("select role_prefix from helixai.shard", &[])
            .await
            .expect("one shard")
            .get(0);
        let sound = Self {
            program,
            admin,
            prefix,
        };
        assert_eq!(findings(&sound.program, &[]), Vec::<Value>::new());
        sound
    }

    fn spelled(&self, sql: &str) -> String {
        sql.replace("{garage}", &format!("{}_tenant_garage_one", self.prefix))
            .replace("{imob}", &format!("{}_tenant_imob_one", self.prefix))
            .replace("{lane}", &format!("{}_lane_1", self.prefix))
            .replace("{master}", &format!("{}_master", self.prefix))
            .replace("{prefix}", &self.prefix)
            .replace("{database}", self.program.database())
    }

    async fn sql(&self, sql: &str) {
        let sql = self.spelled(sql);
        self.admin
            .batch_execute(&sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Does the damage, expects exactly these findings, follows their cures and expects none.
    async fn damage(&self, sql: &str, expected: &[(&str, &str)]) {
        self.sql(sql).await;
        let found = findings(&self.program, &[]);
        let checks: Vec<(&str, &str)> = found
            .iter()
            .map(|finding| {
                let text = |name: &str| finding[name].as_str().expect("a text");
                (text("check"), text("level"))
            })
            .collect();
        assert_eq!(checks, expected, "{sql}: {found:#?}");
        for finding in &found {
            self.cure(finding["cure"].as_str().expect("a text")).await;
        }
        assert_eq!(
            findings(&self.program, &[]),
            Vec::<Value>::new(),
            "after the cures of: {sql}"
        );
    }

    /// A command of ours, or SQL, whatever words are around it.
    async fn cure(&self, cure: &str) {
        let text = cure
            .rsplit_once("when nobody needs it: ")
            .map_or(cure, |(_, sql)| sql);
        if text.starts_with("revoke the memberships") {
            // What these are, other findings say.
        } else if text.contains("helixai migrate") {
            self.program.run(&["migrate"]).expect(0);
        } else if let Some(arguments) = text.strip_prefix("helixai ") {
            let arguments: Vec<&str> = arguments.split(' ').collect();
            self.program.run(&arguments).expect(0);
        } else {
            let sql = text.split_once(" (before").map_or(text, |(sql, _)| sql);
            let done = self.admin.batch_execute(sql).await;
            // The words for PostgreSQL 15 and for later ones stand in one cure.
            if let (Err(_), Some((_, older))) = (&done, text.split_once("(before PostgreSQL 16: ")) {
                self.admin
                    .batch_execute(older.trim_end_matches(')'))
                    .await
                    .expect("one of the two");
                return;
            }
            done.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        }
    }
}

const ERROR: &str = "error";
const WARNING: &str = "warning";

#[tokio::test]
async fn rights_of_public_are_found() {
    let sound = Sound::new().await;
    for sql in [
        "grant execute on function pg_catalog.set_config(text, text, boolean) to public",
        "grant execute on function pg_catalog.lo_create(oid) to public",
        "grant temporary on database {database} to public",
        "grant create on schema public to public",
        "grant usage on language plpgsql to public",
    ] {
        sound.damage(sql, &[("privileges", ERROR)]).await;
    }
}

#[tokio::test]
async fn rights_of_public_that_are_accepted_are_warnings() {
    let sound = Sound::new().await;
    sound.sql("grant usage on language sql to public").await;
    let program = sound
        .program
        .with("HELIXAI__DATABASE__ALLOW_EXCESS_PRIVILEGES", "true");
    let found = findings(&program, &[]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (&found[0]["check"], &found[0]["level"]),
        (&json!("privileges"), &json!("warning"))
    );
}

#[tokio::test]
async fn roles_that_may_too_much_are_found() {
    let sound = Sound::new().await;
    for sql in [
        "alter role {lane} superuser",
        "alter role {lane} bypassrls createdb",
        "alter role {master} createrole",
        "alter role {garage} bypassrls",
        "alter role {garage} login",
        "alter role {lane} nologin",
    ] {
        let mut expected = vec![("attributes", ERROR)];
        if sql.ends_with("nologin") {
            expected.push(("login", ERROR));
        }
        sound.damage(sql, &expected).await;
    }
}

#[tokio::test]
async fn who_may_act_as_a_tenant_and_should_not_is_found() {
    let sound = Sound::new().await;
    for sql in [
        "grant {imob} to {garage}",
        "grant {garage} to {master}",
        "grant pg_read_all_data to {lane}",
        "grant {lane} to {master}",
    ] {
        sound.damage(sql, &[("memberships", ERROR)]).await;
    }
    sound
        .damage(
            "grant {garage} to {lane} with admin option",
            &[("memberships", ERROR)],
        )
        .await;
    sound
        .damage(
            "update master.tenants set status = 'suspended', suspended_at = now() where tenant_key = 'imob-one'",
            &[("suspension", ERROR)],
        )
        .await;
}

#[tokio::test]
async fn who_may_not_act_as_a_tenant_and_should_is_found() {
    let sound = Sound::new().await;
    sound
        .damage("revoke {garage} from {lane}", &[("memberships", ERROR)])
        .await;
}

#[tokio::test]
async fn inherited_rights_are_found() {
    let sound = Sound::new().await;
    let version: i32 = sound
        .admin
        .query_one("select current_setting('server_version_num')::int4", &[])
        .await
        .expect("a number")
        .get(0);
    if version >= 160_000 {
        // The attribute matters no longer once the grant has its own option.
        sound
            .damage("alter role {lane} inherit", &[("attributes", ERROR)])
            .await;
        sound
            .damage(
                "grant {garage} to {lane} with inherit true",
                &[("inherit", ERROR)],
            )
            .await;
    } else {
        let expected = [("attributes", ERROR), ("inherit", ERROR), ("inherit", ERROR)];
        sound.damage("alter role {lane} inherit", &expected).await;
    }
}

#[tokio::test]
async fn what_is_gone_is_found() {
    let sound = Sound::new().await;
    let expected = [("tenant_roles", ERROR)];
    sound
        .damage(
            "delete from helixai.tenant_roles where role_name = '{garage}'",
            &expected,
        )
        .await;
    let lost = "drop owned by {lane}; drop role {lane}";
    sound.sql(lost).await;
    let found = findings(&sound.program, &[]);
    let checks: Vec<&Value> = found.iter().map(|finding| &finding["check"]).collect();
    assert_eq!(checks, ["roles", "memberships", "memberships"], "{found:#?}");
    sound.program.run(&["migrate"]).expect(0);
    for tenant in ["garage-one", "imob-one"] {
        sound.program.run(&["tenant", "activate", tenant]).expect(0);
    }
    assert_eq!(findings(&sound.program, &[]), Vec::<Value>::new());

    sound.sql("drop schema tenant_garage_one cascade").await;
    let found = findings(&sound.program, &[]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["check"], "missing");
    assert!(
        found[0]["what"]
            .as_str()
            .expect("a text")
            .contains("tenant_garage_one"),
        "{found:#?}"
    );
    assert_eq!(found[0]["shard"], "local");
}

#[tokio::test]
async fn logins_with_the_passwords_of_another_platform_key_are_found() {
    let mut sound = Sound::new().await;
    sound.program.change_key();
    let asks_for_passwords: bool = sound
        .admin
        .query_one(
            "select not exists (select from pg_hba_file_rules where auth_method = 'trust')",
            &[],
        )
        .await
        .expect("a superuser")
        .get(0);
    // A server that trusts everybody lets them in all the same.
    let expected = if asks_for_passwords {
        ["login", "login"].as_slice()
    } else {
        &[]
    };
    let found = findings(&sound.program, &[]);
    let checks: Vec<&Value> = found.iter().map(|finding| &finding["check"]).collect();
    assert_eq!(checks, expected, "{found:#?}");
    sound.program.run(&["migrate"]).expect(0);
    assert_eq!(findings(&sound.program, &[]), Vec::<Value>::new());
}

#[tokio::test]
async fn what_belongs_to_nobody_is_found() {
    let sound = Sound::new().await;
    for sql in [
        "create schema tenant_stray",
        "create schema odd authorization {prefix}_owner",
        "create role {prefix}_stray",
        "insert into helixai.tenant_roles values ('{prefix}_nobody', gen_random_uuid())",
    ] {
        sound.damage(sql, &[("strays", WARNING)]).await;
    }
}

#[tokio::test]
async fn what_is_not_as_it_was_made_is_found() {
    let sound = Sound::new().await;
    for (sql, check) in [
        ("grant usage on schema tenant_garage_one to {imob}", "grants"),
        ("grant create on schema tenant_garage_one to {garage}", "grants"),
        ("grant usage on schema tenant_garage_one to public", "grants"),
        ("grant usage on schema master to public", "grants"),
        ("alter schema tenant_garage_one owner to current_user", "owner"),
    ] {
        sound.damage(sql, &[(check, ERROR)]).await;
    }
    sound
        .damage("update master.lanes set tenants_count = 7", &[("count", WARNING)])
        .await;
    sound
        .damage(
            "update master.lanes set capacity = 2, tenants_count = 2; grant {prefix}_owner to {lane}",
            &[("memberships", ERROR), ("capacity", WARNING)],
        )
        .await;
}

#[tokio::test]
async fn another_database_than_the_one_registered_is_found() {
    let sound = Sound::new().await;
    sound
        .sql("update helixai.shard set role_prefix = 'hxabcdef'")
        .await;
    let found = findings(&sound.program, &[]);
    // By it the roles are known that go with the database.
    sound
        .sql("update helixai.shard set role_prefix = '{prefix}'")
        .await;
    assert!(
        found.iter().any(|finding| finding["check"] == "prefix"),
        "{found:#?}"
    );
}

#[tokio::test]
async fn connections_are_counted_for_all_processes() {
    let sound = Sound::new().await;
    let found = findings(&sound.program, &["--processes", "1000"]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["check"], "connections");
    // One lane of 4, 2 of its login, 8 to the registry, 2 for administrators.
    assert!(
        found[0]["what"]
            .as_str()
            .expect("a text")
            .starts_with("14002 connections"),
        "{found:#?}"
    );
    sound.program.run(&["doctor", "--processes", "0"]).expect(2);
}

#[tokio::test]
async fn an_examination_that_cannot_begin_is_a_finding() {
    let program = Program::on_empty_database().await;
    let found = findings(&program, &[]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (&found[0]["check"], &found[0]["cure"]),
        (&json!("migrations"), &json!("run `helixai migrate`"))
    );
    let nobody = [
        ("HELIXAI__DATABASE__URL", "postgres://postgres@127.0.0.1:1/x"),
        (
            "HELIXAI__PLATFORM__KEY",
            "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=",
        ),
    ];
    let run = run_bare(&["doctor"], &nobody).expect(1);
    assert!(
        run.stdout.starts_with("error: the administrator cannot connect"),
        "{run:?}"
    );
    assert!(run.stdout.ends_with("1 errors, 0 warnings\n"), "{run:?}");
}

#[tokio::test]
async fn counters_of_usage_that_do_not_add_up_are_found() {
    let sound = Sound::new().await;
    sound
        .sql(
            "select outcome from master.tenants t, unnest(array['one', 'two']) k,
                  master.reserve_usage(t.id, 'messages', 'api:' || k, 5,
                      date_trunc('month', now() at time zone 'America/Sao_Paulo')::date, now(), now()) r",
        )
        .await;
    sound
        .sql("select outcome from master.tenants t, master.settle_usage(t.id, 'api:one', 3, now()) s")
        .await;
    assert_eq!(findings(&sound.program, &[]), Vec::<Value>::new());
    for sql in [
        "update master.usage_counters set used = 4 where tenant_id = (select id from master.tenants where tenant_key = 'garage-one')",
        "update master.usage_counters set reserved = 0 where tenant_id = (select id from master.tenants where tenant_key = 'imob-one')",
    ] {
        sound.damage(sql, &[("usage", ERROR)]).await;
    }
    sound
        .damage(
            "delete from master.usage_counters",
            &[("usage", ERROR), ("usage", ERROR)],
        )
        .await;
}
