//! Each kind of row that cannot come along, what becomes of the others, and what is all or nothing.

use helixai::tenancy::import::map::GARAGE;
use serde_json::json;

use super::garage::dump_of;
use super::{Files, import, number, problem, rows};
use crate::cli::program::Program;

const LEAD: &str = "(1,'Ana','11912345678',NULL,NULL,'novo',NULL,NULL,NULL,NULL)";
const CHAT: &str = "(1,1,NULL,'whatsapp','aberta','2025-01-01 10:00:00')";
const WORD: &str = "(1,1,'cliente','texto','Oi','2025-01-01 10:00:00')";

fn car(values: &[(&str, &str)]) -> String {
    let mut row = [
        ("id", "1"),
        ("marca", "'Fiat'"),
        ("modelo", "'Uno'"),
        ("versao", "NULL"),
        ("ano_fabricacao", "2010"),
        ("ano_modelo", "2011"),
        ("preco", "10.00"),
        ("km", "1"),
        ("combustivel", "NULL"),
        ("cambio", "NULL"),
        ("cor", "NULL"),
        ("placa", "NULL"),
        ("descricao", "NULL"),
        ("foto", "NULL"),
        ("destaque", "b'0'"),
        ("status", "1"),
        ("created_at", "'2025-01-01 10:00:00'"),
        ("updated_at", "'2025-01-01 10:00:00'"),
    ];
    for (column, value) in values {
        row.iter_mut()
            .find(|(name, _)| name == column)
            .expect("a column")
            .1 = value;
    }
    format!("({})", row.map(|(_, value)| value).join(","))
}

#[tokio::test]
async fn each_kind_of_bad_row_is_named() {
    let program = Program::set_up().await;
    program.onboard("garage", "cars");
    let files = Files::new();
    let long = format!("'{}'", "x".repeat(201));
    let cases: Vec<(&str, String, &str, &str)> = vec![
        ("leads", LEAD.replace("'Ana'", "''"), "nome", "required"),
        ("leads", LEAD.replace("'Ana'", "NULL"), "nome", "required"),
        ("leads", LEAD.replace("'Ana'", &long), "nome", "too_long"),
        (
            "leads",
            LEAD.replace("'Ana'", "'a\\nb'"),
            "nome",
            "invalid_format",
        ),
        (
            "leads",
            LEAD.replace("'Ana'", "'a\\0b'"),
            "nome",
            "invalid_format",
        ),
        (
            "leads",
            LEAD.replace("'Ana'", "_binary '\u{1}\u{2}'"),
            "nome",
            "invalid_format",
        ),
        ("leads", LEAD.replace("'Ana'", "0xE3"), "nome", "bad_encoding"),
        (
            "leads",
            LEAD.replace("'Ana'", "UPPER('a')"),
            "nome",
            "not_a_value",
        ),
        (
            "leads",
            LEAD.replace("11912345678", "123"),
            "telefone + celular + whatsapp",
            "invalid_format",
        ),
        (
            "leads",
            LEAD.replace("NULL,NULL,'novo'", "'x@',NULL,'novo'"),
            "email",
            "invalid_format",
        ),
        (
            "leads",
            LEAD.replace("'novo'", "'sumiu'"),
            "status + etapa",
            "unknown_value",
        ),
        (
            "leads",
            LEAD.replace(",NULL)", ",'31/12/2024')"),
            "updated_at",
            "invalid_format",
        ),
        (
            "leads",
            LEAD.replace(",NULL)", ",'1024-01-01')"),
            "updated_at",
            "out_of_range",
        ),
        ("leads", LEAD.replace(",NULL)", ")"), "", "wrong_columns"),
        ("leads", format!("{LEAD},{LEAD}"), "id", "duplicate"),
        ("cars", car(&[("marca", "''")]), "marca", "required"),
        (
            "cars",
            car(&[("ano_modelo", "1800")]),
            "ano_modelo + ano",
            "out_of_range",
        ),
        ("cars", car(&[("preco", "-10.00")]), "preco", "invalid_format"),
        ("cars", car(&[("preco", "'45.900'")]), "preco", "ambiguous"),
        ("cars", car(&[("km", "-1")]), "km + quilometragem", "out_of_range"),
        ("cars", car(&[("placa", "'ABC'")]), "placa", "invalid_format"),
        (
            "cars",
            car(&[("combustivel", "'vapor'")]),
            "combustivel",
            "unknown_value",
        ),
        ("cars", car(&[("status", "7")]), "status", "unknown_value"),
        (
            "cars",
            [
                car(&[("placa", "'ABC1D23'")]),
                car(&[("id", "2"), ("placa", "'abc-1d23'")]),
            ]
            .join(","),
            "placa",
            "duplicate",
        ),
        (
            "conversas",
            CHAT.replace("(1,1", "(1,77"),
            "lead_id",
            "unknown_reference",
        ),
        (
            "conversas",
            CHAT.replace("(1,1", "(1,NULL"),
            "lead_id",
            "required",
        ),
        (
            "conversas",
            CHAT.replace("'whatsapp'", "'fax'"),
            "canal",
            "unknown_value",
        ),
        (
            "mensagens",
            WORD.replace("(1,1", "(1,77"),
            "conversa_id",
            "unknown_reference",
        ),
        (
            "mensagens",
            WORD.replace("'cliente'", "NULL"),
            "remetente + autor",
            "required",
        ),
        (
            "mensagens",
            WORD.replace("'Oi'", "NULL"),
            "conteudo + mensagem + texto",
            "required",
        ),
    ];
    for (table, bad, column, code) in &cases {
        let mut tables = vec![
            ("leads", vec![LEAD.to_owned()]),
            ("conversas", vec![CHAT.to_owned()]),
            ("mensagens", vec![WORD.to_owned()]),
            ("cars", vec![]),
        ];
        tables
            .iter_mut()
            .find(|(name, _)| name == table)
            .expect("a table")
            .1 = vec![bad.clone()];
        let dump = files.write("bad.sql", dump_of(&tables));
        let run = import(&program, &["--mysql-dump", &dump]).expect(7);
        let report = run.json();
        let refused = report["problems"]
            .as_array()
            .unwrap()
            .iter()
            .find(|problem| problem["level"] == "refused");
        let refused = refused.unwrap_or_else(|| panic!("{bad}: {report}"));
        assert_eq!(
            (&refused["table"], &refused["column"], &refused["code"]),
            (&json!(table), &json!(column), &json!(code)),
            "{bad}"
        );
    }
    assert_eq!(rows(&program.admin().await).await, [0; 6]);
}

