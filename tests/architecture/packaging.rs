//! What the program is shipped in. Images are not built here: there is no container engine in a test. What can be read is
//! read: the files are well-formed, name settings that exist, and give the program no more rights than it needs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use helixai::cli::exit::Exit;
use helixai::config::DEFAULT_TOML;
use yaml_rust2::{Yaml, YamlLoader};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn compose() -> Yaml {
    let mut documents = YamlLoader::load_from_str(&read("packaging/compose.yaml")).expect("YAML");
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec()
        .expect("a list")
        .iter()
        .filter_map(Yaml::as_str)
        .collect()
}

/// The settings that there are, as the environment names them.
fn settings() -> BTreeSet<String> {
    let mut section = "";
    let mut names = BTreeSet::new();
    for line in DEFAULT_TOML.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            names.insert(format!(
                "HELIXAI__{}__{}",
                section.to_uppercase(),
                key.to_uppercase()
            ));
        }
    }
    names
}

#[test]
fn only_settings_that_exist_are_named() {
    let settings = settings();
    assert!(settings.contains("HELIXAI__DATABASE__URL"));
    let mut found = 0;
    for name in [
        "Dockerfile",
        "packaging/compose.yaml",
        "packaging/helixai.service",
        "packaging/helixai.env.example",
    ] {
        let text = read(name);
        for (at, _) in text.match_indices("HELIXAI__") {
            let end = text[at..]
                .find(|c: char| !c.is_ascii_uppercase() && c != '_')
                .unwrap_or(text.len() - at);
            let variable = text[at..at + end].trim_end_matches('_');
            if variable != "HELIXAI__SECTION__KEY" {
                assert!(settings.contains(variable), "{name}: {variable}");
                found += 1;
            }
        }
    }
    assert!(found > 10);
}

/// What an environment file of the example's form is to a shell that sources it.
fn sourced(text: &str, name: &str) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("own file");
    let output = Command::new("sh")
        .args(["-c", "set -a; . \"$1\"; set +a; printenv \"$2\"", "sh"])
        .arg(file.path())
        .arg(name)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .output()
        .expect("a shell");
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .trim_end()
        .to_owned()
}

#[test]
fn commands_at_a_shell_have_the_settings_of_the_service() {
    let (unit, example) = (
        read("packaging/helixai.service"),
        read("packaging/helixai.env.example"),
    );
    for name in ["HELIXAI__STORAGE__FOLDER", "HELIXAI__LOGGING__DIR"] {
        let line = format!("Environment={name}=");
        let served = unit
            .lines()
            .find_map(|found| found.strip_prefix(&line))
            .expect(name);
        assert_eq!(sourced(&example, name), served);
    }
    let url = "postgres://helix:secret@db.example/helixai?sslmode=require&connect_timeout=5";
    let name = "HELIXAI__DATABASE__URL";
    let filled = example.replace(&format!("{name}=''"), &format!("{name}='{url}'"));
    assert_eq!(sourced(&filled, name), url);
}

#[test]
fn the_image_runs_the_program_as_nobody_in_particular() {
    let file = read("Dockerfile");
    let lines: Vec<&str> = file
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .collect();
    let stages: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].starts_with("FROM "))
        .collect();
    assert!(stages.len() >= 2, "what builds is not shipped");
    let last = &lines[*stages.last().expect("a stage")..];
    let user = last
        .iter()
        .find_map(|line| line.strip_prefix("USER "))
        .expect("a user");
    assert!(!user.starts_with('0') && !user.starts_with("root"), "{user}");
    assert!(last.iter().any(|line| line.starts_with("COPY --from=build ")));
    let health = last
        .iter()
        .position(|line| line.starts_with("HEALTHCHECK"))
        .expect("a health check");
    assert!(last[health..].iter().take(2).any(|line| line.contains("/readyz")));
    assert!(last.contains(&"STOPSIGNAL SIGTERM") && last.contains(&"ENTRYPOINT [\"helixai\"]"));
    for secret in ["PLATFORM__KEY", "DATABASE__URL", "PASSWORD", "TOKEN"] {
        assert!(!file.contains(secret), "a layer keeps what it was told: {secret}");
    }
    // What cargo needs is let in, and nothing by default.
    let ignored = read(".dockerignore");
    assert!(ignored.lines().any(|line| line == "*"));
    for needed in [
        "Cargo.lock",
        "Cargo.toml",
        "src",
        "config",
        ".sqlx",
        "master_migrations",
        "tenant_template",
        "mail_templates",
        "fakes",
        "tests",
        "benches",
    ] {
        assert!(
            ignored.lines().any(|line| line == format!("!{needed}")),
            "{needed}"
        );
        assert!(path(needed).exists(), "{needed}");
    }
}

