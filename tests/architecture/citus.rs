//! What Citus would refuse of a tenant's tables and statements, so that a platform which outgrows one machine can move to
//! it without rewriting them (docs/SCALING.md). Each rule was met on Citus 13; none costs anything on plain PostgreSQL.
//!
//! What is refused and stays all the same is named in [`KEPT`], with its reason; a name without its thing fails, too.

use super::source::{Source, files, relative, rust};
use super::statements::qualifiers;

/// Where, which rule, and why it stays.
const KEPT: [(&str, &str, &str); 1] = [(
    "src/db/shard/migrate.rs",
    ONE_COMMAND,
    "a schema is made and migrated before it is distributed; a distributed one needs a call for each command",
)];

const ONE_COMMAND: &str = "several commands in one call: send each by itself";

/// The volatile functions that somebody might write.
const VOLATILE: [&str; 7] = [
    "now()",
    "random()",
    "gen_random_uuid()",
    "clock_timestamp()",
    "current_timestamp",
    "nextval(",
    "statement_timestamp()",
];

/// What is refused in one statement, in lower case and with single spaces.
fn refusals(statement: &str) -> Vec<&'static str> {
    let text = statement.trim();
    let mut found = Vec::new();
    let mut rule = |refused: bool, why: &'static str| {
        if refused {
            found.push(why);
        }
    };
    let is = |start: &str| text.starts_with(start);
    let any = |place: &str, words: &[&str]| words.iter().any(|word| place.contains(word));
    let after = |word: &str| text.split_once(word).map_or("", |(_, rest)| rest);

    rule(
        is("create table") && !text.contains("primary key"),
        "a table without a primary key cannot be moved",
    );
    rule(
        is("create table")
            && any(
                text,
                &[" serial", " bigserial", " smallserial", " identity", "nextval("],
            ),
        "numbers made by the database differ from node to node: make ids in the program",
    );
    rule(
        is("alter table")
            && any(
                text,
                &[" serial", " bigserial", " smallserial", " identity", "nextval("],
            ),
        "a column that makes numbers cannot be added",
    );
    rule(
        is("create trigger") || is("create constraint trigger"),
        "triggers are refused unless they are declared unsafe",
    );
    rule(
        any(
            text,
            &[
                "create sequence",
                "create type",
                "create domain",
                "create extension",
                "create function",
            ],
        ),
        "only tables and views belong to a tenant's schema",
    );
    let schemas = qualifiers(text);
    rule(
        schemas
            .iter()
            .any(|schema| schema != "helixai" && schema != "pg_catalog"),
        "a name with its schema: a tenant's tables are found by the path",
    );
    if let Some((_, values)) = after("insert into ").split_once(" values (") {
        let values = values.split(" returning ").next().unwrap_or_default();
        rule(
            values.contains("(select "),
            "insert … values with a subquery: write insert … select",
        );
    }
    for update in text.split("update ").skip(1) {
        // `on conflict do update set` names no table.
        let Some((_, set)) = update
            .strip_prefix("set ")
            .map(|set| ("", set))
            .or_else(|| update.split_once(" set "))
        else {
            continue;
        };
        let set = set.split(" where ").next().unwrap_or_default();
        rule(
            any(set, &VOLATILE),
            "update … set to something volatile: bind the value",
        );
    }
    for returning in text.split(" returning ").skip(1) {
        let columns = returning.split(" select ").next().unwrap_or_default();
        rule(
            any(columns, &VOLATILE),
            "returning something volatile: bind the value",
        );
    }
    found
}

/// Commands sent as one text.
fn calls(code: &str) -> Vec<&'static str> {
    let joined = code.contains(".batch_execute(&queries.join(");
    if joined { vec![ONE_COMMAND] } else { Vec::new() }
}

fn words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "\\").collect();
    words.join(" ").to_lowercase()
}

/// The statements of a file of SQL.
fn sql_statements(text: &str) -> Vec<String> {
    let without = |line: &str| line.split_once("--").map_or(line, |(code, _)| code).to_owned();
    let code: Vec<String> = text.lines().map(without).collect();
    let statements = code.join("\n");
    statements
        .split(';')
        .map(words)
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// The texts of a Rust file, those inside of one `concat!` put together; pieces that macros add are filled in by their
/// own texts, all arms of them, in the order in which they stand.
fn rust_statements(file: &Source, shared: &Source) -> Vec<String> {
    let mut at = 0;
    let texts: Vec<&str> = file.texts.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    let mut rest = file.code.as_str();
    while let Some(next) = ["concat!(", "\"\""]
        .iter()
        .filter_map(|word| rest.find(word))
        .min()
    {
        rest = &rest[next..];
        if let Some(inside) = rest.strip_prefix("concat!(") {
            let end = closing(inside);
            found.push(flat(&inside[..end], &mut at, &texts, file, shared));
            rest = &inside[end..];
        } else {
            found.push(texts.get(at).copied().unwrap_or_default().to_owned());
            at += 1;
            rest = &rest[2..];
        }
    }
    found.iter().map(|text| words(text)).collect()
}

/// Where the parenthesis that is open ends.
fn closing(code: &str) -> usize {
    let mut depth = 1;
    for (place, character) in code.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place;
        }
    }
    code.len()
}

/// The texts in a piece of code one after the other, `texts[at]` being the first.
fn flat(code: &str, at: &mut usize, texts: &[&str], file: &Source, shared: &Source) -> String {
    let mut all = String::new();
    let mut rest = code;
    while let Some(next) = ["\"\"", "!("].iter().filter_map(|word| rest.find(word)).min() {
        if rest[next..].starts_with("\"\"") {
            all.push_str(texts.get(*at).copied().unwrap_or_default());
            *at += 1;
        } else {
            let name = rest[..next]
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default();
            all.push_str(
                &body_of(name, file)
                    .or_else(|| body_of(name, shared))
                    .unwrap_or_default(),
            );
        }
        rest = &rest[next + 2..];
    }
    all
}

