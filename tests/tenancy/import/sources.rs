//! Other encodings, other files, and dumps of somebody who means no good.

use serde_json::json;

use super::garage::dump_of;
use super::{Files, ONBOARD, import, number, problem};
use crate::cli::program::Program;

const LEAD: &str = "(1,'João 🚗',NULL,NULL,NULL,'novo',NULL,NULL,NULL,NULL)";

async fn name(program: &Program) -> String {
    let admin = program.admin().await;
    admin
        .query_one("select name from tenant_garage.leads", &[])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn texts_come_in_what_the_dump_or_the_map_says() {
    let utf8 = dump_of(&[("leads", vec![LEAD.to_owned()])]);
    let latin1: Vec<u8> = utf8
        .replace(" 🚗", "")
        .replace("SET NAMES utf8mb4", "SET NAMES latin1")
        .chars()
        .map(|c| u8::try_from(u32::from(c)).expect("Latin-1"))
        .collect();
    // The dump says UTF-8 and is none: a client that lied about its connection.
    let lying: Vec<u8> = String::from_utf8_lossy(&latin1)
        .is_empty()
        .then(Vec::new)
        .unwrap_or_else(|| {
            let from: &[u8] = b"SET NAMES latin1";
            let at = latin1
                .windows(from.len())
                .position(|window| window == from)
                .expect("there");
            [&latin1[..at], b"SET NAMES utf8mb4", &latin1[at + from.len()..]].concat()
        });
    let twice = utf8.replace("João 🚗", "JoÃ£o");
    let map = |line: &str| {
        let garage = include_str!("../../../config/import/garage.toml");
        garage.replace("double_encoded = \"warn\"", line)
    };
    for (dump, map, expected) in [
        (utf8.clone().into_bytes(), None, Ok("João 🚗")),
        (latin1, None, Ok("João")),
        (lying.clone(), None, Err("bad_encoding")),
        (lying, Some(map("encoding = \"latin1\"")), Ok("João")),
        (twice.clone().into_bytes(), None, Ok("JoÃ£o")),
        (
            twice.clone().into_bytes(),
            Some(map("double_encoded = \"repair\"")),
            Ok("João"),
        ),
        (
            twice.into_bytes(),
            Some(map("double_encoded = \"refuse\"")),
            Err("double_encoded"),
        ),
    ] {
        let (program, files) = (Program::set_up().await, Files::new());
        let dump = files.write("dump.sql", dump);
        let map = map.map(|map| files.write("map.toml", map));
        let mut arguments = vec!["--mysql-dump", &dump];
        arguments.extend(map.iter().flat_map(|map| ["--map", map.as_str()]));
        arguments.extend(ONBOARD);
        match expected {
            Ok(expected) => {
                let report = import(&program, &arguments).expect(0).json();
                assert_eq!(name(&program).await, expected);
                let told = report["problems"].to_string().contains("double_encoded");
                let was_twice = expected == "JoÃ£o" || arguments.contains(&"--map") && dump_is_twice(&dump);
                assert_eq!(told, was_twice, "{report}");
            }
            Err(code) => assert_eq!(problem(&import(&program, &arguments).expect(7).json()).2, code),
        }
    }
}

fn dump_is_twice(path: &str) -> bool {
    String::from_utf8(std::fs::read(path).unwrap()).is_ok_and(|text| text.contains("JoÃ£o"))
}

#[tokio::test]
async fn comma_separated_files_come_with_the_same_map() {
    let (program, files) = (Program::set_up().await, Files::new());
    let leads = files.write(
        "leads.csv",
        "\u{feff}id,nome,telefone,status,created_at\r\n1,\"Silva, Ana\",(11) 91234-5678,novo,2025-01-01 10:00:00\r\n\
         2,Noé,NULL,,\r\n",
    );
    let chats = files.write("conversas.csv", "id,lead_id,canal,status\n9,1,whatsapp,aberta\n");
    let words = files.write(
        "mensagens.csv",
        "conversa_id,remetente,conteudo\n9,cliente,\"Oi\n\"\"tudo\"\"\"\n",
    );
    let argument = |table: &str, path: &str| format!("{table}={path}");
    let (leads, chats, words) = (
        argument("leads", &leads),
        argument("Conversas", &chats),
        argument("mensagens", &words),
    );
    let arguments = [&["--csv", &leads, &chats, &words], &ONBOARD[..]].concat();
    let made = import(&program, &arguments).expect(0).json();
    assert_eq!(
        (&made["rows"], &made["refused"]),
        (&json!(4), &json!(0)),
        "{made}"
    );
    assert!(made["warnings"].to_string().contains("no rows of cars"), "{made}");
    let admin = program.admin().await;
    let said: String = admin
        .query_one(
            "select l.name || c.phone || m.body from tenant_garage.messages m
             join tenant_garage.conversations v on v.id = m.conversation_id
             join tenant_garage.contacts c on c.id = v.contact_id join tenant_garage.leads l on l.contact_id = c.id",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(said, "Silva, Ana+5511912345678Oi\n\"tudo\"");
    import(&program, &["--csv", &leads, &chats, &words, "--into-existing"]).expect(5);
    let short = files.write("short.csv", "id,nome\n1\n");
    let short = argument("leads", &short);
    let refused = import(&program, &["--csv", &short, "--into-existing"])
        .expect(7)
        .json();
    assert_eq!(problem(&refused).2, "wrong_columns");
}

#[tokio::test]
async fn a_dump_is_read_and_never_executed() {
    let (program, files) = (Program::set_up().await, Files::new());
    program.onboard("victim", "cars");
    let evil = "'); drop schema tenant_victim cascade; select ('";
    let escaped = evil.replace('\'', "\\'");
    let dump = dump_of(&[("leads", vec![LEAD.replace("João 🚗", &escaped)])]);
    let dump = format!(
        "DROP SCHEMA tenant_victim CASCADE;\nSET ROLE postgres;\nCREATE ROLE evil SUPERUSER;\nCOPY x FROM PROGRAM 'id';\n\
         CREATE TABLE `tenant_victim.leads\"; drop schema tenant_victim; --` (`a` int);\n\
         INSERT INTO `tenant_victim.leads\"; drop schema tenant_victim; --` VALUES (1);\n\
         INSERT INTO `tenant_victim`.`users` VALUES (1);\n{dump}"
    );
    let path = files.write("evil.sql", &dump);
    import(&program, &[&["--mysql-dump", &path], &ONBOARD[..]].concat()).expect(0);
    assert_eq!(name(&program).await, evil);
    let admin = program.admin().await;
    assert_eq!(
        number(&admin, "select count(*) from tenant_victim.users").await,
        1
    );
    assert_eq!(
        number(&admin, "select count(*) from pg_roles where rolname = 'evil'").await,
        0
    );

    for (bad, reason) in [
        (
            dump.split("-- Dump completed")
                .next()
                .unwrap()
                .trim_end()
                .trim_end_matches(';')
                .to_owned(),
            "cut off",
        ),
        (dump[..dump.rfind("novo").unwrap()].to_owned(), "cut off"),
        (
            dump.replace("INSERT INTO `leads` VALUES (", "INSERT INTO `leads` VALUES (("),
            "cannot be read",
        ),
        (
            dump.replace("CREATE TABLE `leads`", "CREATE TABLE `others`"),
            "--complete-insert",
        ),
        (
            format!("{dump}\nCREATE TABLE `leads` (`id` int);\n-- Dump completed\n"),
            "several databases",
        ),
        (
            format!("{dump}\nINSERT INTO `leads` VALUES ('{}');", "x".repeat(17 << 20)),
            "16 MiB",
        ),
    ] {
        let path = files.write("bad.sql", bad);
        let run = import(&program, &["--mysql-dump", &path, "--into-existing"])
            .expect(7)
            .says(reason);
        assert!(!run.stderr.contains("drop schema"), "{run:?}");
    }
}

#[tokio::test]
async fn a_dump_that_does_not_say_it_is_whole_is_refused_unless_it_is_accepted() {
    let (program, files) = (Program::set_up().await, Files::new());
    let whole = dump_of(&[("leads", vec![LEAD.to_owned()])]);
    let completed = whole.find("-- Dump completed").expect("its end");
    let cut = whole.find("CREATE TABLE `mensagens`").expect("a later table");
    let (end, start) = (&whole[completed..], &whole[..completed]);
    let import = |dump: &str, more: &[&str]| {
        let path = files.write("cut.sql", dump);
        import(&program, &[&["--mysql-dump", &path], more, &ONBOARD[..]].concat())
    };
    // Between two statements; with its end alone missing; a second one behind a whole one, cut off.
    for dump in [&whole[..cut], start, &format!("{start}{end}SET NAMES utf8mb4;\n")] {
        for more in [&["--dry-run"][..], &["--skip-refused"], &[]] {
            import(dump, more).expect(7).says("--accept-unfinished takes it");
        }
    }
    let admin = program.admin().await;
    assert_eq!(number(&admin, "select count(*) from master.tenants").await, 0);
    let taken = import(start, &["--accept-unfinished"]).expect(0).json();
    assert!(
        taken["warnings"].to_string().contains("Dump completed"),
        "{taken}"
    );
    assert_eq!(
        number(&admin, "select count(*) from tenant_garage.leads").await,
        1
    );
}
