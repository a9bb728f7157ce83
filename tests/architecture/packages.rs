//! What the program is made of: licences, sources and banned packages, as `deny.toml` says.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// The texts of a list of `deny.toml`.
fn listed(deny: &str, name: &str) -> BTreeSet<String> {
    let start = format!("\n{name} = [\n");
    let (_, rest) = deny.split_once(&start).unwrap_or_else(|| panic!("no {name}"));
    let (list, _) = rest.split_once("\n]").expect("an end");
    let texts = list.lines().filter_map(|line| line.split('"').nth(1));
    texts.map(str::to_owned).collect()
}

/// Whether an SPDX expression can be satisfied with these licences. The old `/` means OR.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let outcome = either(&mut words, allowed);
    assert_eq!(words.next(), None, "{expression}");
    outcome
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut outcome = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        outcome |= both(words, allowed);
    }
    outcome
}

fn both(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut outcome = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        outcome &= one(words, allowed);
    }
    outcome
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let word = words.next().expect("a licence");
    if word == "(" {
        let outcome = either(words, allowed);
        assert_eq!(words.next(), Some(")"));
        return outcome;
    }
    match words.next_if_eq(&"WITH") {
        Some(_) => {
            let exception = words.next().expect("an exception");
            allowed.contains(&format!("{word} WITH {exception}"))
        }
        None => allowed.contains(word),
    }
}

#[test]
fn an_expression_is_understood() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "ISC".to_owned(), "A WITH B".to_owned()]);
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR MIT) AND GPL-3.0", false),
        ("MIT OR GPL-3.0 AND ISC", true),
        ("A WITH B", true),
        ("A", false),
    ] {
        assert_eq!(satisfied(expression, &allowed), expected, "{expression}");
    }
}

#[test]
fn fakes_are_no_part_of_the_program() {
    let root = env!("CARGO_MANIFEST_DIR");
    let manifest = std::fs::read_to_string(format!("{root}/Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    for fake in ["helixai-fakes", "fake-whatsapp"] {
        let has = |kind: &str| manifest[kind].get(fake).is_some();
        assert!(has("dev-dependencies") && !has("dependencies"), "{fake}");
    }
}

#[test]
fn every_package_may_be_part_of_the_program() {
    let root = env!("CARGO_MANIFEST_DIR");
    let deny = std::fs::read_to_string(format!("{root}/deny.toml")).expect("deny.toml");
    let (allowed, banned) = (listed(&deny, "allow"), listed(&deny, "deny"));
    assert!(allowed.contains("MIT") && banned.contains("openssl-sys"));
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 100);
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        match package["license"].as_str() {
            Some(licence) if satisfied(licence, &allowed) => {}
            licence => wrong.push(format!("{name}: licence {licence:?}")),
        }
        if banned.contains(name) {
            wrong.push(format!("{name} is banned"));
        }
        // Our own have none; all others come from the one registry.
        if package["source"]
            .as_str()
            .is_some_and(|source| !source.starts_with("registry+"))
        {
            wrong.push(format!("{name} comes from {}", package["source"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
