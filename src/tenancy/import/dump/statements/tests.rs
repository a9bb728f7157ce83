//! Where statements end, and what no dump should do to the reader.

use super::*;
use proptest::prelude::*;

fn texts(dump: &[u8]) -> Result<Vec<String>, DumpError> {
    let mut statements = Statements::new(dump);
    let mut found = Vec::new();
    while let Some(statement) = statements.next()? {
        found.push(String::from_utf8_lossy(&statement.text).into_owned());
    }
    Ok(found)
}

#[test]
fn delimiters_count_outside_of_quotes_and_comments() {
    let dump = b"-- a; b\n# c;\n/* d; */ SELECT ';', \"a\\\";\", 'it''s', `x;`, 1 --2\n -- e;\n;\n;SELECT 2;";
    assert_eq!(
        texts(dump).unwrap(),
        ["SELECT ';', \"a\\\";\", 'it''s', `x;`, 1 --2\n \n", "SELECT 2"]
    );
}

#[test]
fn conditional_comments_are_statements_and_nothing_inside_of_one() {
    let dump = b"/*!40101 SET NAMES utf8mb4 */;\nCREATE TABLE a (b int /*!80023 INVISIBLE */);/*M!999999\\- x */ SELECT 1;";
    assert_eq!(
        texts(dump).unwrap(),
        ["SET NAMES utf8mb4 ", "CREATE TABLE a (b int )", "SELECT 1"]
    );
}

#[test]
fn the_client_may_change_the_delimiter() {
    let dump = b"DELIMITER ;;\nCREATE TRIGGER a BEGIN x; y; END ;;\nDELIMITER ;\nSELECT 1;\n";
    assert_eq!(
        texts(dump).unwrap(),
        ["CREATE TRIGGER a BEGIN x; y; END ", "SELECT 1"]
    );
}

#[test]
fn a_dump_that_is_cut_off_is_told_from_a_whole_one() {
    for dump in [
        "INSERT INTO a VALUES (1",
        "SELECT 'a",
        "SELECT 1",
        "/* a",
        "SELECT `a;",
    ] {
        assert!(
            matches!(texts(dump.as_bytes()), Err(DumpError::CutOff(1))),
            "{dump}"
        );
    }
    let mut whole = Statements::new(&b"SELECT 1;\n-- Dump completed on 2026-01-01\n"[..]);
    while whole.next().unwrap().is_some() {}
    assert!(whole.is_completed());
}

#[test]
fn a_long_insert_comes_in_parts_of_whole_rows() {
    let row = format!("(1,'{},(;')", "x".repeat(1000));
    let dump = format!("INSERT INTO `a` VALUES {};", vec![row.as_str(); 1000].join(","));
    let mut statements = Statements::new(dump.as_bytes());
    let (mut parts, mut rows) = (0, 0);
    while let Some(part) = statements.next().unwrap() {
        assert_eq!(part.head, Some(23));
        assert!(part.text.starts_with(b"INSERT INTO `a` VALUES (1,"));
        assert!(part.text.len() < PART + 2000);
        rows += memchr::memmem::find_iter(&part.text, b"(1,'").count();
        parts += 1;
    }
    assert_eq!((parts > 2, rows), (true, 1000));
}

#[test]
fn a_huge_row_is_refused_before_it_fills_the_memory() {
    let dump = format!("SELECT 1;\nINSERT INTO a VALUES ('{}');", "x".repeat(LONGEST + 1));
    assert!(matches!(texts(dump.as_bytes()), Err(DumpError::TooLong(2))));
}

proptest! {
    #[test]
    fn never_panics(dump in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = texts(&dump);
    }

    #[test]
    fn never_panics_on_what_looks_like_sql(
        dump in r#"(INSERT INTO a VALUES |\(|\)|,|;|'|"|`|\\|/\*!?|\*/|-- |#|\n|DELIMITER |1|x){0,60}"#,
    ) {
        let _ = texts(dump.as_bytes());
    }

    #[test]
    fn a_text_comes_through_as_it_is(value in any::<String>()) {
        let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
        let statement = format!("INSERT INTO a VALUES ('{quoted}')");
        let dump = format!("{statement};SELECT 1;");
        prop_assert_eq!(texts(dump.as_bytes()).unwrap(), [statement, "SELECT 1".to_owned()]);
    }
}
