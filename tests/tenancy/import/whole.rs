//! A whole database, by counts and by single values.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::garage::{CARS, CONVERSATIONS, Garage, LEADS, MESSAGES, dump_of};
use super::{Files, ONBOARD, import, number, rows};
use crate::cli::program::Program;

#[tokio::test]
async fn an_old_database_becomes_a_tenant() {
    let program = Program::set_up().await;
    program.onboard("other", "cars");
    let (garage, files) = (Garage::new(), Files::new());
    const { assert!(CARS + LEADS + CONVERSATIONS + MESSAGES >= 5_000) };
    let dump = files.write("feirao.sql", &garage.dump);
    let made = import(&program, &[&["--mysql-dump", &dump], &ONBOARD[..]].concat())
        .expect(0)
        .json();
    assert_eq!(
        (&made["imported"], &made["refused"]),
        (&json!(true), &json!(0)),
        "{made}"
    );
    // Of the other tables of the dump no rows were made.
    let warnings = made["warnings"].as_array().expect("a list");
    assert!(
        warnings.contains(&json!("nothing is made of the tables usuarios")),
        "{made}"
    );
    assert!(
        made["tenant"]["api_key"].is_string() && made["tenant"]["owner"]["temporary_password"].is_string()
    );

    let admin = program.admin().await;
    let expected = &garage.expected;
    let found = rows(&admin).await;
    assert_eq!(
        found.map(|count| count as usize),
        [
            CARS,
            expected.contacts,
            LEADS,
            LEADS,
            expected.conversations,
            MESSAGES
        ]
    );
    let of = |table: usize, what: &str| made["tables"][table][what].as_u64().unwrap() as usize;
    assert_eq!(
        (of(0, "rows"), of(1, "rows"), of(3, "imported")),
        (CARS, LEADS, MESSAGES)
    );
    assert_eq!(of(2, "imported") + of(2, "merged"), CONVERSATIONS);
    assert_eq!(of(2, "imported"), expected.conversations);
    for (query, expected) in [
        ("select count(*) from tenant_garage.vehicles where status = 'published'", expected.published as i64),
        ("select count(*) from tenant_garage.vehicles where published_at = created_at", expected.published as i64),
        ("select sum(price_cents)::int8 from tenant_garage.vehicles", expected.cents as i64),
        ("select count(*) from tenant_garage.messages where direction = 'inbound'", expected.inbound as i64),
        // What is not processed would be answered now.
        ("select count(*) from tenant_garage.messages where direction = 'inbound' and processed_at is null", 0),
        ("select count(*) from tenant_garage.messages where status = 'queued'", 0),
        ("select count(*) from tenant_garage.outbox", 0),
        ("select count(*) from tenant_garage.jobs", 0),
        ("select count(*) from tenant_garage.leads where phone is not null and contact_id is null", 0),
        (
            "select count(*) from tenant_garage.leads l join tenant_garage.contacts c on c.id = l.contact_id
             where c.phone is distinct from l.phone",
            0,
        ),
        (
            "select count(*) from tenant_garage.conversations c where last_message_at <> coalesce(greatest(created_at,
               (select max(created_at) from tenant_garage.messages m where m.conversation_id = c.id)), created_at)",
            0,
        ),
        ("select count(*) from tenant_other.leads", 0),
        ("select count(*) from tenant_garage.audit_log where action = 'tenant.import'", 1),
        ("select count(*) from master.audit_log where action = 'tenant.import'", 1),
        ("select count(*) from master.audit_log where action = 'tenant.imported'", 1),
        // None that a lead without a conversation has no need of.
        (
            "select count(*) from tenant_garage.contacts c where not exists
               (select from tenant_garage.conversations v where v.contact_id = c.id) and phone is null",
            0,
        ),
    ] {
        assert_eq!(number(&admin, query).await, expected, "{query}");
    }
    for (stage, leads) in &expected.stages {
        let query = format!("select count(*) from tenant_garage.leads where stage = '{stage}'");
        assert_eq!(number(&admin, &query).await, *leads as i64, "{stage}");
        let query = format!(
            "select count(*) from tenant_garage.lead_history where field = 'stage' and to_value = '{stage}'"
        );
        assert_eq!(number(&admin, &query).await, *leads as i64, "{stage}");
    }

    // The same once more is refused, whoever asks how.
    let other_name = ONBOARD.map(|word| word.replace("Feirão", "Outro"));
    let other_name = other_name.each_ref().map(String::as_str);
    for arguments in [&[][..], &["--into-existing"], &other_name] {
        let again = [&["--mysql-dump", dump.as_str()], arguments].concat();
        import(&program, &again)
            .expect(5)
            .says("nothing is imported twice");
    }
    // Whoever did not see the end of it: the secrets are told again.
    let told = import(&program, &[&["--mysql-dump", &dump], &ONBOARD[..]].concat())
        .expect(0)
        .json();
    assert_eq!((&told["imported"], &told["id"]), (&json!(true), &made["id"]));
    assert_eq!(told["tenant"], made["tenant"]);
    assert_eq!(rows(&admin).await, found);
    // Another source is not added by mistake.
    let other = files.write("other.sql", dump_of(&[]));
    import(&program, &["--mysql-dump", &other])
        .expect(5)
        .says("--into-existing adds");
    // What is there is a tenant like any other.
    let snapshot = files.path("garage.snapshot");
    program.run(&["tenant", "backup", "garage", &snapshot]).expect(0);
    program.run(&["tenant", "restore", &snapshot, "copy"]).expect(0);
    assert_eq!(
        number(&admin, "select count(*) from tenant_copy.messages").await,
        MESSAGES as i64
    );
}