#[tokio::test]
async fn refused_rows_are_left_out_when_that_is_asked_for() {
    let program = Program::set_up().await;
    program.onboard("garage", "cars");
    let files = Files::new();
    let two = |row: &str, other: String| vec![row.to_owned(), other];
    let dump = files.write(
        "some.sql",
        dump_of(&[
            (
                "leads",
                two(
                    LEAD,
                    "(2,'Noé','1',NULL,NULL,'novo',NULL,NULL,NULL,NULL)".to_owned(),
                ),
            ),
            ("conversas", two(CHAT, CHAT.replace("(1,1", "(2,2"))),
            ("mensagens", two(WORD, WORD.replace("(1,1", "(2,2"))),
        ]),
    );
    let all = import(&program, &["--mysql-dump", &dump]).expect(7).json();
    assert_eq!(
        (&all["refused"], &all["imported"]),
        (&json!(3), &json!(false)),
        "and what belongs to it"
    );
    let some = import(&program, &["--mysql-dump", &dump, "--skip-refused"])
        .expect(0)
        .json();
    assert_eq!(
        (&some["refused"], &some["imported"], &some["rows"]),
        (&json!(3), &json!(true), &json!(3))
    );
    assert_eq!(rows(&program.admin().await).await, [0, 1, 1, 1, 1, 1]);
    // A map can say that a bad number is not worth a lead.
    let map = program.run(&["tenant", "import-map"]).expect(0).stdout;
    let lenient = map.replace("\"whatsapp\"] }", "\"whatsapp\"], invalid = \"empty\" }");
    assert_ne!(lenient, map);
    let map = files.write("lenient.toml", lenient);
    let arguments = [
        "--mysql-dump",
        &dump,
        "--map",
        &map,
        "--dry-run",
        "--into-existing",
    ];
    import(&program, &arguments)
        .expect(5)
        .says("nothing is imported twice");
    let dump = files.write("other.sql", std::fs::read_to_string(&dump).unwrap() + "\n");
    let arguments = [
        "--mysql-dump",
        &dump,
        "--map",
        &map,
        "--dry-run",
        "--into-existing",
    ];
    let report = import(&program, &arguments).expect(0).json();
    let expected = (
        "changed".to_owned(),
        "telefone + celular + whatsapp".to_owned(),
        "invalid_format".to_owned(),
    );
    assert_eq!(
        problem(
            &json!({"problems": [report["problems"].as_array().unwrap().iter().find(|p| p["code"] == "invalid_format")]})
        ),
        expected
    );
}