/// The texts of a macro that the file defines.
fn body_of(name: &str, file: &Source) -> Option<String> {
    let start = file.code.find(&format!("macro_rules! {name} {{"))?;
    let before = file.code[..start].matches("\"\"").count();
    let length = file.code[start..].find("\n}")?;
    let count = file.code[start..start + length].matches("\"\"").count();
    Some(file.texts.get(before..before + count)?.concat())
}

/// Everything that is refused, as `(file, rule, statement)`.
fn all_refusals() -> Vec<(String, &'static str, String)> {
    let mut found = Vec::new();
    for path in files("tenant_template", "sql") {
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        for statement in sql_statements(&text) {
            found.extend(
                refusals(&statement)
                    .into_iter()
                    .map(|why| (relative(&path), why, statement.clone())),
            );
        }
    }
    let sources = rust("src/db");
    let shared = sources
        .iter()
        .find(|file| file.path == "src/db/tenant/text.rs")
        .expect("shared pieces");
    for file in &sources {
        let is_tenants = file.path.starts_with("src/db/tenant/") || file.path == "src/db/shard/import.rs";
        let statements = if is_tenants {
            rust_statements(file, shared)
        } else {
            Vec::new()
        };
        for statement in statements {
            found.extend(
                refusals(&statement)
                    .into_iter()
                    .map(|why| (file.path.clone(), why, statement.clone())),
            );
        }
        found.extend(
            calls(&file.code)
                .into_iter()
                .map(|why| (file.path.clone(), why, String::new())),
        );
    }
    found
}

#[test]
fn citus_would_take_the_template_and_the_statements_of_tenants() {
    let mut found = all_refusals();
    for (path, rule, reason) in KEPT {
        let had = found.len();
        found.retain(|(file, why, _)| file != path || *why != rule);
        assert!(
            found.len() < had,
            "{path} no longer has it: take it from the list ({rule}; {reason})"
        );
    }
    let lines: Vec<String> = found
        .iter()
        .map(|(file, why, statement)| format!("{file}: {why}: {statement}"))
        .collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn each_rule_refuses_what_it_is_for() {
    for (bad, why) in [
        ("create table a (b int)", "primary key"),
        (
            "create table a (id bigserial primary key)",
            "make ids in the program",
        ),
        (
            "create table a (id int generated always as identity primary key)",
            "make ids in the program",
        ),
        (
            "alter table a add column b bigint generated by default as identity",
            "cannot be added",
        ),
        ("alter table a add column b serial", "cannot be added"),
        (
            "create trigger a before insert on b execute function c()",
            "declared unsafe",
        ),
        (
            "create function a() returns int return 1",
            "only tables and views",
        ),
        ("insert into public.a (b) values ($1)", "found by the path"),
        ("select b from tenant_garage.a", "found by the path"),
        ("insert into a (b) values ((select c from d))", "insert … select"),
        (
            "insert into a (b) values ($1, coalesce($2, (select c from d where e = $3)), $4) returning b",
            "insert … select",
        ),
        (
            "with x as (insert into a (b) values ((select c from d)) returning b) select b from x",
            "insert … select",
        ),
        ("update a set b = now() where c = $1", "bind the value"),
        ("update a set b = $1, c = gen_random_uuid()", "bind the value"),
        (
            "insert into a (b) values ($1) on conflict (b) do update set c = clock_timestamp()",
            "bind the value",
        ),
        ("insert into a (b) values ($1) returning b, now()", "returning"),
        (
            "with x as (delete from a returning random()) select 1",
            "returning",
        ),
    ] {
        let found = refusals(bad);
        assert!(found.iter().any(|found| found.contains(why)), "{bad}: {found:?}");
    }
    for good in [
        "create table a (id uuid not null, constraint a_pkey primary key (id))",
        "alter table a add column b text",
        "insert into a (b) select (select c from d) returning b",
        "insert into a (b) values ($1) returning (select c from d)",
        "update a set b = $1 where c < now()",
        "select helixai.refuse('HX404') from pg_catalog.pg_class",
        "with x as (delete from a returning b) select now() from x",
    ] {
        assert_eq!(refusals(good), [""; 0], "{good}");
    }
    assert_eq!(
        calls("self.0.batch_execute(&queries.join(\";\")).await?"),
        [ONE_COMMAND]
    );
}

/// A rule that sees nothing finds nothing: whole statements come out of pieces.
#[test]
fn statements_are_put_together() {
    let sources = rust("src/db/tenant");
    let named = |name: &str| {
        sources
            .iter()
            .find(|file| file.path.ends_with(name))
            .expect("a file")
    };
    let found = rust_statements(named("tenant/leads.rs"), named("tenant/text.rs"));
    let insert = found
        .iter()
        .find(|text| text.starts_with("insert into leads"))
        .expect("the insert");
    for piece in [
        "stage",
        "(select id from contacts where phone",
        "returning id, name, phone",
    ] {
        assert!(insert.contains(piece), "{piece:?} is not in {insert:?}");
    }
    let everything: Vec<String> = sources
        .iter()
        .flat_map(|file| rust_statements(file, named("tenant/text.rs")))
        .collect();
    for verb in ["insert into ", "update ", "delete from "] {
        assert!(
            everything.iter().filter(|text| text.starts_with(verb)).count() >= 10,
            "{verb}"
        );
    }
}
