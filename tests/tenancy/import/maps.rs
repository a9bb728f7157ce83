//! What other maps make of other old databases.

use serde_json::{Value, json};

use super::{Files, import, number};
use crate::cli::program::Program;

const PEOPLE: &str = "niche = 'cars'\n[tables.clientes]\nto = 'contacts'\n[tables.clientes.fields]\n\
                      name = 'nome'\nphone = 'fone'\nemail = 'email'\nnotes = 'obs'\n";

/// The first column of all rows.
async fn texts(program: &Program, query: &str) -> Vec<String> {
    let rows = program.admin().await.query(query, &[]).await.expect(query);
    rows.iter().map(|row| row.get(0)).collect()
}

/// Row, column and code of each problem.
fn problems(report: &Value) -> Vec<(u64, &str, &str)> {
    report["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            (
                one["row"].as_u64().unwrap(),
                one["column"].as_str().unwrap(),
                one["code"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_contact_that_comes_twice_loses_nothing_unsaid() {
    let program = Program::set_up().await;
    program.onboard("garage", "cars");
    let (files, admin) = (Files::new(), program.admin().await);
    admin
        .batch_execute(
            "insert into tenant_garage.contacts (id, name, phone, created_at, updated_at)
             values (gen_random_uuid(), 'Bia', '+5521987654321', '2020-01-01', '2020-01-01')",
        )
        .await
        .expect("a contact");
    let (map, report) = (files.write("map.toml", PEOPLE), files.path("report"));
    let people = files.write(
        "clientes.csv",
        "id,nome,fone,email,obs\n\
         1,Ana,11912345678,,\n\
         2,,(11) 91234-5678,ana@x.example,gosta de azul\n\
         3,Outra Ana,+55 11 91234-5678,ana@x.example,outra nota\n\
         4,Bia B.,21987654321,bia@x.example,\n",
    );
    let people = format!("clientes={people}");
    let arguments = [
        "--csv",
        &people,
        "--map",
        &map,
        "--into-existing",
        "--report",
        &report,
    ];
    let made = import(&program, &arguments).expect(0).json();
    assert_eq!(
        (&made["tables"][0]["imported"], &made["tables"][0]["merged"]),
        (&json!(1), &json!(3)),
        "{made}"
    );
    let merged: Vec<_> = problems(&made)
        .into_iter()
        .filter(|problem| problem.2 == "merged")
        .collect();
    assert_eq!(
        merged,
        [(3, "nome", "merged"), (3, "obs", "merged"), (4, "nome", "merged")]
    );
    assert!(!made.to_string().contains("outra nota"), "{made}");
    let written = std::fs::read_to_string(&report).expect("the report");
    assert!(
        written.contains("outra nota") && written.contains("Outra Ana"),
        "{written}"
    );
    let query = "select concat_ws('|', name, phone, email, notes) from tenant_garage.contacts order by name";
    assert_eq!(
        texts(&program, query).await,
        [
            "Ana|+5511912345678|ana@x.example|gosta de azul",
            "Bia|+5521987654321|bia@x.example"
        ]
    );
    // Somebody who has read it before sees that it is another.
    let newer = "select count(*) from tenant_garage.contacts where name = 'Bia' and version = 2 and updated_at > '2021-01-01'";
    assert_eq!(number(&admin, newer).await, 1);
}

/// A reference to a row that is gone is a value like any other: the map says what becomes of its row.
#[tokio::test]
async fn a_reference_to_nothing_is_left_out_when_the_map_says_so() {
    let program = Program::set_up().await;
    program.onboard("garage", "cars");
    let files = Files::new();
    let map = |invalid: &str| {
        let map = format!(
            "niche = 'cars'\n\
             [tables.leads]\nto = 'leads'\n[tables.leads.fields]\nname = 'nome'\n\
             contact = {{ from = 'pessoa', invalid = '{invalid}' }}\n\
             [tables.conversas]\nto = 'conversations'\n[tables.conversas.fields]\nphone = 'fone'\n\
             lead = {{ from = 'lead', invalid = '{invalid}' }}\n\
             [tables.mensagens]\nto = 'messages'\n[tables.mensagens.fields]\nbody = 'texto'\nauthor = {{ value = 'user' }}\n\
             conversation = {{ from = 'conversa', invalid = '{invalid}' }}\n"
        );
        files.write(&format!("{invalid}.toml"), map)
    };
    let csv = |table: &str, text: &str| format!("{table}={}", files.write(&format!("{table}.csv"), text));
    let leads = csv("leads", "id,nome,pessoa\n1,Ana,77\n");
    let chats = csv("conversas", "id,fone,lead\n1,11912345678,88\n2,,99\n");
    let words = csv("mensagens", "texto,conversa\nOi,1\nE?,2\nAlguém?,3\n");
    let run = |map: &str, more: &[&str]| {
        let arguments = [&["--csv", &leads, &chats, &words, "--map", map], more].concat();
        import(&program, &arguments)
    };
    let strict = run(&map("refuse"), &["--dry-run"]).expect(7).json();
    assert_eq!(
        (&strict["refused"], &strict["rows"]),
        (&json!(6), &json!(0)),
        "{strict}"
    );
    // What has nobody to belong to is refused all the same.
    let lenient = run(&map("empty"), &["--skip-refused"]).expect(0).json();
    assert_eq!(
        (&lenient["refused"], &lenient["rows"]),
        (&json!(3), &json!(3)),
        "{lenient}"
    );
    let unknown: Vec<_> = problems(&lenient)
        .into_iter()
        .filter(|problem| problem.2 == "unknown_reference")
        .map(|(row, column, _)| (row, column))
        .collect();
    assert_eq!(
        unknown,
        [
            (1, "pessoa"),
            (1, "lead"),
            (2, "lead"),
            (2, "conversa"),
            (3, "conversa")
        ]
    );
    let query = "select c.phone || m.body from tenant_garage.messages m
                 join tenant_garage.conversations v on v.id = m.conversation_id
                 join tenant_garage.contacts c on c.id = v.contact_id";
    assert_eq!(texts(&program, query).await, ["+5511912345678Oi"]);
}