/// One row of each kind, value by value.
#[tokio::test]
async fn values_become_ours() {
    let program = Program::set_up().await;
    let files = Files::new();
    let dump = files.write(
        "one.sql",
        dump_of(&[
            (
                "cars",
                vec![
                    "(7,'Citroën','C3','1.6; Exclusive',0000,2013,45900.50,85000.000,'álcool','automático','Prata','abc-1d23',\
                     'Único dono\\n\\'impecável\\' \\\\o/',0xFFD8,_binary '\\0',1,'2024-03-01 10:00:00','2024-03-01 10:00:00')"
                        .to_owned(),
                ],
            ),
            ("conversas", vec!["(5,3,NULL,'whatsapp','aberta','2024-03-02 08:00:00')".to_owned()]),
            (
                "leads",
                vec![
                    "(3,'  Zé D\\'Ávila ',NULL,'Ze@Example.COM','Feirão','proposta','C3','à vista','0000-00-00 00:00:00',NULL)"
                        .to_owned(),
                    "(4,'Íris','(11) 8123-4567',NULL,NULL,NULL,NULL,NULL,NULL,NULL)".to_owned(),
                ],
            ),
            (
                "mensagens",
                vec![
                    "(1,5,'cliente','texto','Oi 🚗','2024-03-02 08:00:01.500')".to_owned(),
                    "(2,5,'atendente','figurinha',NULL,NULL)".to_owned(),
                ],
            ),
        ]),
    );
    let made = import(&program, &[&["--mysql-dump", &dump], &ONBOARD[..]].concat())
        .expect(0)
        .json();
    let codes: Vec<&str> = made["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["zero_date", "no_date", "no_date", "no_date"], "{made}");
    let warnings = made["warnings"].to_string();
    assert!(
        warnings.contains("cars: nothing is made of foto, destaque"),
        "{warnings}"
    );
    let admin = program.admin().await;
    let text = async |query: &str| -> String { admin.query_one(query, &[]).await.unwrap().get(0) };
    assert_eq!(
        text(
            "select concat_ws('|', title, make, model, coalesce(year_manufacture::text, '-'), year_model, price_cents,
               mileage_km, fuel, transmission, color, plate, description, status, created_at at time zone 'UTC',
               updated_at at time zone 'UTC') from tenant_garage.vehicles"
        )
        .await,
        "Citroën C3 1.6; Exclusive|Citroën|C3 1.6; Exclusive|-|2013|4590050|85000|ethanol|automatic|Prata|ABC1D23|\
         Único dono\n'impecável' \\o/|published|2024-03-01 13:00:00|2024-03-01 13:00:00"
    );
    assert_eq!(
        text(
            "select concat_ws('|', l.name, l.email, l.source, l.stage, l.notes, c.name, c.email) from tenant_garage.leads l
             join tenant_garage.contacts c on c.id = l.contact_id where l.phone is null"
        )
        .await,
        "Zé D'Ávila|ze@example.com|Feirão|proposal|C3\nà vista|Zé D'Ávila|ze@example.com"
    );
    assert_eq!(
        text("select c.phone || l.phone from tenant_garage.leads l join tenant_garage.contacts c on c.id = l.contact_id
              where l.phone is not null").await,
        "+5511981234567+5511981234567"
    );
    assert_eq!(
        text(
            "select string_agg(concat_ws(',', direction, author, kind, coalesce(body, '-'), status,
               created_at at time zone 'UTC', processed_at at time zone 'UTC'), '|' order by id) from tenant_garage.messages"
        )
        .await,
        "inbound,contact,text,Oi 🚗,received,2024-03-02 11:00:01.5,2024-03-02 11:00:01.5|\
         outbound,user,other,-,sent,2024-03-02 11:00:00"
    );
    assert_eq!(
        text("select concat_ws('|', channel, status, last_message_at at time zone 'UTC') from tenant_garage.conversations").await,
        "whatsapp_web|open|2024-03-02 11:00:01.5"
    );
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_tells_everything() {
    let program = Program::set_up().await;
    let (garage, files) = (Garage::new(), Files::new());
    let good = files.write("good.sql", &garage.dump);
    let bad = files.write(
        "bad.sql",
        garage.dump.replace(
            "INSERT INTO `leads` VALUES (1,",
            "INSERT INTO `leads` VALUES \
        (99001,'Secreta Silva','telefone-secreto',NULL,NULL,'novo',NULL,NULL,NULL,NULL),(1,",
        ),
    );
    let admin = program.admin().await;
    let tenants = "select count(*) from master.tenants";
    let dry = import(
        &program,
        &[&["--mysql-dump", &good, "--dry-run"], &ONBOARD[..]].concat(),
    )
    .expect(0)
    .json();
    assert_eq!(
        (&dry["imported"], &dry["dry_run"], &dry["id"]),
        (&json!(false), &json!(true), &json!(null))
    );
    assert_eq!(
        dry["rows"],
        CARS + LEADS + garage.expected.conversations + MESSAGES
    );
    let report = files.write("report", "what was there before");
    let run = import(
        &program,
        &[
            &["--mysql-dump", &bad, "--dry-run", "--report", &report],
            &ONBOARD[..],
        ]
        .concat(),
    )
    .expect(7);
    assert_eq!(run.json()["refused"], 1);
    assert_eq!(number(&admin, tenants).await, 0);
    assert_eq!(
        number(
            &admin,
            "select count(*) from pg_namespace where nspname ~ '^tenant_'"
        )
        .await,
        0
    );
    assert_eq!(number(&admin, "select count(*) from master.audit_log").await, 0);
    // The value is in the file that its owner has asked for, and nowhere else.
    assert!(
        !run.stdout.contains("secret") && !run.stderr.contains("secret"),
        "{run:?}"
    );
    let lines = std::fs::read_to_string(&report).unwrap();
    let line = lines
        .lines()
        .find(|line| line.contains("\"refused\""))
        .expect("a line for the row");
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        line,
        json!({"level": "refused", "table": "leads", "row": 1, "column": "telefone + celular + whatsapp",
            "code": "invalid_format", "value": "telefone-secreto", "message": line["message"]})
    );
    assert_eq!(
        std::fs::metadata(&report).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // For a person.
    let run = program.run(
        &[
            &["tenant", "import", "garage", "--mysql-dump", &bad, "--dry-run"],
            &ONBOARD[..],
        ]
        .concat(),
    );
    let run = run
        .expect(7)
        .says("leads row 1, telefone")
        .says("this was a dry run");
    assert!(
        run.stdout.contains("mensagens  messages") && !run.stderr.contains("telefone-secreto"),
        "{run:?}"
    );
    // The real one imports nothing either, and onboards nobody.
    import(&program, &[&["--mysql-dump", &bad], &ONBOARD[..]].concat()).expect(7);
    assert_eq!(number(&admin, tenants).await, 0);
}
