//! The order of sources, refusals and secrets, seen from outside.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::{ConfigError, Loader};
use crate::domain::platform_key::PlatformKey;

const KEY: &str = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=";

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn defaults_are_valid_and_hold_no_secret() {
    let settings = Loader::new().load().unwrap();
    assert_eq!(settings.server.socket_addr().to_string(), "127.0.0.1:8080");
    assert_eq!(settings.server.body_limit_bytes, 1 << 20);
    assert_eq!(settings.database.statement_timeout, Duration::from_secs(15));
    assert_eq!(settings.sessions.user_life, Duration::from_secs(30 * 24 * 3600));
    assert!(settings.server.worker_count() >= 1);
    assert!(settings.metrics.bind.is_some() && settings.metrics.token.is_none());
    assert!(matches!(
        settings.database.url(),
        Err(ConfigError::Missing {
            key: "database.url",
            ..
        })
    ));
    let missing = settings.platform.key().unwrap_err().to_string();
    assert!(missing.contains("openssl rand -base64 32"), "{missing}");
}

#[test]
fn each_source_wins_over_the_one_before() {
    let file =
        file("[server]\nport = 9000\nbase_domain = \"a.example\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n");
    let loader = || Loader::new().file(file.path());
    let settings = loader().load().unwrap();
    assert_eq!(
        (settings.server.port, settings.server.trusted_proxies.len()),
        (9000, 1)
    );
    let settings = loader()
        .environment([
            ("HELIXAI__SERVER__PORT", "9001"),
            ("HELIXAI__LOGGING__TENANT_FILES", "false"),
        ])
        .environment([
            ("HELIXAI__METRICS__BIND", ""),
            ("PATH", "/bin"),
            ("HELIXAI_OTHER", "x"),
        ])
        .load()
        .unwrap();
    assert_eq!(
        (settings.server.port, settings.server.base_domain.as_str()),
        (9001, "a.example")
    );
    assert!(!settings.logging.tenant_files);
    assert!(settings.metrics.bind.is_none());
    let settings = loader()
        .environment([("HELIXAI__SERVER__PORT", "9001")])
        .set("server.port", 9002)
        .load()
        .unwrap();
    assert_eq!(settings.server.port, 9002);
}

#[test]
fn unknown_keys_are_refused_by_name() {
    let refused = |text: &str| {
        Loader::new()
            .file(file(text).path())
            .load()
            .unwrap_err()
            .to_string()
    };
    let typo = refused("[server]\nprot = 1\n");
    assert!(
        typo.contains("`server.prot`") && typo.contains("did you mean `server.port`?"),
        "{typo}"
    );
    assert!(refused("[servers]\nport = 1\n").contains("`servers.port`"));
    assert!(refused("[misc]\n").contains("`misc`"));
    assert!(refused("[server]\nport = { value = 1 }\n").contains("`server.port.value`"));
    let variable = Loader::new()
        .environment([("HELIXAI__SERVER__HOST", "x")])
        .load()
        .unwrap_err()
        .to_string();
    assert!(
        variable.contains("`server.host`") && variable.contains("HELIXAI__SERVER__HOST"),
        "{variable}"
    );
    assert!(Loader::new().set("server.nope", 1).load().is_err());
}

#[test]
fn wrong_values_are_refused_with_what_to_do() {
    let refused = |key: &str, value: &str| Loader::new().set(key, value).load().unwrap_err().to_string();
    for (key, value) in [
        ("server.port", "http"),
        ("server.port", "70000"),
        ("server.bind", "nowhere"),
        ("server.public_scheme", "ftp"),
        ("server.request_timeout_secs", "0"),
        ("database.url", "mysql://x"),
        ("database.master_pool", "0"),
        ("database.ca_file", "/nonexistent/ca.pem"),
        ("database.lock_timeout_ms", "20000"),
        ("database.statement_timeout_ms", "60000"),
        ("tenancy.lane_capacity", "251"),
        ("platform.key", "c2hvcnQ="),
        ("platform.key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("sessions.user_hours", "0"),
        ("rate_limit.burst", "5"),
        ("logging.level", "helixai=loud"),
        ("logging.format", "xml"),
        ("metrics.bind", "9464"),
        ("metrics.token", "short"),
    ] {
        let message = refused(key, value);
        assert!(message.contains(&format!("`{key}`")), "{key}={value}: {message}");
    }
    let both = Loader::new()
        .set("tenancy.lane_pool", 0)
        .set("database.master_pool", 0)
        .load()
        .unwrap_err();
    assert!(
        matches!(&both, ConfigError::Invalid(problems) if problems.len() == 2),
        "{both}"
    );
    assert_eq!(
        refused("tenancy.lane_pool", "0"),
        "`tenancy.lane_pool` is 0: use a value from 1 to 100"
    );
}

#[test]
fn secrets_appear_in_no_debug_and_no_error() {
    let url = "postgres://admin:tr0ub4dor@db/helixai";
    let token = "metrics-token-0123456789";
    let settings = Loader::new()
        .environment([
            ("HELIXAI__DATABASE__URL", url),
            ("HELIXAI__PLATFORM__KEY", KEY),
            ("HELIXAI__METRICS__TOKEN", token),
        ])
        .load()
        .unwrap();
    assert_eq!(settings.database.url().unwrap().expose_secret(), url);
    let same = PlatformKey::new(&[0xde, 0xad, 0xbe, 0xef].repeat(8).try_into().unwrap());
    assert_eq!(
        settings
            .platform
            .key()
            .unwrap()
            .login_password("a")
            .expose_secret(),
        same.login_password("a").expose_secret()
    );
    let shown = format!("{settings:?} {settings:#?}");
    for secret in ["tr0ub4dor", "postgres://", KEY, "222, 173", token] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    let half = KEY.get(..30).unwrap();
    let bad_key = Loader::new().set("platform.key", half).load().unwrap_err();
    let bad_url = Loader::new()
        .set("database.url", "pg://admin:tr0ub4dor@db")
        .load()
        .unwrap_err();
    let bad_file = Loader::new()
        .file(file(&format!("[platform]\nkey = {KEY}\n")).path())
        .load()
        .unwrap_err();
    assert!(bad_file.to_string().contains("line 2"), "{bad_file}");
    for shown in [
        format!("{bad_key} {bad_key:?}"),
        format!("{bad_url} {bad_url:?}"),
        format!("{bad_file} {bad_file:?}"),
    ] {
        assert!(!shown.contains(half) && !shown.contains("tr0ub4dor"), "{shown}");
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let missing = Loader::new()
        .file("/nonexistent/helixai.toml")
        .load()
        .unwrap_err()
        .to_string();
    assert!(missing.contains("/nonexistent/helixai.toml"), "{missing}");
}
