//! What SQL in the program may contain. That its texts cannot be built from input is for the compiler: they are
//! `&'static str`.

use super::source::{Source, rust};

/// The texts of a file that are SQL, in lower case and with single spaces.
fn statements(file: &Source) -> impl Iterator<Item = String> {
    file.texts.iter().map(|text| {
        let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "\\").collect();
        format!(" {} ", words.join(" ").to_lowercase())
    })
}

#[test]
fn columns_are_named() {
    for file in rust("src") {
        for text in statements(&file) {
            for star in ["select * ", "returning *", "select distinct * "] {
                assert!(!text.contains(star), "{}: {star:?} in {text}", file.path);
            }
        }
    }
}

#[test]
fn a_text_is_never_made_static_from_input() {
    for file in rust("src") {
        for leak in ["Box::leak", ".leak()", "String::leak"] {
            assert!(!file.code.contains(leak), "{}: {leak}", file.path);
        }
    }
}

/// Statements of the tenant plane run inside a scope that they can neither leave nor change.
#[test]
fn a_tenants_statements_stay_in_their_scope() {
    let never = [
        " set role",
        " reset ",
        " set local",
        " set session",
        " set_config",
        "search_path",
        " begin",
        " commit",
        " rollback",
        " savepoint",
        " do $",
        " listen ",
        " notify ",
        " create ",
        " alter ",
        " drop ",
        " grant ",
        " revoke ",
        " truncate ",
        " copy ",
        " declare ",
        " prepare ",
        " lock table",
        " discard ",
        " vacuum",
    ];
    let mut wrong = Vec::new();
    for file in rust("src/db/tenant") {
        if ["src/db/tenant/scope.rs", "src/db/tenant/wire.rs"].contains(&file.path.as_str()) {
            continue;
        }
        for text in statements(&file).filter(|text| is_sql(text)) {
            for words in never {
                if text.contains(words) {
                    wrong.push(format!("{}:{words} in{text}", file.path));
                }
            }
            for schema in qualifiers(&text) {
                if schema != "helixai" && schema != "pg_catalog" {
                    wrong.push(format!("{}: {schema}. in{text}", file.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_sql(text: &str) -> bool {
    [
        "select ", "insert ", "update ", "delete ", "with ", "from ", "where ",
    ]
    .iter()
    .any(|verb| text.trim_start().starts_with(verb))
}

/// What stands before the dot of a table's name.
pub fn qualifiers(statement: &str) -> Vec<String> {
    let words: Vec<&str> = statement
        .split(|c: char| c.is_whitespace() || c == '(' || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    words
        .windows(2)
        .filter(|pair| {
            [
                "from",
                "join",
                "into",
                "update",
                "table",
                "references",
                "view",
                "only",
            ]
            .contains(&pair[0])
        })
        .filter_map(|pair| pair[1].split_once('.'))
        .map(|(schema, _)| schema.trim_matches('"').to_owned())
        .collect()
}

/// A tenant's statement starts in one file, which sends all of them before it waits.
#[test]
fn nothing_else_starts_a_statement_of_a_tenant() {
    for file in rust("src/db/tenant") {
        for driver in [
            "tokio_postgres::Client",
            "tokio_postgres::Transaction",
            "frontend::",
        ] {
            let allowed = driver == "frontend::" && file.path == "src/db/tenant/wire.rs";
            assert!(allowed || !file.code.contains(driver), "{}: {driver}", file.path);
        }
        for call in [
            ".batch_execute(",
            ".simple_query(",
            ".query(",
            ".query_one(",
            ".query_opt(",
            ".query_raw(",
            ".execute_raw(",
            ".prepare(",
            ".prepare_cached(",
            ".transaction(",
            ".copy_in(",
            ".copy_out(",
        ] {
            // `Access::query()` takes nothing and sends nothing.
            let code = file.code.replace(".query()", "");
            assert!(!code.contains(call), "{}: {call}…)", file.path);
        }
    }
}

/// `is null or` makes a condition optional; without a plan of its own such a list would read a whole table to find the
/// rows after a cursor.
#[test]
fn lists_with_optional_conditions_are_planned_for_them() {
    for file in rust("src/db/tenant") {
        for list in file
            .code
            .match_indices("::timestamptz is null or (")
            .map(|(at, _)| at)
        {
            let rest = file.code.get(list..).unwrap_or_default();
            let query = rest.find("Query::narrowed(").unwrap_or(usize::MAX);
            let other = rest.find("Query::all(").unwrap_or(usize::MAX);
            assert!(query < other, "{}: Query::narrowed", file.path);
        }
    }
}
