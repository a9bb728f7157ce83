//! What the fake and its tests must never bring into the program.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// The feature with which the client believes any server, in its three packages.
const DANGER: &str = "danger";

/// What Cargo would build for the package at this place below the repository's root, with all features of its own.
fn metadata(manifest: &str) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features"])
        .args(["--locked", "--offline", "--manifest-path"])
        .arg(format!("{root}/{manifest}"))
        .output()
        .expect("cargo runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap_or_else(|| panic!("no {name}"))
}

/// The features whose names warn, with their packages.
fn dangers(metadata: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for node in list(&metadata["resolve"], "nodes") {
        for feature in list(node, "features") {
            let feature = feature.as_str().expect("a name");
            if feature.contains(DANGER) {
                found.push(format!("{}: {feature}", node["id"]));
            }
        }
    }
    found
}

#[test]
fn a_client_that_believes_any_server_is_built_outside_the_workspace_only() {
    let outside = dangers(&metadata("tests/whatsapp_pairing/Cargo.toml"));
    assert_eq!(outside.len(), 3, "{outside:?}");
    let inside = dangers(&metadata("Cargo.toml"));
    assert!(inside.is_empty(), "{inside:?}");
}

#[test]
fn the_package_outside_is_built_with_the_workspaces_versions() {
    let names = |metadata: &Value| -> BTreeSet<String> {
        let packages = list(metadata, "packages").iter();
        packages
            .filter(|package| !package["source"].is_null())
            .map(|package| format!("{} {}", package["name"], package["version"]))
            .collect()
    };
    let outside = names(&metadata("tests/whatsapp_pairing/Cargo.toml"));
    let inside = names(&metadata("Cargo.toml"));
    assert!(outside.len() > 100);
    let other: Vec<_> = outside.difference(&inside).collect();
    assert!(other.is_empty(), "{other:?}");
}

#[test]
fn the_fake_is_no_part_of_the_program() {
    let metadata = metadata("Cargo.toml");
    let mut users = Vec::new();
    for package in list(&metadata, "packages") {
        for needed in list(package, "dependencies") {
            if needed["name"] == "fake-whatsapp" && needed["kind"] != "dev" {
                users.push(package["name"].clone());
            }
        }
    }
    assert!(users.is_empty(), "{users:?}");
}
