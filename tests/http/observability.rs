//! What is counted: the board and the document name what the program exports, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::helpers::TestApp;

const TOKEN: &str = "a-token-of-sixteen-or-more";

fn file(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of metrics in a text, without what a histogram adds to its own.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("helixai_"));
    names
        .map(|name| {
            let parts = ["_bucket", "_sum", "_count"];
            let whole = parts.iter().find_map(|part| name.strip_suffix(part));
            whole.unwrap_or(name).to_owned()
        })
        .collect()
}

/// The constants of the program.
fn constants() -> BTreeSet<String> {
    let sources = [
        "channel_metrics",
        "metrics",
        "payment_metrics",
        "socket_metrics",
        "work_metrics",
    ]
    .map(|name| file(&format!("src/telemetry/{name}.rs")));
    let lines = sources.iter().flat_map(|source| source.lines());
    lines
        .filter(|line| line.starts_with("pub const "))
        .flat_map(named)
        .collect()
}

/// What the expressions and variables of the board ask for.
fn asked_for(board: &Value, found: &mut BTreeSet<String>) {
    match board {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if ["expr", "query", "definition"].contains(&name.as_str()) => {
                        found.extend(named(text));
                    }
                    other => asked_for(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| asked_for(item, found)),
        _ => {}
    }
}

fn board() -> Value {
    serde_json::from_str(&file("docs/grafana/helixai.json")).expect("JSON")
}

#[tokio::test]
async fn the_board_asks_only_for_what_is_exported() {
    let app = TestApp::builder().set("metrics.token", TOKEN).start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let owner = app.log_in(&garage).await;
    for _ in 0..3 {
        app.get("/api/leads").by(&garage).await.expect(200);
        let lead = json!({"name": "Ana"});
        app.post("/api/leads").by(&garage).json(&lead).await.expect(201);
    }
    app.get("/api/leads/unknown")
        .of(&garage)
        .bearer(&owner)
        .await
        .expect(404);
    let nobody = format!("hxs_{}", "A".repeat(43));
    app.get("/api/leads")
        .of(&garage)
        .bearer(&nobody)
        .await
        .expect(401);
    let correct = app
        .patch("/api/admin/tenants/garage-alpha")
        .bearer(&app.admin.token);
    correct.json(&json!({"name": "Garagem"})).await.expect(200);
    app.get("/api/me").by(&garage).await.expect(200);
    let metrics = app.get("/metrics").bearer(TOKEN).await.expect(200).text();
    let exported: BTreeSet<String> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();

    let mut asked = BTreeSet::new();
    asked_for(&board(), &mut asked);
    assert!(asked.len() > 15, "{asked:?}");
    let missing: Vec<_> = asked.difference(&exported).collect();
    assert!(missing.is_empty(), "not exported: {missing:?}\n{metrics}");
    let silent: Vec<_> = constants().difference(&exported).cloned().collect();
    assert!(silent.is_empty(), "never recorded: {silent:?}");

    // What real traffic must have moved.
    let value = |start: &str| -> f64 {
        let lines = metrics.lines().filter(|line| line.starts_with(start));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    for moved in [
        r#"helixai_http_requests_total{method="GET",route="/api/leads",status="200"}"#,
        r#"helixai_db_round_trips_total{plane="tenant"}"#,
        r#"helixai_db_round_trips_total{plane="master"}"#,
        r#"helixai_db_connections{plane="tenant"}"#,
        r#"helixai_db_connections{plane="master"}"#,
        r#"helixai_db_errors_total{plane="tenant",kind="refused"}"#,
        r#"helixai_provisioning_total{outcome="created"}"#,
        "helixai_db_pool_wait_seconds_count",
        "helixai_db_duration_seconds_count",
        "helixai_db_lanes_open",
        "helixai_db_statements_prepared_total",
        "helixai_tenant_cache_invalidations_total",
        "helixai_provisioning_seconds_count",
    ] {
        assert!(value(moved) > 0.0, "{moved} in\n{metrics}");
    }
}

#[test]
fn the_document_lists_every_metric() {
    let document = file("docs/OBSERVABILITY.md");
    let rows = document.lines().filter(|line| line.starts_with("| `helixai_"));
    let listed: BTreeSet<String> = rows
        .filter_map(|row| row.split('`').nth(1))
        .flat_map(named)
        .collect();
    assert_eq!(listed, constants());
}

#[test]
fn the_board_can_be_imported() {
    let board = board();
    let variables = board["templating"]["list"].as_array().expect("variables");
    assert!(
        variables
            .iter()
            .any(|variable| variable["type"] == "datasource" && variable["query"] == "prometheus")
    );
    let panels = board["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(
            ids.insert(panel["id"].as_u64().expect("an id")),
            "{}",
            panel["title"]
        );
        if panel["type"] == "row" {
            continue;
        }
        // Whatever data source is chosen at the top, never one of another installation.
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(!panel["description"].as_str().unwrap_or_default().is_empty());
        let targets = panel["targets"].as_array().expect("targets");
        assert!(
            targets
                .iter()
                .all(|target| target["datasource"]["uid"] == "${datasource}")
        );
    }
    assert!(ids.len() > 15);
}