#[tokio::test]
async fn into_a_tenant_that_has_rows_people_stay_who_they_are() {
    let program = Program::set_up().await;
    program.onboard("garage", "cars");
    let files = Files::new();
    let dump = |number: usize, tables: &[(&str, Vec<String>)]| {
        files.write(&format!("{number}.sql"), dump_of(tables))
    };
    let first = dump(
        1,
        &[
            ("leads", vec![LEAD.to_owned()]),
            ("conversas", vec![CHAT.to_owned()]),
            ("cars", vec![car(&[("placa", "'ABC1D23'")])]),
        ],
    );
    import(&program, &["--mysql-dump", &first]).expect(0);
    let second = dump(
        2,
        &[
            ("leads", vec![LEAD.replace("11912345678", "+55 11 91234-5678")]),
            ("conversas", vec![CHAT.to_owned()]),
            ("mensagens", vec![WORD.to_owned()]),
        ],
    );
    let added = import(&program, &["--mysql-dump", &second, "--into-existing"])
        .expect(0)
        .json();
    assert_eq!(added["tables"][2]["merged"], 1, "{added}");
    // One person, one contact, one conversation; two leads.
    assert_eq!(rows(&program.admin().await).await, [1, 1, 2, 2, 1, 1]);
    let third = dump(3, &[("cars", vec![car(&[("placa", "'abc1d23'")])])]);
    let twice = import(&program, &["--mysql-dump", &third, "--into-existing"])
        .expect(7)
        .json();
    assert_eq!(problem(&twice).2, "duplicate");
}

/// What the database itself refuses at the very end takes everything before it along.
#[tokio::test]
async fn a_failure_in_the_last_table_leaves_nothing_of_the_first() {
    let program = Program::set_up().await;
    program.onboard("garage", "cars");
    let (files, admin) = (Files::new(), program.admin().await);
    admin
        .batch_execute("alter table tenant_garage.messages add constraint boom check (body <> 'Oi')")
        .await
        .unwrap();
    let dump = files.write(
        "all.sql",
        dump_of(&[
            ("leads", vec![LEAD.to_owned()]),
            ("conversas", vec![CHAT.to_owned()]),
            ("mensagens", vec![WORD.to_owned()]),
            ("cars", vec![car(&[])]),
        ]),
    );
    let run = import(&program, &["--mysql-dump", &dump]).expect(6);
    assert!(
        run.stderr.contains("boom") && !run.stderr.contains("Oi"),
        "{run:?}"
    );
    assert_eq!(rows(&admin).await, [0; 6]);
    assert_eq!(
        number(
            &admin,
            "select count(*) from tenant_garage.audit_log where action = 'tenant.import'"
        )
        .await,
        0
    );
    admin
        .batch_execute("alter table tenant_garage.messages drop constraint boom")
        .await
        .unwrap();
    import(&program, &["--mysql-dump", &dump]).expect(0);
    assert_eq!(rows(&admin).await, [1, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn what_cannot_be_imported_into_is_refused_with_its_code() {
    let program = Program::set_up().await;
    let files = Files::new();
    let dump = files.write("empty.sql", dump_of(&[("leads", vec![LEAD.to_owned()])]));
    import(&program, &["--mysql-dump", &dump])
        .expect(4)
        .says("onboard it");
    program.onboard("garage", "real_estate");
    import(&program, &["--mysql-dump", &dump])
        .expect(5)
        .says("real_estate");
    import(
        &program,
        &[&["--mysql-dump", &dump], &super::ONBOARD[..]].concat(),
    )
    .expect(5);
    import(&program, &["--mysql-dump", "/nonexistent"])
        .expect(7)
        .says("/nonexistent");
    import(&program, &[]).expect(2);
    import(&program, &["--mysql-dump", &dump, "--csv", "a=b"]).expect(2);
    import(&program, &["--csv", "leads"]).expect(2).says("TABLE=FILE");
    import(&program, &["--csv", "Leads=/nonexistent", "lead=/nonexistent"])
        .expect(2)
        .says("has no such table; it has cars, conversas, leads, mensagens");
    import(&program, &["--mysql-dump", &dump, "--name", "x"]).expect(2);
    // The source under another name, and the map, are not overwritten.
    let (link, own) = (files.path("link"), files.write("own.toml", GARAGE));
    std::fs::hard_link(&dump, &link).expect("a link");
    for report in [&dump, &link, &own] {
        import(
            &program,
            &["--mysql-dump", &dump, "--map", &own, "--report", report],
        )
        .expect(2)
        .says("would overwrite");
    }
    let leads = format!("leads={dump}");
    import(&program, &["--csv", &leads, "--report", &link]).expect(2);
    assert!(
        std::fs::metadata(&dump).unwrap().len() > 100 && std::fs::read_to_string(&own).unwrap() == GARAGE
    );
    let map = files.write(
        "map.toml",
        "niche = 'cars'\n[tables.a]\nto = 'leads'\nfields = { nome = 'x' }",
    );
    import(&program, &["--mysql-dump", &dump, "--map", &map])
        .expect(2)
        .says("no field nome");
    let admin = program.admin().await;
    assert_eq!(
        number(&admin, "select count(*) from tenant_garage.leads").await,
        0
    );
}
