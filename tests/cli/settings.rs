//! Where commands take their settings from, and what they say when those will not do.

use super::program::{Program, argument, config_file, run_bare};

const KEY: &str = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=";

#[test]
fn what_is_missing_is_named_with_its_cure() {
    for command in [
        &["migrate"][..],
        &["doctor"],
        &["serve"],
        &["tenant", "list"],
        &["admin", "create", "--email", "a@x.com", "--name", "Ana"],
    ] {
        run_bare(command, &[]).expect(3).says("HELIXAI__DATABASE__URL");
        run_bare(command, &[("HELIXAI__DATABASE__URL", "postgres://localhost/x")])
            .expect(3)
            .says("openssl rand -base64 32");
    }
}

#[test]
fn a_database_that_does_not_answer_is_no_mistake_of_the_settings() {
    let nobody = [
        ("HELIXAI__DATABASE__URL", "postgres://postgres@127.0.0.1:1/x"),
        ("HELIXAI__PLATFORM__KEY", KEY),
    ];
    run_bare(&["tenant", "list"], &nobody)
        .expect(6)
        .says("Connection refused");
    run_bare(&["migrate"], &nobody).expect(6);
    let two_hosts = [
        ("HELIXAI__DATABASE__URL", "postgres://postgres@a,b/x"),
        ("HELIXAI__PLATFORM__KEY", KEY),
    ];
    run_bare(&["tenant", "list"], &two_hosts)
        .expect(3)
        .says("`database.url` must name exactly one host");
    for (wish, says) in [
        ("channel_binding=require", "asks for channel_binding=require"),
        ("sslnegotiation=direct", "asks for sslnegotiation=direct"),
        ("target_session_attrs=read-write", "asks for target_session_attrs"),
    ] {
        let url = format!("postgres://postgres@a/x?{wish}");
        let settings = [
            ("HELIXAI__DATABASE__URL", url.as_str()),
            ("HELIXAI__PLATFORM__KEY", KEY),
        ];
        run_bare(&["tenant", "list"], &settings).expect(3).says(says);
    }
}

#[tokio::test]
async fn a_file_named_before_or_after_the_command_is_read() {
    let program = Program::set_up().await;
    let file = config_file(&format!(
        "[database]\nurl = \"{}\"\n[platform]\nkey = \"{KEY}\"\n[server]\nbase_domain = \"from.file\"\n",
        program.url()
    ));
    let path = argument(file.path());
    run_bare(&["--config", path, "migrate"], &[]).expect(0);
    run_bare(&["tenant", "list", "--config", path], &[]).expect(0);
    run_bare(&["tenant", "list"], &[("HELIXAI_CONFIG", path)]).expect(0);
    let wrong = config_file("[server]\nprot = 1\n");
    run_bare(&["tenant", "list", "--config", argument(wrong.path())], &[])
        .expect(3)
        .says("did you mean `server.port`?");
    run_bare(&["tenant", "list", "--config", "/nonexistent/x.toml"], &[])
        .expect(3)
        .says("/nonexistent/x.toml");
}

#[tokio::test]
async fn a_database_without_the_programs_schemas_is_told_apart() {
    let program = Program::on_empty_database().await;
    program.run(&["tenant", "list"]).expect(3).says("helixai migrate");
    program.run(&["serve"]).expect(3).says("helixai migrate");
    program.run(&["migrate"]).expect(0);
    let admin = program.admin().await;
    admin
        .batch_execute("delete from master.schema_history where version > 5")
        .await
        .expect("own database");
    program
        .run(&["tenant", "list"])
        .expect(3)
        .says("lacks migrations");
}

#[test]
fn the_exit_codes_are_in_the_help() {
    for command in [
        &["migrate"][..],
        &["doctor"],
        &["serve"],
        &["tenant", "create"],
        &["tenant", "list"],
        &["tenant", "show"],
        &["tenant", "suspend"],
        &["tenant", "activate"],
        &["admin", "create"],
    ] {
        let help = run_bare(&[command, &["--help"]].concat(), &[]).expect(0).stdout;
        assert!(help.contains("Exit codes:\n  0  "), "{help}");
    }
}