#[test]
fn the_composition_has_a_database_that_the_program_can_use() {
    let file = compose();
    let services = &file["services"];
    let postgres = &services["postgres"];
    let command = texts(&postgres["command"]);
    for setting in [
        "wal_level=logical",
        "max_locks_per_transaction=1024",
        "password_encryption=scram-sha-256",
    ] {
        assert!(command.contains(&setting), "{setting} is not in {command:?}");
    }
    let image = postgres["image"].as_str().expect("an image");
    let version: u32 = image
        .strip_prefix("postgres:")
        .and_then(|tag| tag.split('-').next())
        .and_then(|major| major.parse().ok())
        .expect("a version");
    assert!(version >= 15, "{image}");
    assert!(
        postgres["ports"].is_badvalue(),
        "the database is for the program alone"
    );
    assert!(postgres["healthcheck"]["test"].as_vec().is_some());
    let on = |service: &str, other: &str| {
        services[service]["depends_on"][other]["condition"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(on("migrate", "postgres").as_deref(), Some("service_healthy"));
    assert_eq!(
        on("helixai", "migrate").as_deref(),
        Some("service_completed_successfully")
    );
    let program = &services["helixai"];
    assert_eq!(texts(&program["command"]), ["serve"]);
    assert_eq!(texts(&program["cap_drop"]), ["ALL"]);
    assert_eq!(program["read_only"].as_bool(), Some(true));
    assert!(
        texts(&program["ports"])
            .iter()
            .all(|port| port.starts_with("127.0.0.1:")),
        "a proxy stands before it"
    );
    for (_, service) in services.as_hash().expect("services") {
        assert!(service["privileged"].is_badvalue());
        for name in ["secrets", "volumes"] {
            for used in service[name]
                .as_vec()
                .map(|_| texts(&service[name]))
                .unwrap_or_default()
            {
                let used = used.split(':').next().expect("a name");
                assert!(!file[name][used].is_badvalue(), "{used} is not among the {name}");
            }
        }
    }
}

#[test]
fn the_service_is_well_formed_and_closed() {
    let unit = read("packaging/helixai.service");
    for line in [
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateDevices=yes",
        "CapabilityBoundingSet=",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "SystemCallFilter=@system-service",
        "MemoryDenyWriteExecute=yes",
        "UMask=0077",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
    let prevented = unit
        .lines()
        .find_map(|line| line.strip_prefix("RestartPreventExitStatus="))
        .expect("a line");
    let prevented: Vec<&str> = prevented.split(' ').collect();
    for exit in [Exit::Usage, Exit::Settings] {
        assert!(prevented.contains(&(exit as u8).to_string().as_str()), "{exit:?}");
    }
    // Where systemd is, it says more.
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("helixai.service");
    let program = env!("CARGO_BIN_EXE_helixai");
    std::fs::write(
        &copy,
        unit.replace("/usr/local/bin/helixai serve", &format!("{program} serve")),
    )
    .expect("own file");
    match Command::new("systemd-analyze").arg("verify").arg(&copy).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let about_us: Vec<&str> = said
                .lines()
                .filter(|line| line.contains("helixai.service"))
                .collect();
            assert!(output.status.success() && about_us.is_empty(), "{said}");
        }
        Err(error) => eprintln!("not verified by systemd: {error}"),
    }
}
