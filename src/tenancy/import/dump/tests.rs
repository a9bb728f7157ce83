//! Dumps as `mysqldump` writes them, and as somebody might who means no good.

use proptest::prelude::*;

use super::*;

type Found = Vec<Vec<(String, Cell)>>;

fn rows(dump: &[u8], table: &str) -> Result<(Found, Notes), DumpError> {
    let mut found = Vec::new();
    let notes = read(dump, table, None, &mut |row: &Row<'_>| {
        let names = row.columns.iter().map(|column| column.name.clone());
        found.push(names.zip(row.cells.iter().cloned()).collect());
        Ok::<(), DumpError>(())
    })?;
    Ok((found, notes))
}

fn text(value: &str) -> Cell {
    Cell::Bytes(value.as_bytes().to_vec())
}

const DUMP: &str = "\
-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET TIME_ZONE='+00:00' */;
DROP TABLE IF EXISTS `cars`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cars` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `marca` varchar(100) COLLATE utf8mb4_unicode_ci NOT NULL DEFAULT '',
  `cambio` enum('manual','automático') CHARACTER SET latin1 DEFAULT NULL COMMENT 'a; b',
  `preco` decimal(10,2) DEFAULT NULL,
  `status` tinyint(1) NOT NULL DEFAULT '1',
  `ativo` bit(1) DEFAULT b'1',
  `foto` longblob,
  `extras` json DEFAULT NULL,
  `created_at` timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `visto` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `placa_unica` (`marca`,`id`),
  KEY `marca` (`marca`(20)),
  FULLTEXT KEY `busca` (`marca`),
  CONSTRAINT `cars_ibfk_1` FOREIGN KEY (`id`) REFERENCES `donos` (`id`) ON DELETE CASCADE,
  CONSTRAINT `extras` CHECK (json_valid(`extras`))
) ENGINE=InnoDB AUTO_INCREMENT=12 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC COMMENT='carros; todos';
LOCK TABLES `cars` WRITE;
/*!40000 ALTER TABLE `cars` DISABLE KEYS */;
INSERT INTO `cars` VALUES (1,'Citro\u{eb}n \\'C3\\'; (novo), \\\\o/',NULL,-45900.50,1,_binary '\\0\u{1}',0xFFD8,'{\\\"a\\\": 1}','0000-00-00 00:00:00','2020-01-02 03:04:05.000'),(2,'it''s\\n\\t\\Z','manual',0.00,0,b'0',NULL,NULL,NULL,NULL);
/*!40000 ALTER TABLE `cars` ENABLE KEYS */;
UNLOCK TABLES;
-- Dump completed on 2026-01-01  3:00:00
";

#[test]
fn a_real_dump_is_read() {
    let (found, notes) = rows(DUMP.as_bytes(), "cars").unwrap();
    assert_eq!(found.len(), 2);
    let first: Vec<&Cell> = found[0].iter().map(|(_, cell)| cell).collect();
    assert_eq!(
        first,
        [
            &Cell::Number("1".to_owned()),
            &text("Citro\u{eb}n 'C3'; (novo), \\o/"),
            &Cell::Null,
            &Cell::Number("-45900.50".to_owned()),
            &Cell::Number("1".to_owned()),
            &Cell::Bytes(vec![0, 1]),
            &Cell::Bytes(vec![0xff, 0xd8]),
            &text("{\"a\": 1}"),
            &text("0000-00-00 00:00:00"),
            &text("2020-01-02 03:04:05.000"),
        ]
    );
    assert_eq!(found[1][1], ("marca".to_owned(), text("it's\n\t\u{1a}")));
    assert_eq!(found[1][5], ("ativo".to_owned(), Cell::Number("0".to_owned())));
    assert!(notes.completed && notes.unknown_encoding.is_none());
    assert!(rows(DUMP.as_bytes(), "leads").unwrap().0.is_empty());
}

#[test]
fn moments_are_in_utc_and_what_a_clock_showed_is_not() {
    let mut utc = Vec::new();
    read(DUMP.as_bytes(), "CARS", None, &mut |row: &Row<'_>| {
        utc = row
            .columns
            .iter()
            .filter(|column| column.utc)
            .map(|column| column.name.clone())
            .collect();
        Ok::<(), DumpError>(())
    })
    .unwrap();
    assert_eq!(utc, ["created_at"]);
}

#[test]
fn the_dump_says_what_its_texts_are_written_in() {
    let dump = b"/*!40101 SET NAMES latin1 */;\nINSERT INTO a (n) VALUES ('Jo\xe3o');\n";
    let mut found = None;
    read(&dump[..], "a", None, &mut |row: &Row<'_>| {
        found = Some((row.encoding.name(), row.cells.to_vec()));
        Ok::<(), DumpError>(())
    })
    .unwrap();
    assert_eq!(
        found,
        Some(("windows-1252", vec![Cell::Bytes(b"Jo\xe3o".to_vec())]))
    );
    let notes = rows(b"SET NAMES gb18030;", "a").unwrap().1;
    assert_eq!(notes.unknown_encoding.as_deref(), Some("gb18030"));
}

#[test]
fn columns_come_from_the_insert_or_from_the_table() {
    let complete = b"INSERT IGNORE INTO `old`.`cars` (`id`, `marca`) VALUES (1,'Fiat');REPLACE INTO cars (id) VALUES (2);";
    let (found, _) = rows(complete, "cars").unwrap();
    assert_eq!(found[0][1], ("marca".to_owned(), text("Fiat")));
    assert_eq!(found[1], [("id".to_owned(), Cell::Number("2".to_owned()))]);
    let without = rows(b"\nINSERT INTO `cars` VALUES (1,'Fiat');", "cars");
    assert!(matches!(without, Err(DumpError::NoColumns(table, 2)) if table == "cars"));
    let twice = b"CREATE TABLE a (b int);USE other;CREATE TABLE a (c int);";
    assert!(matches!(rows(twice, "a"), Err(DumpError::Twice(_, 1))));
    assert!(rows(twice, "b").is_ok());
}

/// Whatever else a dump says is passed over; what would have to be computed is no value.
#[test]
fn nothing_is_executed() {
    let dump = b"CREATE TABLE a (b text); DROP DATABASE x; GRANT ALL ON *.* TO 'root'@'%'; LOAD DATA INFILE '/etc/passwd' \
        INTO TABLE a; CALL p(); SELECT 1 INTO OUTFILE '/tmp/x'; SOURCE /etc/passwd; \\! rm -rf /;\n\
        INSERT INTO b SELECT b FROM a; INSERT INTO a VALUES (LOAD_FILE('/etc/passwd')),((SELECT 1)),(1+1),(@@version),(NOW());\
        DELETE FROM a; UPDATE a SET b = 1;";
    let (found, _) = rows(dump, "a").unwrap();
    assert_eq!(found.len(), 5);
    for row in found {
        assert_eq!(row, [("b".to_owned(), Cell::Expression)]);
    }
    for unreadable in [
        "INSERT INTO a SELECT 1;",
        "INSERT INTO a (b) VALUES (1,;",
        "INSERT INTO a SET b = 1;",
    ] {
        assert!(
            matches!(rows(unreadable.as_bytes(), "a"), Err(DumpError::Unreadable(1))),
            "{unreadable}"
        );
    }
    let deep = format!(
        "INSERT INTO a (b) VALUES ({}1{});",
        "(".repeat(10_000),
        ")".repeat(10_000)
    );
    assert!(matches!(
        rows(deep.as_bytes(), "a"),
        Err(DumpError::Unreadable(1))
    ));
}

#[test]
fn names_are_names_and_nothing_else() {
    let dump = "CREATE TABLE `a``; DROP TABLE x; --` (`b\"; drop schema public; --` int);\
        INSERT INTO `a``; DROP TABLE x; --` VALUES (1);";
    let (found, _) = rows(dump.as_bytes(), "a`; DROP TABLE x; --").unwrap();
    assert_eq!(found[0][0].0, "b\"; drop schema public; --");
}

proptest! {
    #[test]
    fn any_bytes_of_a_text_come_back(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut dump = b"INSERT INTO a (b) VALUES ('".to_vec();
        for byte in &value {
            match byte {
                0 => dump.extend(b"\\0"),
                b'\'' | b'\\' | b'"' => dump.extend([b'\\', *byte]),
                b'\n' => dump.extend(b"\\n"),
                0x1a => dump.extend(b"\\Z"),
                other => dump.push(*other),
            }
        }
        dump.extend(b"');");
        let (found, _) = rows(&dump, "a").unwrap();
        prop_assert_eq!(&found[0][0].1, &Cell::Bytes(value));
    }

    #[test]
    fn never_panics(
        dump in r#"(INSERT INTO `?a`? (\(b\) )?VALUES |CREATE TABLE a \(b int\)|SET NAMES |\(|\)|,|;|'|"|`|\\|/\*!|\*/|-1|0x|x'|b'|_binary |NULL|é){0,40}"#,
    ) {
        let _ = rows(dump.as_bytes(), "a");
    }
}
