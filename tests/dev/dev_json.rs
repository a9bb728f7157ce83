//! `dev.json`: the agreed shape, private, and there only while the instance answers.

use std::os::unix::fs::PermissionsExt as _;

use helixai::cli::dev::dev_json::{self, DemoTenant, DevJson, Login};
use serde_json::json;

#[test]
fn has_the_agreed_shape() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let written = DevJson {
        base_url: "http://localhost:8080".into(),
        database_url: "postgres://postgres:secret@%2Frun:5432/postgres".into(),
        admin: Login {
            email: "admin@localhost".into(),
            password: "a".into(),
        },
        tenants: vec![DemoTenant {
            tenant_key: "garage".into(),
            url: "http://garage.localhost:8080".into(),
            niche: "cars".into(),
            owner: Login {
                email: "owner@garage.localhost".into(),
                password: "b".into(),
            },
            api_key: "hxk_x".into(),
        }],
        env: [("HELIXAI__PLATFORM__KEY".to_owned(), "k".to_owned())].into(),
    };
    written.publish(dir.path()).expect("written");

    let file = dir.path().join("dev.json");
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read(&file).expect("the file");
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&text).expect("JSON"),
        json!({
            "base_url": "http://localhost:8080",
            "database_url": "postgres://postgres:secret@%2Frun:5432/postgres",
            "admin": {"email": "admin@localhost", "password": "a"},
            "tenants": [{
                "tenant_key": "garage",
                "url": "http://garage.localhost:8080",
                "niche": "cars",
                "owner": {"email": "owner@garage.localhost", "password": "b"},
                "api_key": "hxk_x",
            }],
            "env": {"HELIXAI__PLATFORM__KEY": "k"},
        })
    );

    assert_eq!(DevJson::previous(dir.path()).expect("read"), None);
    dev_json::withdraw(dir.path()).expect("moved");
    assert!(!file.exists());
    assert_eq!(DevJson::previous(dir.path()).expect("read"), Some(written));
    dev_json::withdraw(dir.path()).expect("nothing to move is no error");
}
