//! Dependencies point downwards only.

use std::collections::BTreeSet;

use super::source::rust;

/// Each module with those that it may use, lowest first. A new module gets a line.
const LAYERS: [(&str, &[&str]); 17] = [
    ("domain", &[]),
    ("config", &["domain"]),
    ("telemetry", &["domain", "config"]),
    ("db", &["domain", "telemetry"]),
    ("accounts", &["domain", "config", "db"]),
    ("mail", &["domain", "config", "telemetry", "db"]),
    ("billing", &["domain", "telemetry", "db", "mail"]),
    ("storage", &["domain"]),
    (
        "tenancy",
        &[
            "domain",
            "telemetry",
            "db",
            "accounts",
            "mail",
            "billing",
            "storage",
        ],
    ),
    (
        "channels",
        &["domain", "telemetry", "db", "billing", "storage", "tenancy"],
    ),
    ("realtime", &["domain", "telemetry", "db", "tenancy"]),
    ("photos", &["domain", "db", "storage"]),
    (
        "platform",
        &[
            "domain", "config", "db", "mail", "tenancy", "billing", "channels", "realtime", "storage",
            "photos",
        ],
    ),
    (
        "jobs",
        &[
            "domain",
            "telemetry",
            "db",
            "accounts",
            "mail",
            "billing",
            "platform",
        ],
    ),
    (
        "http",
        &[
            "domain",
            "config",
            "telemetry",
            "db",
            "accounts",
            "mail",
            "billing",
            "tenancy",
            "channels",
            "realtime",
            "storage",
            "photos",
            "platform",
        ],
    ),
    (
        "app",
        &["domain", "config", "telemetry", "platform", "jobs", "http"],
    ),
    (
        "cli",
        &[
            "domain",
            "config",
            "telemetry",
            "db",
            "accounts",
            "billing",
            "tenancy",
            "platform",
            "http",
            "app",
        ],
    ),
];

/// Macros and functions at the crate's root, which anybody may use.
const EVERYWHERE: [&str; 2] = ["kill_point", "kill_if_armed"];

/// Packages with a home: nobody else names them.
const HOMES: [(&str, &[&str]); 23] = [
    ("sqlx", &["db"]),
    ("tokio_postgres", &["db"]),
    ("tokio_postgres_rustls", &["db"]),
    ("deadpool", &["db"]),
    ("deadpool_postgres", &["db"]),
    ("refinery", &["db"]),
    ("refinery_core", &["db"]),
    ("actix_web", &["http", "app", "cli"]),
    ("actix_ws", &["http"]),
    ("clap", &["cli", "main"]),
    // The client of WhatsApp speaks it.
    ("anyhow", &["cli", "main", "channels"]),
    ("argon2", &["accounts"]),
    ("image", &["photos", "billing"]),
    ("qrcode", &["billing"]),
    ("reqwest", &["billing", "channels"]),
    ("teloxide_core", &["channels"]),
    ("sqlparser", &["tenancy"]),
    ("csv", &["tenancy", "http"]),
    ("chacha20poly1305", &["domain"]),
    ("lettre", &["mail"]),
    ("minijinja", &["mail"]),
    ("wacore", &["channels"]),
    ("whatsapp_rust", &["channels"]),
];

#[test]
fn a_module_uses_only_what_is_below_it() {
    let mut wrong = Vec::new();
    for file in rust("src") {
        let layer = file.layer();
        if ["lib", "main", "kill_point"].contains(&layer) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            wrong.push(format!("{}: the module {layer} is in no layer", file.path));
            continue;
        };
        let used: BTreeSet<&str> = file.words_after("crate::").collect();
        for name in used {
            if name != layer && !allowed.contains(&name) && !EVERYWHERE.contains(&name) {
                wrong.push(format!("{}: {layer} must not use {name}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_layers_are_in_order() {
    for (index, (name, below)) in LAYERS.iter().enumerate() {
        for used in *below {
            let known = LAYERS.iter().position(|(other, _)| other == used);
            assert!(
                known.is_some_and(|known| known < index),
                "{name} uses {used}, which is not below it"
            );
        }
    }
}

/// `crate::a::{…}` is seen; a path that climbs to the root would not be.
#[test]
fn no_path_climbs_to_the_root() {
    for file in rust("src") {
        let inside = file.path.trim_start_matches("src/").trim_end_matches(".rs");
        let depth = inside.split('/').filter(|part| *part != "mod").count();
        // A test module inside of a file is one deeper.
        let highest = "super::".repeat(depth + usize::from(file.code.contains("mod tests {")));
        assert!(
            inside == "lib" || inside == "main" || !file.code.contains(&highest),
            "{} reaches the crate's root by `super`: say `crate::`",
            file.path
        );
    }
}

#[test]
fn a_package_is_named_only_where_it_is_at_home() {
    let mut wrong = Vec::new();
    for file in rust("src") {
        for (package, homes) in HOMES {
            if file.uses_crate(package) && !homes.contains(&file.layer()) {
                wrong.push(format!(
                    "{} names {package}, which is at home in {homes:?}",
                    file.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
